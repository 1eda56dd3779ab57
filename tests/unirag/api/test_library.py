"""Uploads, index jobs and new styles over HTTP."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

SOUND = "# Sound\n\nSound is a wave of pressure; its pitch is the frequency of the wave.\n"
QUESTION = {"text": "What is the pitch of a sound?", "corpora": ["waves"]}


def upload(client: TestClient, name: str, data: bytes, corpus: str = "waves") -> Any:
    files = {"file": (name, data, "application/octet-stream")}
    return client.post("/v1/index-jobs", data={"corpus": corpus}, files=files)


def wait_until_ended(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    for _ in range(600):
        current: dict[str, Any] = client.get(f"/v1/index-jobs/{job['id']}").json()
        if current["state"] not in ("queued", "running"):
            return current
        time.sleep(0.1)
    raise AssertionError(current)


def test_an_upload_is_indexed_and_searchable(client: TestClient, workspace: Any) -> None:
    reply = upload(client, "../../Sound & light.md", SOUND.encode())
    assert reply.status_code == 202, reply.text
    job = wait_until_ended(client, reply.json())
    assert (job["state"], job["report"]["passages"]) == ("done", 1)
    (hit,) = client.post("/v1/search", json=QUESTION).json()["hits"]
    assert hit["source"] == "waves: sound-light.md"
    assert (workspace.home / "sources/waves/sound-light.md").read_text() == SOUND
    assert [c["name"] for c in client.get("/v1/corpora").json()["corpora"]] == ["cards", "waves"]
    # an upload of the same name replaces the document; another name adds one
    new_version = SOUND.replace("pitch", "loudness").encode()
    wait_until_ended(client, upload(client, "sound light.md", new_version).json())
    job = wait_until_ended(
        client, upload(client, "more.md", b"# Echo\n\nAn echo is a sound that comes back.").json()
    )
    assert job["report"]["documents"]["unchanged"] == 1
    texts = [h["text"] for h in client.post("/v1/search", json=QUESTION).json()["hits"]]
    assert any("loudness" in t for t in texts)
    assert not any("pitch" in t for t in texts)
    assert [j["state"] for j in client.get("/v1/index-jobs").json()["jobs"]] == ["done"] * 3


def test_a_corpus_may_be_named_in_words(client: TestClient) -> None:
    job = upload(client, "sound.md", SOUND.encode(), " Year 9  Waves ").json()
    assert job["corpus"] == "year-9-waves"


def test_documents_and_corpora_are_deleted_with_their_uploads(
    client: TestClient, workspace: Any
) -> None:
    upload(client, "sound.md", SOUND.encode())
    echo = b"# Echo\n\nAn echo is a sound that comes back.\n"
    wait_until_ended(client, upload(client, "echo.md", echo).json())
    documents = "/v1/corpora/waves/documents"
    assert client.delete(documents, params={"source": "echo.md"}).status_code == 204
    found = client.post("/v1/search", json=QUESTION).json()["hits"]
    assert [hit["source"] for hit in found] == ["waves: sound.md"]
    folder = workspace.home / "sources/waves"
    assert [path.name for path in folder.iterdir()] == ["sound.md"]
    # the next upload does not bring it back
    wait_until_ended(client, upload(client, "more.md", b"# More\n\nWaves carry energy.\n").json())
    covered = client.get("/v1/corpora/waves/coverage").json()["covered"]
    assert sorted(d["source"] for d in covered) == ["more.md", "sound.md"]

    for source in ("echo.md", "../../conversations.db", "/etc/passwd"):
        assert client.delete(documents, params={"source": source}).status_code == 400
    assert (workspace.home / "conversations.db").exists()
    assert client.delete("/v1/corpora/waves").status_code == 204
    assert not folder.exists()
    assert client.post("/v1/search", json=QUESTION).json()["hits"] == []
    assert client.delete("/v1/corpora/waves").status_code == 404
    assert [c["name"] for c in client.get("/v1/corpora").json()["corpora"]] == ["cards"]


def test_an_archive_is_indexed_and_its_broken_members_are_reported(client: TestClient) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("sound.md", SOUND)
        archive.writestr("broken.pdf", b"%PDF-1.7 nothing")
    job = wait_until_ended(client, upload(client, "waves.zip", buffer.getvalue()).json())
    assert job["state"] == "partly"
    assert "broken.pdf" in str(job["report"]["dead_letters"])
    assert client.post("/v1/search", json=QUESTION).json()["hits"]


def test_only_paths_below_the_index_root_can_be_indexed(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "shelf" / "waves").mkdir(parents=True)
    (tmp_path / "shelf" / "waves" / "sound.md").write_text(SOUND)
    (tmp_path / "secret").mkdir()
    with serve(service={"index_root": tmp_path / "shelf"}) as client:

        def post(path: str, corpus: str = "waves") -> Any:
            return client.post("/v1/index-jobs", json={"corpus": corpus, "path": path})

        assert wait_until_ended(client, post("waves").json())["state"] == "done"
        assert client.post("/v1/search", json=QUESTION).json()["hits"]
        for path in ("../secret", str(tmp_path / "secret"), "absent", "a\0b"):
            reply = post(path, "other")
            assert reply.status_code == 400, path
            assert str(tmp_path) not in reply.text
        reply = post("waves", "cards")  # the corpus of another folder
        assert reply.status_code == 400
        assert "choose another name" in reply.json()["error"]["message"]
    with serve() as client:
        assert "uploads only" in post("waves").json()["error"]["message"]


@pytest.mark.parametrize(
    ("data", "files", "status"),
    [
        ({"corpus": "../name"}, True, 422),
        ({}, True, 400),
        ({"corpus": "waves"}, False, 400),
    ],
)
def test_bad_uploads_are_refused(
    client: TestClient, data: dict[str, str], files: bool, status: int
) -> None:
    parts = {"file": ("a.md", b"x")} if files else {"other": ("a.md", b"x")}
    assert client.post("/v1/index-jobs", data=data, files=parts).status_code == status
    assert client.get("/v1/index-jobs").json() == {"jobs": []}
    assert client.delete("/v1/index-jobs/none").status_code == 404


def test_a_style_is_enrolled_from_examples(client: TestClient) -> None:
    def picture(i: int, dark: bool) -> bytes:
        image = Image.new("RGB", (96, 64), "black" if dark else "white")
        ink = "yellow" if dark else "black"
        ImageDraw.Draw(image).line([(8, 4 * i), (48, 32), (90 - 3 * i, 60)], fill=ink, width=3)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    examples = [("examples", (f"{i}.png", picture(i, True))) for i in range(8)]
    originals = [("originals", (f"{i}.png", picture(i, False))) for i in range(8)]
    reply = client.post("/v1/styles", data={"name": "neon"}, files=[*examples, *originals])
    assert reply.status_code == 201, reply.text
    assert reply.json() == {"name": "neon", "version": 1, "examples": 8, "in_use": True}
    assert "neon" in [s["name"] for s in client.get("/v1/styles").json()["styles"]]
    too_few = client.post("/v1/styles", data={"name": "neon"}, files=examples[:2])
    assert too_few.status_code == 400
    assert "/tmp" not in too_few.text
    unpaired = client.post("/v1/styles", data={"name": "neon"}, files=[*examples, *originals[:3]])
    assert "3 pictures for 8 examples" in unpaired.json()["error"]["message"]
