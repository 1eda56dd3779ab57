"""The page on the service: sign-in, coverage pages, and requests that it must refuse."""

from __future__ import annotations

import re
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
from unirag.api.app_factory import create_api
from unirag.api.errors import Unauthorized
from unirag.app import App
from unirag.settings import load_settings
from unirag.settings.service import ApiKey
from unirag.workspace.catalog import Catalog, Corpus, DocumentProblem, StoredDocument

STUDENT, TEACHER = "student-key-0123456789", "teacher-key-0123456789"
KEYS = [
    {"key": STUDENT, "name": "class-7b"},
    {"key": TEACHER, "name": "staff", "teacher": True},
]


@contextmanager
def serve_page(home: Path, **settings: Any) -> Iterator[TestClient]:
    """Serve a workspace. Nothing that is tested here loads a model."""
    with App.open(load_settings(home=home, **settings)) as app:
        api = create_api(app)
        ui.mount(api)
        with TestClient(api, follow_redirects=False, raise_server_exceptions=False) as client:
            yield client


def sign_in(client: TestClient, key: str) -> Any:
    return client.post("/sign-in", data={"key": key})


def test_a_service_with_keys_asks_for_one(tmp_path: Path) -> None:
    with serve_page(tmp_path / "home", api_keys=KEYS) as client:
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


def test_scripts_and_other_sites_cannot_read_the_cookie(tmp_path: Path) -> None:
    with serve_page(tmp_path / "home", api_keys=KEYS) as client:
        cookie = sign_in(client, TEACHER).headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie


@pytest.mark.parametrize("forgery", ["expiry", "signature", "other key", "expired", "empty"])
def test_a_forged_or_expired_cookie_is_refused(
    forgery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access([ApiKey.model_validate(KEYS[0])], b"secret")
    expiry, _, signature = access.session(STUDENT).partition(".")
    cookie = {
        "expiry": f"{int(expiry) + 1}.{signature}",
        "signature": f"{expiry}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
        "other key": Access([ApiKey.model_validate(KEYS[1])], b"secret").session(TEACHER),
        "expired": f"{expiry}.{signature}",
        "empty": "",
    }[forgery]
    if forgery == "expired":
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 13 * 3600)

    request: Any = SimpleNamespace(headers={}, cookies={COOKIE: cookie})
    with pytest.raises(Unauthorized, match="no such key"):
        access.caller(request)


def test_other_sites_cannot_make_a_browser_change_anything(tmp_path: Path) -> None:
    with serve_page(tmp_path / "home") as client:
        other_site = {"Origin": "https://elsewhere.example"}
        same_site = {"Origin": "http://testserver"}
        form = {"data": {"corpus": "x"}, "files": {"file": b"x"}}
        assert client.post("/v1/index-jobs", headers=other_site, **form).status_code == 403
        assert client.delete("/v1/conversations/x", headers=other_site).status_code == 403
        assert client.post("/gradio_api/queue/join", headers=other_site, json={}).status_code == 403
        assert client.delete("/v1/conversations/x", headers=same_site).status_code == 404
        no_site = {"Origin": "null"}
        assert client.delete("/v1/conversations/x", headers=no_site).status_code == 403
    origins = {"service": {"origins": ["https://elsewhere.example"]}}
    with serve_page(tmp_path / "home", **origins) as client:
        assert client.delete("/v1/conversations/x", headers=other_site).status_code == 404


