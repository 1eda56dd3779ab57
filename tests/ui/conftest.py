"""Serves the real app to a real browser: sample corpus, models of profile mini, Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import data.sample

TIMEOUT_MS = 60_000  # long, because the machines that run these tests are shared
expect.set_options(timeout=TIMEOUT_MS)

# The cards that the tests ask about. Indexing every card would take a minute.
CARDS = (
    "simple-pendulum human-heart galvanic-cell refraction-and-snells-law truss-bridge "
    "photosynthesis quadratic-functions logic-gates".split()
)


@dataclass
class Site:
    """A served workspace.

    `foreign_requests` are addresses of other sites that a page asked for. `script_errors` are
    messages of scripts that failed.
    """

    url: str
    browser: Browser
    foreign_requests: list[str] = field(default_factory=list)
    script_errors: list[str] = field(default_factory=list)

    def page(self, **options: Any) -> Page:
        """Open the page in a browser context of its own."""
        viewport = {"width": 1280, "height": 900}
        context = self.browser.new_context(**{"viewport": viewport, **options})
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.on("request", self._check_request)
        page.on("pageerror", lambda error: self.script_errors.append(str(error)))
        page.goto(self.url)
        self.wait_until_loaded(page)
        return page

    def wait_until_loaded(self, page: Page) -> None:
        """Wait until the page shows its conversation. A click before that can be lost."""
        signed_out = page.get_by_label("Key")
        expect(page.locator("body[data-ready]").or_(signed_out)).to_be_visible()

    def _check_request(self, request: Any) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob") and url.netloc != urlsplit(self.url).netloc:
            self.foreign_requests.append(request.url)


@pytest.fixture(
    scope="module"
)  # its event loop must not outlive the module: other tests are asynchronous
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium here; run: apt install chromium")
    with sync_playwright() as playwright:
        # as root, as in CI, Chromium has no sandbox
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def indexed_home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace with some cards of the sample corpus."""
    root = tmp_path_factory.mktemp("web")
    sample = Path(data.sample.__file__).parent
    (root / "sample" / "cards").mkdir(parents=True)
    for card in CARDS:
        shutil.copy(sample / "cards" / f"{card}.md", root / "sample" / "cards")
    shutil.copytree(sample / "figures", root / "sample" / "figures")
    texts = [card.read_text() for card in (root / "sample" / "cards").iterdir()]
    for path in (root / "sample" / "figures").iterdir():
        if not any(path.name in text for text in texts):
            path.unlink()  # a picture that no card shows would be an item of its own
    command = [*_UNIRAG, "index", str(root / "sample"), "--corpus", "sample"]
    subprocess.run(command, env=_environment(root / "home", models), check=True)
    return root / "home"


@pytest.fixture(scope="module")
def serve(models: Path, browser: Browser) -> Callable[..., Any]:
    @contextmanager
    def start(home: Path, **settings: str) -> Iterator[Site]:
        server = subprocess.Popen(
            [*_UNIRAG, "serve", "--port", "0"],
            env={**_environment(home, models), **settings},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stderr is not None
            log = ""
            for line in server.stderr:
                if address := re.search(r"Open (http://\S+)", line):
                    break
                log += line
            else:
                raise AssertionError(f"the service did not start: {log}")
            site = Site(address[1], browser)
            yield site
            assert not site.foreign_requests
            assert not site.script_errors
        finally:
            server.terminate()
            server.wait(60)

    return start


@pytest.fixture(scope="module")
def site(indexed_home: Path, serve: Any) -> Iterator[Site]:
    with serve(indexed_home) as site:
        yield site


_UNIRAG = (sys.executable, "-m", "unirag")


def _environment(home: Path, models: Path) -> dict[str, str]:
    environment = {n: v for n, v in os.environ.items() if not n.startswith("UNIRAG_")}
    return {**environment, "UNIRAG_HOME": str(home), "UNIRAG_MODELS": str(models)}


@pytest.fixture(scope="session")
def copy_home(indexed_home: Path) -> Callable[[Path], Path]:
    """Return a function that copies the indexed workspace into a folder."""

    def copy(folder: Path) -> Path:
        return Path(shutil.copytree(indexed_home, folder / "home"))

    return copy


@pytest.fixture
def other_site() -> Iterator[str]:
    """Serve a page of another site, which frames the address behind its question mark."""

    class FramingPage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = self.path.partition("?")[2]
            body = f'<iframe src="{address}" width="1200" height="800"></iframe>'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), FramingPage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
