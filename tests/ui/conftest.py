"""The real app in a real browser: the sample corpus, the models of profile mini, Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import data.sample

PATIENCE = 60_000  # ms: the machines that run these tests are shared, and only wrong pages fail
expect.set_options(timeout=PATIENCE)

# cards that the questions of the tests are about; all of them would take a minute to index
CARDS = (
    "simple-pendulum human-heart galvanic-cell refraction-and-snells-law truss-bridge "
    "photosynthesis quadratic-functions logic-gates".split()
)


@dataclass
class Site:
    """A served home; `page()` opens a tab of a browser of its own, which asks nobody else."""

    url: str
    browser: Browser
    outside: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def page(self, **context: Any) -> Page:
        opened = self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        opened.set_default_timeout(PATIENCE)
        page = opened.new_page()
        page.on("request", self._asked)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.goto(self.url)
        return page

    def _asked(self, request: Any) -> None:
        at = urlsplit(request.url)
        if at.scheme not in ("data", "blob") and at.netloc != urlsplit(self.url).netloc:
            self.outside.append(request.url)


@pytest.fixture(scope="module")  # its event loop would be in the way of asynchronous tests
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
def shelf(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with some cards of the sample corpus in it."""
    root = tmp_path_factory.mktemp("web")
    sample = Path(data.sample.__file__).parent
    (root / "sample" / "cards").mkdir(parents=True)
    for card in CARDS:
        shutil.copy(sample / "cards" / f"{card}.md", root / "sample" / "cards")
    shutil.copytree(sample / "figures", root / "sample" / "figures")
    for path in (root / "sample" / "figures").iterdir():  # bare pictures would be items too
        if not any(path.name in c.read_text() for c in (root / "sample" / "cards").iterdir()):
            path.unlink()
    command = [*_UNIRAG, "index", str(root / "sample"), "--corpus", "sample"]
    subprocess.run(command, env=_settings(root / "home", models), check=True)
    return root / "home"


@pytest.fixture(scope="module")
def serve(models: Path, browser: Browser) -> Callable[..., Any]:
    @contextmanager
    def start(home: Path, **environment: str) -> Iterator[Site]:
        server = subprocess.Popen(
            [*_UNIRAG, "serve", "--port", "0"],
            env={**_settings(home, models), **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stderr is not None
            for line in server.stderr:
                if found := re.search(r"Open (http://\S+)", line):
                    break
            else:
                raise AssertionError("the service did not start")
            site = Site(found[1], browser)
            yield site
            assert not site.outside, "the page asked somebody else"
            assert not site.troubles
        finally:
            server.terminate()
            server.wait(60)

    return start


@pytest.fixture(scope="module")
def site(shelf: Path, serve: Any) -> Iterator[Site]:
    with serve(shelf) as site:
        yield site


_UNIRAG = (sys.executable, "-m", "unirag")


def _settings(home: Path, models: Path) -> dict[str, str]:
    known = {n: v for n, v in os.environ.items() if not n.startswith("UNIRAG_")}
    return {**known, "UNIRAG_HOME": str(home), "UNIRAG_MODELS": str(models)}
