"""Two services on one home and one Qdrant server: either answers whatever the other was told."""

from __future__ import annotations

import io
import os
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw
from qdrant_client import QdrantClient

from retrieval.server import ServerStore
from unirag.api.access import COOKIE
from unirag.api.app_factory import create_api
from unirag.app import App
from unirag.indexing import indexer

TEACHER, STUDENT = "teacher-0123456789", "student-0123456789"
Pair = tuple["Replica", "Replica"]


@dataclass
class Replica:
    app: App
    http: TestClient


class Documents:
    """Indexing waits before its second document, and says in whose store it wrote."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stores: list[Any] = []
        self.second, self.go = threading.Event(), threading.Event()
        real = indexer._IndexRun._start_document

        def start(run: Any, found: Any) -> None:
            if found.selected:
                self.stores.append(run.indexer.store)
                if len(self.stores) == 2:
                    self.second.set()
                    assert self.go.wait(60)
            real(run, found)

        monkeypatch.setattr(indexer._IndexRun, "_start_document", start)
        monkeypatch.setattr(indexer, "_MAX_WAIT_SECONDS", 0.0)  # each document is stored at once


@pytest.fixture
def shared(place: Any, chat: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where `App` finds a server: the one in memory, which every store is a client of."""
    client = QdrantClient(":memory:")
    monkeypatch.setattr(client, "close", lambda: None)
    monkeypatch.setattr(
        ServerStore,
        "connect",
        lambda url, key, name, stamp, settings, quantization, replacement: ServerStore(
            client, name, stamp, settings, quantization, replacement=replacement
        ),
    )
    monkeypatch.setenv("UNIRAG_QDRANT_URL", "http://127.0.0.1:6333")
    monkeypatch.setenv("UNIRAG_API_KEYS", f"teacher:{TEACHER},{STUDENT}")
    monkeypatch.setenv("UNIRAG_HOME", str(place.root / "shared"))
    return place


@pytest.fixture
def pair(shared: Any) -> Iterator[Pair]:
    with shared.open() as first, shared.open() as second:
        first.index([shared.cards])
        with TestClient(create_api(first)) as a, TestClient(create_api(second)) as b:
            for client in (a, b):
                client.headers["Authorization"] = f"Bearer {TEACHER}"
            yield Replica(first, a), Replica(second, b)


def uploaded(client: TestClient, corpus: str) -> dict[str, Any]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("one", "two", "three"):
            archive.writestr(f"{name}.md", f"# {name}\n\nThe {corpus} number {name} is a zorb.\n")
    files = {"file": ("notes.zip", buffer.getvalue())}
    reply = client.post("/v1/index-jobs", data={"corpus": corpus}, files=files)
    assert reply.status_code == 202, reply.text
    job: dict[str, Any] = reply.json()
    return job


