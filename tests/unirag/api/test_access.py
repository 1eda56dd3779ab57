"""Who may do what, and that nobody learns what is not theirs."""

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
def test_without_a_key_of_the_service_nothing_opens(
    serve: Any, path: str, headers: dict[str, str]
) -> None:
    with serve(api_keys=KEYS) as client:
        reply = client.get(path, headers=headers)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert client.get("/healthz").status_code == 200
        assert client.get("/openapi.json").status_code == 200


def test_students_ask_and_teachers_teach(serve: Any) -> None:
    with serve(api_keys=KEYS) as client:
        assert client.post("/v1/search", json=QUESTION, headers=bearer(STUDENT)).json()["hits"]
        for call in (client.get, client.post):
            reply = call("/v1/index-jobs", headers=bearer(STUDENT))
            assert reply.status_code == 403
            assert "teacher's key" in reply.json()["error"]["message"]
        assert client.get("/v1/index-jobs", headers=bearer(TEACHER)).status_code == 200


def test_a_key_sees_its_own_corpora_only(serve: Any) -> None:
    with serve(api_keys=KEYS) as client:
        hits = client.post("/v1/search", json=QUESTION, headers=bearer(STUDENT)).json()["hits"]
        found = client.post("/v1/search", json=QUESTION, headers=bearer(OTHER)).json()
        assert (found["hits"], found["no_good_match"]) == ([], True)
        wanted = {**QUESTION, "corpora": ["cards"]}
        assert client.post("/v1/search", json=wanted, headers=bearer(OTHER)).status_code == 403
        item = f"/v1/items/{hits[0]['id']}"
        assert client.get(item, headers=bearer(OTHER)).status_code == 404
        assert client.get(item, headers=bearer(STUDENT)).status_code == 200
        assert client.get("/v1/corpora", headers=bearer(OTHER)).json() == {"corpora": []}


def test_a_picture_is_there_for_who_may_see_a_figure_of_it(serve: Any, place: Any) -> None:
    own = {"key": "atlas-key-0123456789", "name": "atlas", "corpora": ["atlas", "cards"]}
    with serve(api_keys=[*KEYS, own]) as client:
        hits = client.post("/v1/search", json=QUESTION, headers=bearer(STUDENT)).json()["hits"]
        (picture,) = [h["image"] for h in hits if h["image"]]
        for path in (picture, f"{picture}/thumbnail"):
            for key in (STUDENT, TEACHER, own["key"]):
                assert client.get(path, headers=bearer(key)).status_code == 200, key
            hidden = client.get(path, headers=bearer(OTHER))
            absent = client.get(path.replace(picture[-64:], "0" * 64), headers=bearer(OTHER))
            assert hidden.status_code == absent.status_code == 404
            assert hidden.content == absent.content
        # the same picture in a corpus that is open to the key opens it
        files = {"file": ("ray.png", (place.cards / "ray.png").read_bytes())}
        job = client.post(
            "/v1/index-jobs", data={"corpus": "chemistry"}, files=files, headers=bearer(TEACHER)
        ).json()
        while job["state"] in ("queued", "running"):
            job = client.get(f"/v1/index-jobs/{job['id']}", headers=bearer(TEACHER)).json()
            time.sleep(0.05)
        assert job["state"] == "done", job
        assert client.get(picture, headers=bearer(OTHER)).status_code == 200


def test_a_conversation_is_there_for_its_owner_only(serve: Any) -> None:
    with serve(api_keys=KEYS) as client:
        made = client.post("/v1/ask", json=QUESTION, headers=bearer(STUDENT)).json()
        path = f"/v1/conversations/{made['conversation']}"
        assert client.get(path, headers=bearer(STUDENT)).status_code == 200
        for call in (client.get, client.delete):
            assert call(path, headers=bearer(TEACHER)).status_code == 404
        asked = {**QUESTION, "conversation": made["conversation"]}
        assert client.post("/v1/ask", json=asked, headers=bearer(TEACHER)).status_code == 404


def test_other_sites_may_call_only_where_the_settings_say_so(serve: Any) -> None:
    origin = {"Origin": "https://lms.example"}
    with serve() as client:
        assert "access-control-allow-origin" not in client.get("/healthz", headers=origin).headers
    with serve(service={"origins": ["https://lms.example"]}) as client:
        allowed = client.get("/healthz", headers=origin).headers["access-control-allow-origin"]
        assert allowed == "https://lms.example"


def test_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIRAG_API_KEYS", f"{STUDENT}, teacher:{TEACHER}")
    student, teacher = load_settings().api_keys
    assert (student.key.get_secret_value(), student.teacher) == (STUDENT, False)
    assert (teacher.key.get_secret_value(), teacher.teacher) == (TEACHER, True)
    given = json.dumps([{"key": OTHER, "name": "a", "corpora": ["x"]}])
    monkeypatch.setenv("UNIRAG_API_KEYS", given)
    assert load_settings().api_keys[0].corpora == ("x",)


@pytest.mark.parametrize("value", ["short", "[{", '[{"key": "0123456789abcdef"}]'])
def test_keys_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("UNIRAG_API_KEYS", value)
    with pytest.raises(BadSetting, match="api_keys"):
        load_settings()


def test_without_keys_only_this_machine_is_served() -> None:
    with pytest.raises(BadSetting, match="UNIRAG_API_KEYS"):
        _bind("0.0.0.0", 8008, has_keys=False)
    _bind("0.0.0.0", 0, has_keys=True).close()
