"""Conversations over HTTP: titles, search, thumbs, the bin, and answers that end early."""

from __future__ import annotations

import time
from typing import Any

from fastapi.testclient import TestClient

from unirag.api.access import BROWSER_COOKIE, Caller
from unirag.api.service import Service

QUESTION = {"text": "Why does light bend when it enters glass?"}


def ask(client: TestClient, **fields: Any) -> dict[str, Any]:
    reply = client.post("/v1/ask", json={**QUESTION, **fields})
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def titles(client: TestClient, words: str = "") -> list[str]:
    listed = client.get("/v1/conversations", params={"words": words}).json()["conversations"]
    return [conversation["title"] for conversation in listed]


def test_a_conversation_is_renamed_and_found(client: TestClient) -> None:
    path = f"/v1/conversations/{ask(client)['conversation']}"
    assert client.patch(path, json={"title": " My 100%  <optics> "}).status_code == 204
    assert client.get(path).json()["title"] == "My 100% <optics>"
    assert titles(client) == ["My 100% <optics>"]
    for words in ("optics", "100%", "glass"):
        assert len(titles(client, words)) == 1, words
    for words in ("mitosis", "100_", "1%o"):
        assert titles(client, words) == [], words
    exported = client.get(f"{path}/markdown")
    assert exported.text.startswith("# My 100% &lt;optics>\n")
    assert 'filename="My 100 optics.md"' in exported.headers["content-disposition"]
    client.patch(path, json={"title": ""})
    assert titles(client) == [QUESTION["text"]]
    assert client.patch("/v1/conversations/other", json={"title": "x"}).status_code == 404


def test_a_thumb_is_stored_changed_and_taken_back(client: TestClient) -> None:
    answer = ask(client)
    path = f"/v1/conversations/{answer['conversation']}"
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    for vote in (-1, 1, 0):
        assert client.put(f"{path}/turns/1/vote", json={"vote": vote}).status_code == 204
        assert client.get(path).json()["turns"][0]["vote"] == vote
        marked = service.conversations.voted_answers()
        assert [(v.question, v.vote) for v in marked] == (
            [(QUESTION["text"], vote)] if vote else []
        )
    assert client.put(f"{path}/turns/2/vote", json={"vote": 1}).status_code == 404
    assert client.put(f"{path}/turns/1/vote", json={"vote": 7}).status_code == 422


def test_a_conversation_comes_back_from_the_bin_until_it_is_emptied(client: TestClient) -> None:
    conversation = ask(client)["conversation"]
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    caller = Caller("", True, ())
    service.bin_conversation(caller, conversation)
    assert titles(client) == []
    assert client.get(f"/v1/conversations/{conversation}").status_code == 404
    service.empty_bin(seconds=60)
    service.restore_conversation(caller, conversation)
    assert titles(client) == [QUESTION["text"]]
    service.bin_conversation(caller, conversation)
    service.empty_bin(seconds=0)
    assert service.conversations.restore(conversation, caller.name) is False


def test_a_client_that_leaves_keeps_the_sentences_so_far(client: TestClient, chat: Any) -> None:
    chat.script = "Light bends when it enters glass because it slows down there. [1] And so on. [1]"
    body = {**QUESTION, "stream": True}
    with client.stream("POST", "/v1/ask", json=body) as events:
        for line in events.iter_lines():
            if line == "event: sentence":
                break
    for _ in range(100):
        (conversation,) = client.get("/v1/conversations").json()["conversations"]
        (turn,) = client.get(f"/v1/conversations/{conversation['id']}").json()["turns"]
        if turn["answer"]:
            break
        time.sleep(0.1)
    assert turn["answer"]["sentences"]
    assert turn["answer"]["references"]


def test_a_browser_owns_its_conversations(client: TestClient) -> None:
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    mine, other = service.access.new_browser(), service.access.new_browser()
    client.cookies.set(BROWSER_COOKIE, mine)
    ask(client)
    assert titles(client) == [QUESTION["text"]]
    forged = f"{mine.partition('.')[0]}.{other.partition('.')[2]}"
    for cookie in (other, forged, "", "."):
        client.cookies.set(BROWSER_COOKIE, cookie)
        assert titles(client) == []
