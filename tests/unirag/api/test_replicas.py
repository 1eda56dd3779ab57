"""Two services share a workspace and a Qdrant server, and see each other's changes."""

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

from retrieval.qdrant_server import ServerStore
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


class PausedIndexing:
    """Pause indexing before its second document, and record the stores it writes to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stores: list[Any] = []
        self.second_document, self.resume = threading.Event(), threading.Event()
        real = indexer._IndexRun._start_document

        def start(run: Any, document: Any) -> None:
            if document.selected:
                self.stores.append(run.indexer.store)
                if len(self.stores) == 2:
                    self.second_document.set()
                    assert self.resume.wait(60)
            real(run, document)

        monkeypatch.setattr(indexer._IndexRun, "_start_document", start)
        monkeypatch.setattr(indexer, "_MAX_WAIT_SECONDS", 0.0)  # each document is stored at once


@pytest.fixture
def shared(workspace: Any, chat: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let every store of the workspace use one Qdrant server in memory."""
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
    monkeypatch.setenv("UNIRAG_HOME", str(workspace.root / "shared"))
    return workspace


@pytest.fixture
def pair(shared: Any) -> Iterator[Pair]:
    with shared.open() as first, shared.open() as second:
        first.index([shared.cards])
        with TestClient(create_api(first)) as a, TestClient(create_api(second)) as b:
            for client in (a, b):
                client.headers["Authorization"] = f"Bearer {TEACHER}"
            yield Replica(first, a), Replica(second, b)


def upload(client: TestClient, corpus: str) -> dict[str, Any]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("one", "two", "three"):
            archive.writestr(f"{name}.md", f"# {name}\n\nThe {corpus} number {name} is a zorb.\n")
    files = {"file": ("notes.zip", buffer.getvalue())}
    reply = client.post("/v1/index-jobs", data={"corpus": corpus}, files=files)
    assert reply.status_code == 202, reply.text
    job: dict[str, Any] = reply.json()
    return job


def get_job(client: TestClient, name: str) -> dict[str, Any]:
    job: dict[str, Any] = client.get(f"/v1/index-jobs/{name}").json()
    return job


def wait_until_ended(client: TestClient, name: str) -> dict[str, Any]:
    for _ in range(6000):
        if (job := get_job(client, name))["state"] not in ("queued", "running"):
            return job
        time.sleep(0.01)
    raise AssertionError(job)


def test_a_conversation_continues_in_another_replica(pair: Pair) -> None:
    a, b = (replica.http for replica in pair)
    first = a.post("/v1/ask", json={"text": "Why does light bend in glass?"}).json()
    name = first["conversation"]
    follow_up = {"text": "and towards what?", "conversation": name}
    assert b.post("/v1/ask", json=follow_up).json()["turn"] == 2
    assert a.post("/v1/ask", json=follow_up).json()["turn"] == 3
    turns = b.get(f"/v1/conversations/{name}").json()["turns"]
    assert [t["question"] for t in turns] == [
        "Why does light bend in glass?",
        *[follow_up["text"]] * 2,
    ]
    assert b.delete(f"/v1/conversations/{name}").status_code in (200, 204)
    assert a.get(f"/v1/conversations/{name}").status_code == 404


def test_replicas_serve_the_same_corpora_and_pictures(pair: Pair) -> None:
    a, b = (replica.http for replica in pair)
    job = wait_until_ended(b, upload(a, "notes")["id"])
    assert (job["state"], job["report"]["documents"]["new"]) == ("done", 3)
    assert a.get("/v1/corpora").json() == b.get("/v1/corpora").json()
    assert [c["name"] for c in b.get("/v1/corpora").json()["corpora"]] == ["cards", "notes"]
    result = b.post("/v1/search", json={"text": "a ray that enters glass", "kinds": ["figure"]})
    assert a.get(result.json()["hits"][0]["image"]).headers["content-type"] == "image/png"


