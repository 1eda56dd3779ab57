from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from data.errors import BadInput, Missing
from data.pictures import Assets
from data.records import Answer, Hit, Item, Query, Sentence
from unirag.api.service import create
from unirag.cli.serving import _check
from unirag.search import Found


class FakeApp:
    """Answers every question with one figure, and remembers the pictures it was given."""

    def __init__(self, root: Path) -> None:
        self.assets = Assets(root / "assets")
        picture = Image.new("RGB", (8, 8), "red")
        picture.save(root / "p.png")
        self.digest = self.assets.put((root / "p.png").read_bytes(), picture)
        item = Item(
            "i1", "figure", "c", "s#1", "Prism", "A prism.", image=self.digest, licence="CC"
        )
        self.hits = (Hit(item, 0.5, {"text": 0.7}),)
        self.seen: list[tuple[Path, bytes]] = []
        self.error: Exception | None = None

    def search(self, text: str, *, images: list[Path], limit: int) -> Found:
        if self.error:
            raise self.error
        self.seen += [(p, p.read_bytes()) for p in images]
        return Found(Query(text), text, self.hits[:limit], 0.9, False, {"total": 1.0})

    def stream(self, text: str, **given: Any) -> Any:
        yield self.search(text, **given)
        sentence = Sentence("A prism splits light.", ("i1",), 0.8)
        yield sentence
        yield Answer(text, (sentence,), self.hits, timings_ms={"total": 2.0})


@pytest.fixture
def app(tmp_path: Path) -> FakeApp:
    return FakeApp(tmp_path)


@pytest.fixture
def client(app: FakeApp) -> TestClient:
    return TestClient(create(app), raise_server_exceptions=False)  # type: ignore[arg-type]


def test_search_and_ask_give_addresses_and_no_paths(client: TestClient, app: FakeApp) -> None:
    found = client.post("/v1/search", data={"text": "prism", "limit": "1"}).json()
    assert found["hits"][0]["image"] == f"/v1/assets/{app.digest}"
    answer = client.post("/v1/ask", data={"text": "prism"}).json()
    assert answer["sentences"] == [
        {"text": "A prism splits light.", "citations": ["i1"], "support": 0.8}
    ]
    assert str(app.assets.root) not in str(answer)
    picture = client.get(found["hits"][0]["image"])
    assert picture.headers["content-type"] == "image/png"
    assert picture.content == app.assets.path(app.digest).read_bytes()  # type: ignore[union-attr]


def test_an_uploaded_name_is_never_a_path(client: TestClient, app: FakeApp) -> None:
    upload = {"image": ("../../etc/passwd.png", b"bytes", "image/png")}
    assert client.post("/v1/search", data={"text": ""}, files=upload).status_code == 200
    path, data = app.seen[0]
    assert data == b"bytes"
    assert path.name == "query"
    assert not path.exists()  # gone with the request


@pytest.mark.parametrize(
    ("error", "status"), [(BadInput("bad"), 400), (Missing("gone; run: unirag models pull"), 503)]
)
def test_errors_keep_their_message(
    client: TestClient, app: FakeApp, error: Exception, status: int
) -> None:
    app.error = error
    reply = client.post("/v1/search", data={"text": "x"})
    assert reply.status_code == status
    assert reply.json()["error"]["message"] == str(error)


@pytest.mark.parametrize("digest", ["0" * 64, "..%2f..%2fetc%2fpasswd", "short"])
def test_assets_that_are_not_kept(client: TestClient, digest: str) -> None:
    assert client.get(f"/v1/assets/{digest}").status_code == 404


def test_the_page_asks_only_this_service(client: TestClient) -> None:
    page = client.get("/").text
    assert "<form" in page
    assert not re.findall(r"(?:src|href|fetch\()[=(\"']*https?://", page)
    assert client.get("/healthz").json() == {"status": "ok"}


def test_only_loopback_is_served_on() -> None:
    with pytest.raises(BadInput, match="expected a loopback address"):
        _check("0.0.0.0", 8008)
