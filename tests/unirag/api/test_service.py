"""Search, answers, conversations and pictures over HTTP."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

QUESTION = "Why does light bend when it enters glass?"


def read_events(text: str) -> list[tuple[str, Any]]:
    """Return the names and the data of server-sent events."""
    fields = [dict(line.split(": ", 1) for line in e.splitlines()) for e in text.split("\n\n") if e]
    return [(p.get("event", ""), json.loads(p["data"])) for p in fields if p["data"] != "[DONE]"]


def test_hits_have_web_addresses_and_no_local_paths(client: TestClient, workspace: Any) -> None:
    reply = client.post("/v1/search", json={"text": QUESTION, "limit": 3})
    result = reply.json()
    assert reply.status_code == 200
    assert {h["source"] for h in result["hits"][:2]} == {"cards: optics.md"}
    assert not result["no_good_match"]
    assert str(workspace.root) not in reply.text
    figure = next(h for h in result["hits"] if h["kind"] == "figure")
    picture = client.get(figure["image"])
    assert picture.headers["content-type"] == "image/png"
    assert picture.content == (workspace.cards / "ray.png").read_bytes()
    first_bytes = client.get(figure["image"], headers={"Range": "bytes=0-3"})
    assert (first_bytes.status_code, first_bytes.content) == (206, b"\x89PNG")
    thumbnail = client.get(figure["image"] + "/thumbnail")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    item = client.get(f"/v1/items/{figure['id']}").json()
    assert item["text"].startswith("A ray bends")
    assert item["image"] == figure["image"]


def test_a_picture_is_the_same_in_json_and_in_a_form(client: TestClient, ray_picture: str) -> None:
    query = {
        "images": [{"data": ray_picture, "weight": 2.0, "style": "sketch"}],
        "kinds": ["figure"],
    }
    by_json = client.post("/v1/search", json=query).json()
    by_form = client.post(
        "/v1/search",
        data={"image_weight": "2.0", "image_style": "sketch", "kinds": ["figure"]},
        files={"image": ("../../etc/passwd.png", base64.b64decode(ray_picture), "image/png")},
    ).json()
    assert by_json["hits"] == by_form["hits"]
    assert by_json["hits"][0]["channels"]["image"] > 0.9
    assert by_json["styles"]["sketch"] == 1
    assert by_json["experts"] == by_form["experts"] == []  # the shipped encoder has none


def test_an_answer_is_the_same_in_json_in_events_and_after_a_reload(client: TestClient) -> None:
    answer = client.post("/v1/ask", json={"text": QUESTION}).json()
    assert answer["answer"] == "Light bends when it enters glass because it slows down there."
    (sentence,) = answer["sentences"]
    (citation,) = sentence["citations"]
    assert next(h["source"] for h in answer["hits"] if h["id"] == citation) == "cards: optics.md"
    reply = client.post("/v1/ask", json={"text": QUESTION, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    (
        (first_event, search_result),
        (second_event, streamed_sentence),
        (third_event, streamed_answer),
    ) = read_events(reply.text)
    assert (first_event, second_event, third_event) == ("found", "sentence", "answer")
    assert search_result["hits"] == answer["hits"]
    assert streamed_sentence == sentence
    for name in ("answer", "sentences", "hits"):
        assert streamed_answer[name] == answer[name]
    conversation = client.get(f"/v1/conversations/{streamed_answer['conversation']}").json()
    assert conversation["turns"][0]["answer"] == streamed_answer
    assert [c["title"] for c in client.get("/v1/conversations").json()["conversations"]] == [
        QUESTION,
        QUESTION,
    ]


def test_a_quiz_is_the_same_in_a_form_and_after_a_reload(client: TestClient, chat: Any) -> None:
    request = {"text": QUESTION, "task": "quiz", "level": "college"}
    answer = client.post("/v1/ask", json=request).json()
    assert (answer["task"], answer["level"], answer["quoted"]) == ("quiz", "college", False)
    assert answer["sentences"][0]["text"].startswith("Complete: ")
    assert answer["sentences"][1]["text"].startswith("Key: ")
    assert chat.prompts == []
    by_form = client.post("/v1/ask", data=request).json()
    assert by_form["sentences"] == answer["sentences"]
    conversation = client.get(f"/v1/conversations/{answer['conversation']}").json()
    assert conversation["turns"][0]["answer"] == answer
    page = client.get(f"/v1/conversations/{answer['conversation']}/markdown").text
    assert "[1]\n\nKey: " in page


def test_feedback_streams_a_sentence_for_each_sentence_of_the_student(client: TestClient) -> None:
    request = {
        "text": QUESTION,
        "task": "feedback",
        "student_answer": "Light bends when it enters glass. The moon is made of green cheese.",
    }
    reply = client.post("/v1/ask", json={**request, "stream": True})
    sentences = [data["text"] for kind, data in read_events(reply.text) if kind == "sentence"]
    assert sentences[0].startswith("Right: “Light bends when it enters glass.”")
    assert sentences[1].startswith(
        "The sources do not say this: “The moon is made of green cheese.”"
    )


def test_a_conversation_stores_its_answer_unchanged(client: TestClient) -> None:
    answer = client.post("/v1/ask", json={"text": QUESTION}).json()
    assert [s["numbers"] for s in answer["sentences"]] == [[1]]
    assert answer["references"] == answer["sentences"][0]["citations"]
    turns = client.get(f"/v1/conversations/{answer['conversation']}").json()["turns"]
    assert turns[0]["answer"] == answer


def test_a_follow_up_is_searched_with_the_question_it_refers_to(
    client: TestClient, chat: Any
) -> None:
    first = client.post("/v1/ask", json={"text": QUESTION}).json()
    follow_up = client.post(
        "/v1/ask", json={"text": "And why is that?", "conversation": first["conversation"]}
    ).json()
    assert follow_up["query"] == f"{QUESTION} And why is that?"
    assert follow_up["turn"] == 2
    assert QUESTION in chat.prompts[-1]
    page = client.get(f"/v1/conversations/{first['conversation']}/markdown").text
    assert page.startswith(f"# {QUESTION}")
    assert "slows down there.” [1]\n\n1. " in page
    assert "cards: optics.md" in page


def test_a_conversation_serves_its_query_pictures_until_it_is_deleted(
    client: TestClient, ray_picture: str
) -> None:
    answer = client.post(
        "/v1/ask", json={"text": QUESTION, "images": [{"data": ray_picture}]}
    ).json()
    name = answer["conversation"]
    (picture,) = client.get(f"/v1/conversations/{name}").json()["turns"][0]["pictures"]
    assert client.get(picture).content == base64.b64decode(ray_picture)
    assert client.delete(f"/v1/conversations/{name}").status_code == 204
    assert client.get(picture).status_code == 404
    assert client.get(f"/v1/conversations/{name}").status_code == 404


def test_a_refusal_is_reported_and_stored(client: TestClient) -> None:
    answer = client.post("/v1/ask", json={"text": "Who won the football cup of 1974?"}).json()
    assert answer["refused"]
    assert answer["sentences"] == []
    page = client.get(f"/v1/conversations/{answer['conversation']}/markdown").text
    assert "There is no evidence for this in the indexed material. The nearest material:" in page


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("search", {}, 400, "the query is empty"),
        ("search", {"text": "x", "limit": 0}, 422, "limit: Input should be greater"),
        ("search", {"text": "x", "nonsense": 1}, 422, "nonsense: Extra inputs"),
        ("search", {"images": [{"data": "???"}]}, 400, "images.0.data: not base64"),
        ("search", {"images": [{"data": "aGVsbG8="}]}, 400, "not a picture that can be read"),
        ("search", {"audio": [{"data": "aGVsbG8="}]}, 400, "audio"),
        ("ask", {"text": "x", "conversation": "of-somebody-else"}, 404, "no conversation"),
        ("ask", {"text": "", "stream": True}, 400, "the query is empty"),
        ("ask", {"text": "x", "task": "feedback"}, 400, "student_answer: is empty"),
        ("ask", {"text": "x", "student_answer": "y"}, 400, "student_answer: got one with task"),
        ("ask", {"text": "x", "student_answer": "y" * 4001}, 422, "student_answer: String should"),
        ("ask", {"text": "x", "task": "sing"}, 422, "task: Input should be 'explain'"),
    ],
)
def test_bad_questions_are_refused_without_local_paths(
    client: TestClient, workspace: Any, path: str, body: dict[str, Any], status: int, message: str
) -> None:
    reply = client.post(f"/v1/{path}", json=body)
    assert reply.status_code == status, reply.text
    assert message in reply.json()["error"]["message"]
    assert str(workspace.root) not in reply.text
    assert "/tmp" not in reply.text


def test_unreadable_bodies_are_refused(client: TestClient) -> None:
    assert client.post("/v1/search", content=b"{").status_code == 400
    assert client.post("/v1/search", content=b"[" * 100_000).status_code == 400
    reply = client.post("/v1/search", content=b"x", headers={"content-type": "text/xml"})
    assert "expected application/json or multipart" in reply.json()["error"]["message"]


@pytest.mark.parametrize("digest", ["0" * 64, "..%2f..%2fetc%2fpasswd", "short"])
def test_unknown_assets_and_items_are_not_found(client: TestClient, digest: str) -> None:
    for tail in ("", "/thumbnail"):
        assert client.get(f"/v1/assets/{digest}{tail}").status_code == 404
    assert client.get(f"/v1/items/{digest}").status_code == 404


def test_health_readiness_and_metrics_are_served(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    for _ in range(600):
        if client.get("/readyz").status_code == 200:
            break
        time.sleep(0.1)
    assert client.get("/readyz").json() == {"status": "ok"}
    client.post("/v1/ask", json={"text": QUESTION})
    page = client.get("/metrics").text
    assert 'unirag_requests_total{route="/v1/ask",status="200"} 1.0' in page
    assert 'unirag_answers_total{outcome="quoted"} 1.0' in page
    assert 'unirag_step_seconds_count{step="generate"} 1.0' in page