def test_coverage_says_what_was_left_out_and_why(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path / "home" / "catalog.db")) as catalog:
        catalog.save_corpus(Corpus("optics", "/books/optics"))
        problems = [
            DocumentProblem("b.pdf", "p3", "a <broken> picture", False, "picture", 3),
            DocumentProblem("b.pdf", "p4", "a shape that holds nothing", False),
        ]
        stored = [
            StoredDocument("a.md", "f", "Lenses", 1, 4),
            StoredDocument("b.pdf", "f", "Waves", 0, 9, problems),
            StoredDocument("c.md", "f", "Blank", 0, 0),
            *(StoredDocument(f"z{n:03}.md", "f", "", 0, 1) for n in range(200)),
        ]
        catalog.save_documents("optics", stored)
        catalog.mark_failed("optics", "d.pdf", "f", "d.pdf: not a PDF")
        catalog.set_state("optics", "read", [("e.pdf", "f")])
    with serve_page(tmp_path / "home", api_keys=KEYS) as client:
        sign_in(client, STUDENT)
        assert client.get("/coverage/optics").status_code == 403
        sign_in(client, TEACHER)
        page = client.get("/coverage/optics").text
        assert (
            "1 figure and 213 passages from 203 of 205 documents; 1 could not be read; 1 not read"
        ) in page
        order = ["d.pdf: not a PDF", "e.pdf", "a &lt;broken&gt; picture", "c.md", "a.md", "z000.md"]
        assert sorted(order, key=page.index) == order
        assert "Page 1 of 2" in page
        assert "z199.md" in client.get("/coverage/optics?page=2").text
        assert client.get("/coverage/chemistry").status_code == 404
        coverage = client.get("/v1/corpora/optics/coverage?limit=3").json()
        counts = {"total": 205, "failed": 1, "unfinished": 1, "with_problems": 1}
        assert {name: coverage[name] for name in counts} == counts
        states = [document["state"] for document in coverage["covered"]]
        assert states == ["failed", "read", "stored"]
        assert "<li>a &lt;broken&gt; picture (picture, page 3)</li>" in page
        assert "<li>a shape that holds nothing</li>" in page
        assert coverage["covered"][2]["problems"] == [
            {"anchor": "p3", "message": "a <broken> picture", "kind": "picture", "page": 3},
            {"anchor": "p4", "message": "a shape that holds nothing", "kind": "part", "page": None},
        ]


def test_the_page_may_load_from_its_own_service_only(tmp_path: Path) -> None:
    with serve_page(tmp_path / "home") as client:
        policy = client.get("/").headers["content-security-policy"]
        assert "default-src 'self' data: blob:" in policy
        assert "http" not in policy
        for path in ("/docs", "/redoc"):
            page = client.get(path)
            assert page.headers["content-security-policy"] == policy
            assert "https://" not in page.text
            script = re.search(r'<script src="([^"]+)"', page.text)
            assert script
            assert client.get(script[1]).status_code == 200


def test_handlers_are_no_endpoints_and_no_file_is_served(tmp_path: Path) -> None:
    with serve_page(tmp_path / "home") as client:
        assert client.get("/gradio_api/info").json()["named_endpoints"] == {}
        for path in ("/etc/passwd", str(tmp_path / "home" / "catalog.db")):
            assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)
        assert client.get("/gradio_api/proxy=http://127.0.0.1:1/").status_code >= 400


@pytest.mark.parametrize("planted", ["path", "url"])
def test_no_address_is_fetched_on_behalf_of_a_client(tmp_path: Path, planted: str) -> None:
    requested_paths: list[str] = []

    class OtherSite(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested_paths.append(self.path)
            self.send_error(404)

    server = HTTPServer(("127.0.0.1", 0), OtherSite)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/picture.png"
    with serve_page(tmp_path / "home") as client:
        layout = client.get("/config").json()
        components = {component["id"]: component for component in layout["components"]}
        for kind in ("multimodaltextbox", "audio"):
            (target,) = (i for i, c in components.items() if c["type"] == kind)
            event = next(d for d in layout["dependencies"] if target in d["inputs"])
            file = {"path": None, planted: address, "meta": {"_type": "gradio.FileData"}}
            planted_value = file if kind == "audio" else {"text": "Why?", "files": [file]}
            data = [
                planted_value if i == target else components[i]["props"].get("value")
                for i in event["inputs"]
            ]
            call = {"fn_index": event["id"], "data": data, "session_hash": kind}
            assert client.post("/gradio_api/queue/join", json=call).status_code == 200
            with client.stream("GET", f"/gradio_api/queue/data?session_hash={kind}") as events:
                text = "".join(events.iter_lines())
            assert '"success":false' in text.lower().replace(" ", "")
            if planted == "path":
                assert "send the file itself" in text
    server.shutdown()
    assert requested_paths == []


def test_the_font_of_formulas_is_served_without_a_key(tmp_path: Path) -> None:
    with serve_page(tmp_path / "home", api_keys=KEYS) as client:
        reply = client.get("/fonts/stix-two-math.woff2")
        assert (reply.status_code, reply.content[:4]) == (200, b"wOF2")
        assert client.get("/fonts/../app.js").status_code != 200
