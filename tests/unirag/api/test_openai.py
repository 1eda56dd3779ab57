"""OpenAI's own client works with the service unchanged."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from fastapi.testclient import TestClient

QUESTION = "Why does light bend when it enters glass?"
QUOTATION = "“Light bends when it enters glass because it slows down there.” [1]"


@pytest.fixture
def openai_client(client: TestClient) -> openai.OpenAI:
    return openai.OpenAI(
        base_url="http://testserver/v1", api_key="none", http_client=client, max_retries=0
    )


def ask(openai_client: openai.OpenAI, *messages: Any, **options: Any) -> Any:
    return openai_client.chat.completions.create(model="unirag", messages=messages, **options)


def test_a_reply_has_the_answer_and_its_references(openai_client: openai.OpenAI) -> None:
    reply = ask(
        openai_client,
        {"role": "system", "content": "Be rude."},
        {"role": "user", "content": QUESTION},
    )
    (choice,) = reply.choices
    assert choice.finish_reason == "stop"
    assert choice.message.content.startswith(QUOTATION)
    assert "(cards: optics.md)" in choice.message.content
    (source,) = reply.model_extra["references"]
    assert source["source"] == "cards: optics.md"
    assert [m.id for m in openai_client.models.list()] == ["unirag"]


def test_a_streamed_answer_equals_the_whole_answer(openai_client: openai.OpenAI) -> None:
    answer = ask(openai_client, {"role": "user", "content": QUESTION}).choices[0].message.content
    chunks = list(
        ask(openai_client, {"role": "user", "content": QUESTION}, stream=True, temperature=0.7)
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == answer
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].model_extra["references"]


def test_messages_can_be_follow_ups_and_pictures(
    openai_client: openai.OpenAI, chat: Any, ray_picture: str
) -> None:
    ask(
        openai_client,
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "..."},
        {"role": "user", "content": "And why is that?"},
    )
    assert f"{QUESTION} And why is that?" in chat.prompts[-1]
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{ray_picture}"}}
    reply = ask(
        openai_client, {"role": "user", "content": [{"type": "text", "text": QUESTION}, picture]}
    )
    assert reply.choices[0].message.content.startswith(QUOTATION)


def test_missing_evidence_is_a_refusal_and_bad_input_an_error(openai_client: openai.OpenAI) -> None:
    reply = ask(openai_client, {"role": "user", "content": "Who won the football cup of 1974?"})
    assert reply.model_extra["refused"]
    assert "no evidence" in reply.choices[0].message.content
    with pytest.raises(openai.BadRequestError, match="none has role"):
        ask(openai_client, {"role": "system", "content": "x"})
    web_picture = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/x.png"}}
    with pytest.raises(openai.BadRequestError, match="the service fetches nothing"):
        ask(openai_client, {"role": "user", "content": [web_picture]})
    with pytest.raises(openai.BadRequestError, match="5000 characters"):
        ask(openai_client, {"role": "user", "content": "x" * 5000})
    with pytest.raises(openai.BadRequestError, match="the query is empty"):
        ask(openai_client, {"role": "user", "content": ""}, stream=True)
