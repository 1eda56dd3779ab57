"""The two chat models: transformers with a tiny Llama, and an endpoint with a fake transport."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from data.errors import BadInput, BadSetting, Missing
from generation.chat import Message
from generation.openai_chat import OpenAIChat
from generation.transformers_chat import TransformersChat

ASK = [Message("system", "be short"), Message("user", "what is force")]


def save_tiny_model(folder: Path, template: bool = True) -> Path:
    """Save a Llama of two layers with its tokeniser and, if asked, a chat template."""
    words = ["<unk>", "<eos>", "system", "user", "assistant", "be", "short", "what", "is", "force"]
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>", pad_token="<eos>"
    )
    if template:
        fast.chat_template = (
            "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}"
            "{% if add_generation_prompt %}assistant{% endif %}"
        )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            eos_token_id=1,
            pad_token_id=1,
        )
    ).save_pretrained(folder)
    return folder


def test_the_reply_is_greedy_and_ends_at_the_limit(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path)
    chat = TransformersChat("tiny", folder)
    reply = "".join(chat.stream(ASK, 6))
    assert reply.split()
    assert reply == "".join(chat.stream(ASK, 6))
    assert len(reply.split()) <= 6
    assert chat.count("what is force") == 3


def test_closing_the_stream_stops_the_model(tmp_path: Path) -> None:
    chat = TransformersChat("tiny", save_tiny_model(tmp_path))
    pieces = chat.stream(ASK, 100_000)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name == "generate"]
    assert "".join(chat.stream(ASK, 2))  # the lock is free again


def test_unusable_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be loaded"):
        TransformersChat("none", tmp_path / "nothing")
    with pytest.raises(BadInput, match="no chat template"):
        TransformersChat("base", save_tiny_model(tmp_path / "base", template=False))


def client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer))


def test_an_openai_endpoint_gets_the_request_and_streams() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        deltas = [{"role": "assistant"}, {"content": "Force "}, {"content": "pulls."}]
        lines = [f"data: {json.dumps({'choices': [{'delta': d}]})}" for d in deltas]
        return httpx.Response(200, text="\n\n".join([": ping", *lines, "data: [DONE]", ""]))

    chat = OpenAIChat("http://127.0.0.1:1/v1/", "qwen", "secret", client(answer))
    assert list(chat.stream(ASK, 50)) == ["Force ", "pulls."]
    assert str(requests[0].url) == "http://127.0.0.1:1/v1/chat/completions"
    assert requests[0].headers["authorization"] == "Bearer secret"
    body = json.loads(requests[0].content)
    assert body["stream"] is True
    assert body["max_tokens"] == 50
    assert body["messages"][1] == {"role": "user", "content": "what is force"}


@pytest.mark.parametrize(
    ("status", "text", "error", "message"),
    [
        (401, "bad key", BadSetting, "UNIRAG_CHAT__API_KEY"),
        (404, "no such model", Missing, "chat.model"),
        (500, "boom", Missing, "500"),
        (200, "data: {oops\n", Missing, "is not JSON"),
    ],
)
def test_openai_errors_name_the_setting(
    status: int, text: str, error: type[Exception], message: str
) -> None:
    chat = OpenAIChat(
        "http://127.0.0.1:1/v1", "m", None, client(lambda r: httpx.Response(status, text=text))
    )
    with pytest.raises(error, match=message):
        list(chat.stream(ASK, 5))


def test_an_unreachable_endpoint_is_named() -> None:
    with pytest.raises(Missing, match="does not answer"):
        list(OpenAIChat("http://127.0.0.1:9/v1", "m").stream(ASK, 5))
    with pytest.raises(BadSetting, match="expected http"):
        OpenAIChat("localhost:9", "m")
