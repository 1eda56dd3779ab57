"""OpenAI's own client talks to the service unchanged."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from fastapi.testclient import TestClient

QUESTION = "Why does light bend when it enters glass?"
SAID = "“Light bends when it enters glass because it slows down there.” [1]"


@pytest.fixture
def ai(client: TestClient) -> openai.OpenAI:
    return openai.OpenAI(
        base_url="http://testserver/v1", api_key="none", http_client=client, max_retries=0
    )


def ask(ai: openai.OpenAI, *messages: Any, **given: Any) -> Any:
    return ai.chat.completions.create(model="unirag", messages=messages, **given)


def test_an_answer_and_its_references(ai: openai.OpenAI) -> None:
    reply = ask(
        ai, {"role": "system", "content": "Be rude."}, {"role": "user", "content": QUESTION}
    )
    (choice,) = reply.choices
    assert choice.finish_reason == "stop"
    assert choice.message.content.startswith(SAID)
    assert "(cards: optics.md)" in choice.message.content
    (source,) = reply.model_extra["references"]
    assert source["source"] == "cards: optics.md"
    assert [m.id for m in ai.models.list()] == ["unirag"]


def test_streamed_it_is_the_same(ai: openai.OpenAI) -> None:
    whole = ask(ai, {"role": "user", "content": QUESTION}).choices[0].message.content
    chunks = list(ask(ai, {"role": "user", "content": QUESTION}, stream=True, temperature=0.7))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].model_extra["references"]


def test_a_follow_up_and_a_picture(ai: openai.OpenAI, chat: Any, ray: str) -> None:
    ask(
        ai,
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "..."},
        {"role": "user", "content": "And why is that?"},
    )
    assert f"{QUESTION} And why is that?" in chat.prompts[-1]
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{ray}"}}
    reply = ask(ai, {"role": "user", "content": [{"type": "text", "text": QUESTION}, picture]})
    assert reply.choices[0].message.content.startswith(SAID)


def test_no_evidence_and_bad_input(ai: openai.OpenAI) -> None:
    reply = ask(ai, {"role": "user", "content": "Who won the football cup of 1974?"})
    assert reply.model_extra["refused"]
    assert "no evidence" in reply.choices[0].message.content
    with pytest.raises(openai.BadRequestError, match="none has role"):
        ask(ai, {"role": "system", "content": "x"})
    far = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/x.png"}}
    with pytest.raises(openai.BadRequestError, match="the service fetches nothing"):
        ask(ai, {"role": "user", "content": [far]})
    with pytest.raises(openai.BadRequestError, match="5000 characters"):
        ask(ai, {"role": "user", "content": "x" * 5000})
    with pytest.raises(openai.BadRequestError, match="the query is empty"):
        ask(ai, {"role": "user", "content": ""}, stream=True)