def job_of(client: TestClient, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/index-jobs/{name}").json()
    return found


def ended(client: TestClient, name: str) -> dict[str, Any]:
    for _ in range(6000):
        if (job := job_of(client, name))["state"] not in ("queued", "running"):
            return job
        time.sleep(0.01)
    raise AssertionError(job)


def test_a_conversation_goes_on_in_another_replica(pair: Pair) -> None:
    a, b = (replica.http for replica in pair)
    first = a.post("/v1/ask", json={"text": "Why does light bend in glass?"}).json()
    name = first["conversation"]
    again = {"text": "and towards what?", "conversation": name}
    assert b.post("/v1/ask", json=again).json()["turn"] == 2
    assert a.post("/v1/ask", json=again).json()["turn"] == 3
    turns = b.get(f"/v1/conversations/{name}").json()["turns"]
    assert [t["question"] for t in turns] == ["Why does light bend in glass?", *[again["text"]] * 2]
    assert b.delete(f"/v1/conversations/{name}").status_code in (200, 204)
    assert a.get(f"/v1/conversations/{name}").status_code == 404


def test_corpora_and_pictures_are_the_same_everywhere(pair: Pair) -> None:
    a, b = (replica.http for replica in pair)
    job = ended(b, uploaded(a, "notes")["id"])
    assert (job["state"], job["report"]["documents"]["new"]) == ("done", 3)
    assert a.get("/v1/corpora").json() == b.get("/v1/corpora").json()
    assert [c["name"] for c in b.get("/v1/corpora").json()["corpora"]] == ["cards", "notes"]
    found = b.post("/v1/search", json={"text": "a ray that enters glass", "kinds": ["figure"]})
    assert a.get(found.json()["hits"][0]["image"]).headers["content-type"] == "image/png"


def test_a_job_is_watched_and_cancelled_from_another_replica(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = (replica.http for replica in pair)
    documents = Documents(monkeypatch)
    running = uploaded(a, "physics")["id"]
    assert documents.second.wait(60)
    waiting = uploaded(b, "chemistry")["id"]
    for client in (a, b):
        job = job_of(client, running)
        assert (job["state"], job["documents"], job["total"]) == ("running", 1, 3)
        assert job_of(client, waiting)["state"] == "queued"
    holds = documents.stores[0]
    other = a if pair[1].app.components.store is holds else b  # the one that does not run it
    other.delete(f"/v1/index-jobs/{running}")
    documents.go.set()
    assert ended(other, running)["state"] == "cancelled"
    assert ended(other, waiting)["state"] == "done"
    assert {id(s) for s in documents.stores} == {id(holds)}
    assert len(documents.stores) == 2 + 3


def test_when_the_replica_that_indexes_ends_another_goes_on(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is killed instead is in tests/unirag/test_jobs.py."""
    documents = Documents(monkeypatch)
    job = uploaded(pair[0].http, "physics")["id"]
    assert documents.second.wait(60)
    ends, stays = pair if pair[0].app.components.store is documents.stores[0] else reversed(pair)
    jobs = ends.http.app.state.service.jobs  # type: ignore[attr-defined]
    jobs._closing = True
    documents.go.set()
    jobs.close()
    over = ended(stays.http, job)
    assert (over["state"], over["documents"], over["total"]) == ("done", 3, 3)
    assert over["report"]["documents"]["unchanged"] == 1  # what the other had stored
    assert documents.stores == [ends.app.components.store] * 2 + [stays.app.components.store] * 2


def test_the_command_line_indexes_beside_replicas_but_not_beside_a_job(
    pair: Pair, shared: Any, unirag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    assert unirag(f"index {shared.cards}").code == 0
    documents = Documents(monkeypatch)
    job = uploaded(b.http, "physics")["id"]
    assert documents.second.wait(60)
    for command in (f"index {shared.cards}", "corpora remove cards"):
        refused = unirag(command)
        assert refused.code == 2
        assert f"is being indexed by process {os.getpid()} (" in refused.err
    assert unirag("corpora list --json").json["corpora"][0]["name"] == "cards"
    documents.go.set()
    assert ended(a.http, job)["state"] == "done"


@pytest.fixture
def own_encoders(shared: Any) -> None:
    """Each replica loads an encoder of its own."""
    shared.load_models("encoder")


def test_a_style_that_one_replica_learned_is_known_to_the_other(
    own_encoders: None, pair: Pair, unirag: Any
) -> None:
    a, b = (replica.http for replica in pair)
    assert pair[0].app.components.encoder is not pair[1].app.components.encoder
    picture = {"image": ("query.png", drawn(3, dark=True))}

    def asked(client: TestClient, style: str) -> Any:
        return client.post("/v1/search", files=picture, data={"image_style": style})

    assert asked(b, "neon").status_code == 400
    before = asked(b, "auto").json()["styles"]
    examples = [("examples", (f"{i}.png", drawn(i, dark=True))) for i in range(8)]
    originals = [("originals", (f"{i}.png", drawn(i, dark=False))) for i in range(8)]
    for version in (1, 2):
        taught = a.post("/v1/styles", data={"name": "neon"}, files=[*examples, *originals])
        assert taught.json()["version"] == version
    assert asked(b, "neon").json()["styles"]["neon"] == 1
    assert set(asked(b, "auto").json()["styles"]) == {*before, "neon"}
    assert [e.version for e in pair[1].app.components.encoder.enrolled] == [2]
    assert unirag("styles remove neon").code == 0
    assert asked(b, "neon").status_code == asked(a, "neon").status_code == 400


def test_who_signed_in_at_one_replica_is_signed_in_at_the_other(pair: Pair) -> None:
    a, b = (replica.http for replica in pair)
    cookie = a.app.state.service.access.session(STUDENT)  # type: ignore[attr-defined]
    del b.headers["Authorization"]
    assert b.get("/v1/corpora").status_code == 401
    b.cookies.set(COOKIE, cookie)
    assert b.get("/v1/corpora").status_code == 200


def drawn(i: int, *, dark: bool) -> bytes:
    image = Image.new("RGB", (96, 64), "black" if dark else "white")
    ink = "yellow" if dark else "black"
    ImageDraw.Draw(image).line([(8, 4 * i), (48, 32), (90 - 3 * i, 60)], fill=ink, width=3)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
