"""Keys of the service: a key opens the requests, corpora and conversations that belong to it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from data.errors import BadSetting
from unirag.cli.serving import _bind
from unirag.settings import load_settings

STUDENT, TEACHER, OTHER = "student-key-0123456789", "teacher-key-0123456789", "other-key-0123456789"
KEYS = [
    {"key": STUDENT, "name": "class-7b"},
    {"key": TEACHER, "name": "staff", "teacher": True},
    {"key": OTHER, "name": "elsewhere", "corpora": ["chemistry"]},
]
QUESTION = {"text": "Why does light bend when it enters glass?"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/styles", "/v1/corpora", "/metrics"])
@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"Authorization": f"Basic {STUDENT}"}])
def test_requests_without_a_valid_key_are_refused(
    serve: Any, path: str, headers: dict[str, str]
) -> None:
    with serve(api_keys=KEYS) as client:
        reply = client.get(path, headers=headers)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert client.get("/healthz").status_code == 200
        assert client.get("/openapi.json").status_code == 200


def test_index_jobs_need_the_key_of_a_teacher(serve: Any) -> None:
    with serve(api_keys=KEYS) as client:
        assert client.post("/v1/search", json=QUESTION, headers=bearer(STUDENT)).json()["hits"]
        for call in (client.get, client.post):
            reply = call("/v1/index-jobs", headers=bearer(STUDENT))
            assert reply.status_code == 403
            assert "teacher's key" in reply.json()["error"]["message"]
        assert client.get("/v1/index-jobs", headers=bearer(TEACHER)).status_code == 200


def test_a_key_opens_its_own_corpora_only(serve: Any) -> None:
    with serve(api_keys=KEYS) as client:
        hits = client.post("/v1/search", json=QUESTION, headers=bearer(STUDENT)).json()["hits"]
        result = client.post("/v1/search", json=QUESTION, headers=bearer(OTHER)).json()
        assert (result["hits"], result["no_good_match"]) == ([], True)
        cards_only = {**QUESTION, "corpora": ["cards"]}
        assert client.post("/v1/search", json=cards_only, headers=bearer(OTHER)).status_code == 403
        item = f"/v1/items/{hits[0]['id']}"
        assert client.get(item, headers=bearer(OTHER)).status_code == 404
        assert client.get(item, headers=bearer(STUDENT)).status_code == 200
        assert client.get("/v1/corpora", headers=bearer(OTHER)).json() == {"corpora": []}


def test_a_picture_is_served_to_keys_of_a_corpus_that_contains_it(
    serve: Any, workspace: Any
) -> None:
    atlas_key = {"key": "atlas-key-0123456789", "name": "atlas", "corpora": ["atlas", "cards"]}
    with serve(api_keys=[*KEYS, atlas_key]) as client:
        hits = client.post("/v1/search", json=QUESTION, headers=bearer(STUDENT)).json()["hits"]
        (picture,) = [h["image"] for h in hits if h["image"]]
        for path in (picture, f"{picture}/thumbnail"):
            for key in (STUDENT, TEACHER, atlas_key["key"]):
                assert client.get(path, headers=bearer(key)).status_code == 200, key
            hidden = client.get(path, headers=bearer(OTHER))
            absent = client.get(path.replace(picture[-64:], "0" * 64), headers=bearer(OTHER))
            assert hidden.status_code == absent.status_code == 404
            assert hidden.content == absent.content
        # once a corpus of the key contains the same picture, the key may see it
        files = {"file": ("ray.png", (workspace.cards / "ray.png").read_bytes())}
        job = client.post(
            "/v1/index-jobs", data={"corpus": "chemistry"}, files=files, headers=bearer(TEACHER)
        ).json()
        while job["state"] in ("queued", "running"):
            job = client.get(f"/v1/index-jobs/{job['id']}", headers=bearer(TEACHER)).json()
            time.sleep(0.05)
        assert job["state"] == "done", job
        assert client.get(picture, headers=bearer(OTHER)).status_code == 200


def test_a_conversation_is_visible_to_its_owner_only(serve: Any) -> None:
    with serve(api_keys=KEYS) as client:
        answer = client.post("/v1/ask", json=QUESTION, headers=bearer(STUDENT)).json()
        path = f"/v1/conversations/{answer['conversation']}"
        assert client.get(path, headers=bearer(STUDENT)).status_code == 200
        for call in (client.get, client.delete):
            assert call(path, headers=bearer(TEACHER)).status_code == 404
        follow_up = {**QUESTION, "conversation": answer["conversation"]}
        assert client.post("/v1/ask", json=follow_up, headers=bearer(TEACHER)).status_code == 404


def test_other_sites_need_an_origin_in_the_settings(serve: Any) -> None:
    origin = {"Origin": "https://lms.example"}
    with serve() as client:
        assert "access-control-allow-origin" not in client.get("/healthz", headers=origin).headers
    with serve(service={"origins": ["https://lms.example"]}) as client:
        allowed = client.get("/healthz", headers=origin).headers["access-control-allow-origin"]
        assert allowed == "https://lms.example"


def test_keys_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIRAG_API_KEYS", f"{STUDENT}, teacher:{TEACHER}")
    student, teacher = load_settings().api_keys
    assert (student.key.get_secret_value(), student.teacher) == (STUDENT, False)
    assert (teacher.key.get_secret_value(), teacher.teacher) == (TEACHER, True)
    keys_json = json.dumps([{"key": OTHER, "name": "a", "corpora": ["x"]}])
    monkeypatch.setenv("UNIRAG_API_KEYS", keys_json)
    assert load_settings().api_keys[0].corpora == ("x",)


@pytest.mark.parametrize("value", ["short", "[{", '[{"key": "0123456789abcdef"}]'])
def test_malformed_keys_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("UNIRAG_API_KEYS", value)
    with pytest.raises(BadSetting, match="api_keys"):
        load_settings()


def test_serving_other_machines_needs_keys() -> None:
    with pytest.raises(BadSetting, match="UNIRAG_API_KEYS"):
        _bind("0.0.0.0", 8008, has_keys=False)
    _bind("0.0.0.0", 0, has_keys=True).close()