def test_a_job_is_watched_and_cancelled_from_another_replica(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = (replica.http for replica in pair)
    indexing = PausedIndexing(monkeypatch)
    running = upload(a, "physics")["id"]
    assert indexing.second_document.wait(60)
    waiting = upload(b, "chemistry")["id"]
    for client in (a, b):
        job = get_job(client, running)
        assert (job["state"], job["documents"], job["total"]) == ("running", 1, 3)
        assert get_job(client, waiting)["state"] == "queued"
    indexing_store = indexing.stores[0]
    # the replica that does not run the job
    idle = a if pair[1].app.components.store is indexing_store else b
    idle.delete(f"/v1/index-jobs/{running}")
    indexing.resume.set()
    assert wait_until_ended(idle, running)["state"] == "cancelled"
    assert wait_until_ended(idle, waiting)["state"] == "done"
    assert {id(s) for s in indexing.stores} == {id(indexing_store)}
    assert len(indexing.stores) == 2 + 3


def test_another_replica_continues_a_job_when_its_replica_shuts_down(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that is killed is tested in tests/unirag/test_jobs.py."""
    indexing = PausedIndexing(monkeypatch)
    job = upload(pair[0].http, "physics")["id"]
    assert indexing.second_document.wait(60)
    runs_first = pair[0].app.components.store is indexing.stores[0]
    ending, remaining = pair if runs_first else reversed(pair)
    jobs = ending.http.app.state.service.jobs  # type: ignore[attr-defined]
    jobs._closing = True
    indexing.resume.set()
    jobs.close()
    final_job = wait_until_ended(remaining.http, job)
    assert (final_job["state"], final_job["documents"], final_job["total"]) == ("done", 3, 3)
    assert final_job["report"]["documents"]["unchanged"] == 1  # stored by the other replica
    stores = [replica.app.components.store for replica in (ending, remaining)]
    assert indexing.stores == [stores[0]] * 2 + [stores[1]] * 2


def test_the_command_line_can_index_while_no_job_runs(
    pair: Pair, shared: Any, unirag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    assert unirag(f"index {shared.cards}").code == 0
    indexing = PausedIndexing(monkeypatch)
    job = upload(b.http, "physics")["id"]
    assert indexing.second_document.wait(60)
    for command in (f"index {shared.cards}", "corpora remove cards"):
        run = unirag(command)
        assert run.code == 2
        assert f"is being indexed by process {os.getpid()} (" in run.err
    assert unirag("corpora list --json").json["corpora"][0]["name"] == "cards"
    indexing.resume.set()
    assert wait_until_ended(a.http, job)["state"] == "done"


@pytest.fixture
def own_encoders(shared: Any) -> None:
    """Let each replica load its own encoder."""
    shared.load_models("encoder")


def test_a_style_enrolled_in_one_replica_is_used_by_the_other(
    own_encoders: None, pair: Pair, unirag: Any
) -> None:
    a, b = (replica.http for replica in pair)
    assert pair[0].app.components.encoder is not pair[1].app.components.encoder
    picture = {"image": ("query.png", png(3, dark=True))}

    def search(client: TestClient, style: str) -> Any:
        return client.post("/v1/search", files=picture, data={"image_style": style})

    assert search(b, "neon").status_code == 400
    styles_before = search(b, "auto").json()["styles"]
    examples = [("examples", (f"{i}.png", png(i, dark=True))) for i in range(8)]
    originals = [("originals", (f"{i}.png", png(i, dark=False))) for i in range(8)]
    for version in (1, 2):
        enrolled = a.post("/v1/styles", data={"name": "neon"}, files=[*examples, *originals])
        assert enrolled.json()["version"] == version
    assert search(b, "neon").json()["styles"]["neon"] == 1
    assert set(search(b, "auto").json()["styles"]) == {*styles_before, "neon"}
    assert [e.version for e in pair[1].app.components.encoder.enrolled] == [2]
    assert unirag("styles remove neon").code == 0
    assert search(b, "neon").status_code == search(a, "neon").status_code == 400


def test_a_session_of_one_replica_is_valid_in_the_other(pair: Pair) -> None:
    a, b = (replica.http for replica in pair)
    cookie = a.app.state.service.access.session(STUDENT)  # type: ignore[attr-defined]
    del b.headers["Authorization"]
    assert b.get("/v1/corpora").status_code == 401
    b.cookies.set(COOKIE, cookie)
    assert b.get("/v1/corpora").status_code == 200


def png(i: int, *, dark: bool) -> bytes:
    image = Image.new("RGB", (96, 64), "black" if dark else "white")
    ink = "yellow" if dark else "black"
    ImageDraw.Draw(image).line([(8, 4 * i), (48, 32), (90 - 3 * i, 60)], fill=ink, width=3)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
