"""The page on the service: who is let in, and what may not be asked of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

import ui
from unirag.api.access import COOKIE, Access
from unirag.api.app_factory import create
from unirag.api.errors import Unauthorized
from unirag.app import App
from unirag.settings import load_settings
from unirag.settings.service import ApiKey
from unirag.workspace.catalog import Catalog, Corpus, Stored, Trouble

STUDENT, TEACHER = "student-key-0123456789", "teacher-key-0123456789"
KEYS = [
    {"key": STUDENT, "name": "class-7b"},
    {"key": TEACHER, "name": "staff", "teacher": True},
]


@contextmanager
def served(home: Path, **settings: Any) -> Iterator[TestClient]:
    """An empty home needs no models for what is tested here."""
    with App(load_settings(home=home, **settings)) as app:
        api = create(app)
        ui.mount(api)
        with TestClient(api, follow_redirects=False, raise_server_exceptions=False) as client:
            yield client


def sign_in(client: TestClient, key: str) -> Any:
    return client.post("/sign-in", data={"key": key})


def test_with_keys_the_page_asks_for_one(tmp_path: Path) -> None:
    with served(tmp_path / "home", api_keys=KEYS) as client:
        reply = client.get("/")
        assert (reply.status_code, reply.headers["location"]) == (303, "sign-in")
        assert client.get("/config").status_code == 401
        assert client.post("/gradio_api/queue/join", json={}).status_code == 401
        assert client.post("/gradio_api/upload", files={"files": b"x"}).status_code == 401
        assert sign_in(client, "no-key-of-this-service").status_code == 401
        assert client.get("/").status_code == 303
        assert sign_in(client, STUDENT).status_code == 303
        assert client.get("/").status_code == 200
        assert client.get("/v1/corpora").status_code == 200, "the page's pictures need the cookie"
        assert client.get("/v1/index-jobs").status_code == 403, "a student stays a student"
        cookie = client.cookies[COOKIE]
        assert STUDENT not in cookie
        client.post("/sign-out")
        assert client.get("/").status_code == 303


def test_cookie_is_kept_from_scripts_and_other_sites(tmp_path: Path) -> None:
    with served(tmp_path / "home", api_keys=KEYS) as client:
        said = sign_in(client, TEACHER).headers["set-cookie"].lower()
        assert "httponly" in said
        assert "samesite=strict" in said


@pytest.mark.parametrize("spoil", ["expiry", "signature", "other key", "late", "nothing"])
def test_cookie_cannot_be_made_up(spoil: str, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access([ApiKey.model_validate(KEYS[0])])
    expiry, _, sign = access.session(STUDENT).partition(".")
    made = {
        "expiry": f"{int(expiry) + 1}.{sign}",
        "signature": f"{expiry}.{sign[:-1]}{'0' if sign[-1] != '0' else '1'}",
        "other key": Access([ApiKey.model_validate(KEYS[1])]).session(TEACHER),
        "late": f"{expiry}.{sign}",
        "nothing": "",
    }[spoil]
    if spoil == "late":
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 13 * 3600)

    request: Any = SimpleNamespace(headers={}, cookies={COOKIE: made})
    with pytest.raises(Unauthorized, match="no such key"):
        access.caller(request)


def test_other_sites_cannot_have_a_browser_change_anything(tmp_path: Path) -> None:
    with served(tmp_path / "home") as client:
        elsewhere = {"Origin": "https://elsewhere.example"}
        here = {"Origin": "http://testserver"}
        form = {"data": {"corpus": "x"}, "files": {"file": b"x"}}
        assert client.post("/v1/index-jobs", headers=elsewhere, **form).status_code == 403
        assert client.delete("/v1/conversations/x", headers=elsewhere).status_code == 403
        assert client.post("/gradio_api/queue/join", headers=elsewhere, json={}).status_code == 403
        assert client.delete("/v1/conversations/x", headers=here).status_code == 404
        null = {"Origin": "null"}
        assert client.delete("/v1/conversations/x", headers=null).status_code == 403
    origins = {"service": {"origins": ["https://elsewhere.example"]}}
    with served(tmp_path / "home", **origins) as client:
        assert client.delete("/v1/conversations/x", headers=elsewhere).status_code == 404


def test_coverage_names_what_is_not_indexed_and_why(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path / "home" / "catalog.db")) as catalog:
        catalog.put_corpus(Corpus("optics", "/books/optics"))
        cut = [Trouble("b.pdf", "page-3", "b.pdf, page 3: a <broken> picture", dead=False)]
        stored = [
            Stored("a.md", "f", "Lenses", 1, 4),
            Stored("b.pdf", "f", "Waves", 0, 9, cut),
            Stored("c.md", "f", "Blank", 0, 0),
            *(Stored(f"z{n:03}.md", "f", "", 0, 1) for n in range(200)),
        ]
        catalog.put_documents("optics", stored)
        catalog.fail("optics", "d.pdf", "f", "d.pdf: not a PDF")
        catalog.mark("optics", "read", [("e.pdf", "f")])
    with served(tmp_path / "home", api_keys=KEYS) as client:
        sign_in(client, STUDENT)
        assert client.get("/coverage/optics").status_code == 403
        sign_in(client, TEACHER)
        page = client.get("/coverage/optics").text
        told = (
            "1 figure and 213 passages from 203 of 205 documents; 1 could not be read; 1 not read"
        )
        assert told in page
        order = ["d.pdf: not a PDF", "e.pdf", "a &lt;broken&gt; picture", "c.md", "a.md", "z000.md"]
        assert sorted(order, key=page.index) == order
        assert "Page 1 of 2" in page
        assert "z199.md" in client.get("/coverage/optics?page=2").text
        assert client.get("/coverage/chemistry").status_code == 404
        found = client.get("/v1/corpora/optics/coverage?limit=3").json()
        assert (found["total"], found["failed"], found["unfinished"], found["cut"]) == (
            205,
            1,
            1,
            1,
        )
        assert [c["state"] for c in found["covered"]] == ["failed", "read", "stored"]
        assert found["covered"][2]["left_out"][0]["anchor"] == "page-3"


def test_page_may_load_from_here_only(tmp_path: Path) -> None:
    with served(tmp_path / "home") as client:
        policy = client.get("/").headers["content-security-policy"]
        assert "default-src 'self' data: blob:" in policy
        assert "http" not in policy
        assert "content-security-policy" not in client.get("/docs").headers


def test_no_handler_is_offered_as_an_endpoint_and_no_file_is_given_away(tmp_path: Path) -> None:
    with served(tmp_path / "home") as client:
        assert client.get("/gradio_api/info").json()["named_endpoints"] == {}
        for path in ("/etc/passwd", str(tmp_path / "home" / "catalog.db")):
            assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)
        assert client.get("/gradio_api/proxy=http://127.0.0.1:1/").status_code >= 400


@pytest.mark.parametrize("planted", ["path", "url"])
def test_no_address_is_fetched_for_a_client(tmp_path: Path, planted: str) -> None:
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/picture.png"
    with served(tmp_path / "home") as client:
        layout = client.get("/config").json()
        kinds = {c["id"]: c for c in layout["components"]}
        for kind in ("image", "audio"):
            (mine,) = (i for i, c in kinds.items() if c["type"] == kind)
            event = next(d for d in layout["dependencies"] if mine in d["inputs"])
            file = {"path": None, planted: address, "meta": {"_type": "gradio.FileData"}}
            data = [file if i == mine else kinds[i]["props"].get("value") for i in event["inputs"]]
            call = {"fn_index": event["id"], "data": data, "session_hash": kind}
            assert client.post("/gradio_api/queue/join", json=call).status_code == 200
            with client.stream("GET", f"/gradio_api/queue/data?session_hash={kind}") as told:
                said = "".join(told.iter_lines())
            assert '"success": false' in said.lower() or '"success":false' in said.lower()
            if planted == "path":
                assert "send the file itself" in said
    server.shutdown()
    assert asked == []


def test_the_font_of_formulas_comes_from_here_and_needs_no_key(tmp_path: Path) -> None:
    with served(tmp_path / "home", api_keys=KEYS) as client:
        reply = client.get("/fonts/stix-two-math.woff2")
        assert (reply.status_code, reply.content[:4]) == (200, b"wOF2")
        assert client.get("/fonts/../app.js").status_code != 200
