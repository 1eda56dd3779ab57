"""Search, ask, and the conversations that answers are kept in."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from unirag.api.access import Caller
from unirag.api.bodies import documented, read
from unirag.api.errors import NotFound
from unirag.api.events import EventStream, event
from unirag.api.limits import within
from unirag.api.schemas import (
    AnswerOut,
    AskIn,
    ConversationOut,
    ConversationsOut,
    FoundOut,
    SearchIn,
)
from unirag.api.service import Here, Service, Who
from unirag.serialization import conversation_json, conversation_markdown, found_json

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["questions"])


@router.post("/search", response_model=FoundOut, openapi_extra=documented(SearchIn))
async def search(request: Request, who: Who, here: Here) -> dict[str, Any]:
    """The figures and passages that answer a question."""
    asked = await read(request, SearchIn)
    return found_json(await here.search(request, who, asked), here.address)


@router.post(
    "/ask",
    response_model=AnswerOut,
    openapi_extra=documented(AskIn),
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def ask(request: Request, who: Who, here: Here) -> Response:
    """The explanation, every sentence cited, as JSON or, with `stream`, as events.

    Events: `found` (as from a search), a `sentence` each, `answer` (the whole), or `error`.
    """
    asked = await read(request, AskIn)
    wants_events = "text/event-stream" in request.headers.get("accept", "")
    if asked.stream or wants_events:
        return EventStream(_events(here, who, asked), here.settings.seconds)

    async def whole() -> dict[str, Any]:
        async with aclosing(here.answer(who, asked)) as turn:
            async for _, made in turn:
                last = made
        return last

    return JSONResponse(await within(request, here.settings.seconds, whole()))


async def _events(here: Service, who: Caller, asked: AskIn) -> AsyncGenerator[bytes]:
    async with aclosing(here.answer(who, asked)) as turn:
        async for kind, data in turn:
            yield event(data, kind)


@router.get("/conversations", response_model=ConversationsOut)
def conversations(who: Who, here: Here) -> dict[str, Any]:
    """Yours, the newest first."""
    kept = here.conversations.of(who.name)
    return {"conversations": [{"id": c.id, "title": c.title, "created": c.created} for c in kept]}


@router.get("/conversations/{name}", response_model=ConversationOut)
def conversation(name: str, who: Who, here: Here) -> dict[str, Any]:
    return conversation_json(here.conversation(who, name))


@router.get(
    "/conversations/{name}/markdown",
    response_class=Response,
    responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
)
def markdown(name: str, who: Who, here: Here) -> Response:
    """The conversation as Markdown, with the sources' licences and attributions."""
    kept = here.conversation(who, name)
    return Response(conversation_markdown(kept), media_type="text/markdown; charset=utf-8")


@router.get(
    "/conversations/{name}/pictures/{digest}",
    response_class=FileResponse,
    responses={200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}},
)
def picture(name: str, digest: str, who: Who, here: Here) -> FileResponse:
    """A picture that was asked with."""
    kept = here.conversation(who, name)
    path = here.uploads.path(digest) if any(digest in t.pictures for t in kept.turns) else None
    if path is None:
        raise NotFound("no picture of this digest in this conversation")
    return FileResponse(path, headers={"X-Content-Type-Options": "nosniff"})


@router.delete("/conversations/{name}", status_code=204)
def forget(name: str, who: Who, here: Here) -> None:
    """Delete a conversation and the pictures that were asked with."""
    here.forget(who, name)
