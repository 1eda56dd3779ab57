"""An OpenAI-compatible endpoint, so that chat clients and learning platforms work unchanged.

The last user message is the question. The user messages before it are the history of a follow-up.
`system` and `assistant` messages change nothing: every sentence comes from the corpora.
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
from unirag.api.events import EventStream, encode_event
from unirag.api.limits import run_within
from unirag.api.requests import (
    MAX_IMAGES,
    MAX_RECORDINGS,
    MAX_TEXT_CHARACTERS,
    AskIn,
    ImageIn,
    RecordingIn,
)
from unirag.api.service import CurrentCaller, CurrentService, Service
from unirag.schemas import AnswerOut, HitOut
from unirag.search.result import SearchResult
from unirag.serialization import answer_out

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])
MODEL_NAME = "unirag"


class TextPart(BaseModel):
    """Words of a message."""

    type: Literal["text"]
    text: str


class ImageUrl(BaseModel):
    """The picture of a message as a data URL."""

    url: str = Field(description="A data URL; the service fetches nothing for a client.")


class ImagePart(BaseModel):
    """A picture of a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class InputAudio(BaseModel):
    """A recording in base64."""

    data: str
    format: str = "wav"


class AudioPart(BaseModel):
    """A recording of a message."""

    type: Literal["input_audio"]
    input_audio: InputAudio


class ChatMessageIn(BaseModel):
    """A message of the conversation."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart | ImagePart | AudioPart] | None = None

    @property
    def parts(self) -> list[TextPart | ImagePart | AudioPart]:
        """The parts of the message; empty if `content` is plain text."""
        return self.content if isinstance(self.content, list) else []

    @property
    def text(self) -> str:
        """The words of the message."""
        if isinstance(self.content, str):
            return self.content.strip()
        return "\n".join(p.text for p in self.parts if isinstance(p, TextPart)).strip()


class ChatIn(BaseModel):
    """A request for a completion. Sampling settings are accepted and ignored."""

    model_config = ConfigDict(extra="ignore")

    model: str = MODEL_NAME
    messages: list[ChatMessageIn] = Field(
        min_length=1,
        max_length=200,
        examples=[[{"role": "user", "content": "What sets the period of a pendulum?"}]],
    )
    stream: bool = False


class ReplyMessage(BaseModel):
    """The message of the reply."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """The only choice of a reply."""

    index: int = 0
    message: ReplyMessage
    finish_reason: Literal["stop"] = "stop"


class TokenUsage(BaseModel):
    """Always zero: nobody is billed for the tokens of the compact model."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class ChatOut(BaseModel):
    """A cited answer. `references` are the items behind the numbers in its text, [1] first."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: TokenUsage = TokenUsage()
    references: list[HitOut]
    refused: bool


class ModelOut(BaseModel):
    """A model that clients can choose."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "unirag"


class ModelsOut(BaseModel):
    """The models that clients can choose."""

    object: Literal["list"] = "list"
    data: list[ModelOut]


@router.get("/models")
def list_models(caller: CurrentCaller) -> ModelsOut:
    """List the one model."""
    return ModelsOut(data=[ModelOut(id=MODEL_NAME)])


@router.post(
    "/chat/completions",
    response_model=ChatOut,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def create_completion(
    request: Request, chat: ChatIn, caller: CurrentCaller, service: CurrentService
) -> Response:
    """Return a cited answer in the shape of OpenAI's chat completions."""
    body, history = _question(chat)
    pieces = _pieces(service, caller, body, history)
    head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time())}
    if chat.stream:
        chunk_head = {**head, "object": "chat.completion.chunk", "model": MODEL_NAME}
        return EventStream(_chunks(pieces, chunk_head), service.settings.seconds)
    text, answer = await run_within(request, service.settings.seconds, _whole_reply(pieces))
    reply = ChatOut(
        **head,
        model=MODEL_NAME,
        choices=[Choice(message=ReplyMessage(content=text))],
        references=answer.cited_hits,
        refused=answer.refused,
    )
    return JSONResponse(reply.model_dump(mode="json"))


Piece = str | AnswerOut
Pieces = AsyncGenerator[Piece]


async def _pieces(service: Service, caller: Caller, body: AskIn, history: list[str]) -> Pieces:
    """Yield the reply piece by piece, then the whole answer."""
    written = False
    async with aclosing(service.stream(caller, body, history)) as events:
        async for event in events:
            if isinstance(event, SearchResult):
                result = event
            elif isinstance(event, Sentence):
                yield f" {event.cited_text}" if written else event.cited_text
                written = True
            else:
                answer = answer_out(event, result, service.address)
                if answer.refused:
                    yield answer.answer
                elif answer.references:
                    yield "\n\n" + _reference_list(answer)
                yield answer


def _reference_list(answer: AnswerOut) -> str:
    lines = [f"[{n}] {hit.title} ({hit.source})" for n, hit in enumerate(answer.cited_hits, 1)]
    return "\n".join(lines)


async def _whole_reply(pieces: Pieces) -> tuple[str, AnswerOut]:
    text = ""
    async with aclosing(pieces) as stream:
        async for piece in stream:
            if isinstance(piece, AnswerOut):
                return text, piece
            text += piece
    raise AssertionError("the stream ended without an answer")


async def _chunks(pieces: Pieces, head: dict[str, Any]) -> AsyncGenerator[bytes]:
    """Encode the reply as OpenAI's chunks; the last one carries the references."""

    def chunk(delta: dict[str, str], finish_reason: str | None, **extra: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return encode_event({**head, "choices": [choice], **extra})

    role = {"role": "assistant"}
    async with aclosing(pieces) as stream:
        async for piece in stream:
            if isinstance(piece, AnswerOut):
                references = [hit.model_dump(mode="json") for hit in piece.cited_hits]
                yield chunk({}, "stop", references=references, refused=piece.refused)
            else:
                yield chunk({"content": piece, **role}, None)
                role = {}
    yield b"data: [DONE]\n\n"


def _question(chat: ChatIn) -> tuple[AskIn, list[str]]:
    """Return the last user message as a question, and the earlier ones as its history."""
    messages = [m for m in chat.messages if m.role == "user"]
    if not messages:
        raise BadInput("messages: none has role `user`; expected the question in one")
    *earlier, last = messages
    images = [_base64_data(p.image_url.url) for p in last.parts if isinstance(p, ImagePart)]
    recordings = [p.input_audio.data for p in last.parts if isinstance(p, AudioPart)]
    for noun, count, limit in (
        ("characters", len(last.text), MAX_TEXT_CHARACTERS),
        ("pictures", len(images), MAX_IMAGES),
        ("recordings", len(recordings), MAX_RECORDINGS),
    ):
        if count > limit:
            raise BadInput(f"messages: {count} {noun} in the last one; expected at most {limit}")
    body = AskIn(
        text=last.text,
        images=[ImageIn(data=data) for data in images],
        audio=[RecordingIn(data=data) for data in recordings],
    )
    return body, [message.text for message in earlier if message.text]


def _base64_data(url: str) -> str:
    head, comma, data = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise BadInput(
            "image_url: expected a data URL (data:image/png;base64,...); the service fetches "
            "nothing for a client"
        )
    return data
