"""An OpenAI-compatible endpoint: chat clients and learning platforms talk to it unchanged.

The last user message is the question, the ones before it are what a follow-up leans on; what the
client says as `system` or `assistant` changes nothing, for every sentence comes from the sources.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from data.errors import BadInput
from data.records import Sentence
from unirag.api.access import Caller
from unirag.api.events import EventStream, event
from unirag.api.limits import within
from unirag.api.schemas import PICTURES, SOUNDS, TEXT, AskIn, HitOut, PictureIn, SoundIn
from unirag.api.service import Here, Service, Who
from unirag.search.searcher import SearchResult
from unirag.serialization import Numbers, answer_json, sentence_json

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])
MODEL = "unirag"


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ImageUrl(BaseModel):
    url: str = Field(description="A data URL: nothing is fetched for a client.")


class ImagePart(BaseModel):
    type: Literal["image_url"]
    image_url: ImageUrl


class InputAudio(BaseModel):
    data: str
    format: str = "wav"


class AudioPart(BaseModel):
    type: Literal["input_audio"]
    input_audio: InputAudio


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart | ImagePart | AudioPart] | None = None


class ChatIn(BaseModel):
    """Sampling settings are taken and left aside: answers are checked, not sampled."""

    model_config = ConfigDict(extra="ignore")

    model: str = MODEL
    messages: list[Message] = Field(
        min_length=1,
        max_length=200,
        examples=[[{"role": "user", "content": "What sets the period of a pendulum?"}]],
    )
    stream: bool = False


class Reply(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    index: int = 0
    message: Reply
    finish_reason: Literal["stop"] = "stop"


class Usage(BaseModel):
    """Tokens of the compact model, which are nobody's bill: always zero."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class ChatOut(BaseModel):
    """`references` are the items that the numbers in the text stand for, in their order."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage = Usage()
    references: list[HitOut]
    refused: bool


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "unirag"


class ModelsOut(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/models", response_model=ModelsOut)
def models(who: Who) -> ModelsOut:
    return ModelsOut(data=[Model(id=MODEL)])


@router.post(
    "/chat/completions",
    response_model=ChatOut,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def chat(request: Request, given: ChatIn, who: Who, here: Here) -> Response:
    """A cited answer in the shape of OpenAI's chat completions."""
    asked, earlier = _question(given)
    head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time())}
    if given.stream:
        return EventStream(
            _chunks(here, who, asked, earlier, {**head, "object": "chat.completion.chunk"}),
            here.settings.seconds,
        )

    async def whole() -> ChatOut:
        async with aclosing(_pieces(here, who, asked, earlier)) as pieces:
            async for piece in pieces:
                last = piece
        text, made = last
        assert made is not None
        return ChatOut(
            **head,
            model=MODEL,
            choices=[Choice(message=Reply(content=text))],
            references=made["references"],
            refused=made["refused"],
        )

    reply = await within(request, here.settings.seconds, whole())
    return JSONResponse(reply.model_dump(mode="json"))


async def _pieces(
    here: Service, who: Caller, asked: AskIn, earlier: list[str]
) -> AsyncGenerator[tuple[str, dict[str, Any] | None]]:
    """The text so far, and at the end what it stands on."""
    numbers, text = Numbers(), ""
    async with aclosing(here.stream(who, asked, earlier)) as events:
        async for step in events:
            if isinstance(step, SearchResult):
                found = step
            elif isinstance(step, Sentence):
                text = f"{text} {numbers.behind(sentence_json(step))}".strip()
                yield text, None
            else:
                made = answer_json(step, found, here.address)
                hits = {h["id"]: h for h in made["hits"]}
                names = numbers.order
                if step.refused:
                    text = "There is no evidence for this in what is indexed."
                    names = list(hits)[:3]
                elif names:
                    listed = [
                        f"[{i}] {hits[n]['title']} ({hits[n]['source']})"
                        for i, n in enumerate(names, 1)
                    ]
                    text = "\n".join([text, "", *listed])
                yield text, {"references": [hits[n] for n in names], "refused": step.refused}


async def _chunks(
    here: Service, who: Caller, asked: AskIn, earlier: list[str], head: dict[str, Any]
) -> AsyncGenerator[bytes]:
    def chunk(delta: dict[str, str], end: str | None, **extra: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        return event({**head, "model": MODEL, "choices": [choice], **extra})

    sent = ""
    async with aclosing(_pieces(here, who, asked, earlier)) as pieces:
        async for text, made in pieces:
            delta = {"content": text[len(sent) :]} | ({} if sent else {"role": "assistant"})
            sent = text
            if text:
                yield chunk(delta, None)
            if made is not None:
                yield chunk({}, "stop", **made)
    yield b"data: [DONE]\n\n"


def _question(given: ChatIn) -> tuple[AskIn, list[str]]:
    said = [m for m in given.messages if m.role == "user"]
    if not said:
        raise BadInput("messages: none has role `user`; expected the question in one")
    *before, last = said
    parts = last.content if isinstance(last.content, list) else []
    images = [_data(p.image_url.url) for p in parts if isinstance(p, ImagePart)]
    audio = [p.input_audio.data for p in parts if isinstance(p, AudioPart)]
    text = _text(last)
    for what, count, most in (
        ("characters", len(text), TEXT),
        ("pictures", len(images), PICTURES),
        ("recordings", len(audio), SOUNDS),
    ):
        if count > most:
            raise BadInput(f"messages: {count} {what} in the last one; expected at most {most}")
    asked = AskIn(
        text=text,
        images=[PictureIn(data=d) for d in images],
        audio=[SoundIn(data=d) for d in audio],
    )
    return asked, [text for m in before if (text := _text(m))]


def _text(message: Message) -> str:
    if isinstance(message.content, list):
        return "\n".join(p.text for p in message.content if isinstance(p, TextPart)).strip()
    return (message.content or "").strip()


def _data(url: str) -> str:
    head, comma, data = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise BadInput(
            "image_url: expected a data URL (data:image/png;base64,...); nothing is fetched for a "
            "client"
        )
    return data
