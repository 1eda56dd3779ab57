"""Search, ask, and the conversations that keep the answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from unirag.api.access import Caller
from unirag.api.errors import NotFound
from unirag.api.events import EventStream, encode_event
from unirag.api.limits import run_within
from unirag.api.request_bodies import openapi_body, read_body
from unirag.api.requests import AskIn, ConversationIn, SearchIn, VoteIn
from unirag.api.service import CurrentCaller, CurrentService, Service
from unirag.schemas import (
    AnswerTurnOut,
    ConversationOut,
    ConversationsOut,
    ConversationSummary,
    SearchOut,
    SearchTurnOut,
)
from unirag.serialization import conversation_markdown, conversation_out, search_out

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["questions"])
_NAME_CHARACTERS = 80  # of a downloaded file


@router.post("/search", openapi_extra=openapi_body(SearchIn))
async def search(request: Request, caller: CurrentCaller, service: CurrentService) -> SearchOut:
    """Find the figures and passages that answer a question."""
    body = await read_body(request, SearchIn)
    return search_out(await service.search(request, caller, body), service.address)


@router.post(
    "/ask",
    response_model=AnswerTurnOut,
    openapi_extra=openapi_body(AskIn),
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def ask(request: Request, caller: CurrentCaller, service: CurrentService) -> Response:
    """Explain the answer, every sentence cited: as JSON or, with `stream`, as events.

    The events are `found` (a search result), one `sentence` each, `answer` (the whole), or `error`.
    """
    body = await read_body(request, AskIn)
    accepts_events = "text/event-stream" in request.headers.get("accept", "")
    if body.stream or accepts_events:
        return EventStream(_events(service, caller, body), service.settings.seconds)
    answer = await run_within(
        request, service.settings.seconds, _whole_answer(service, caller, body)
    )
    return JSONResponse(answer.model_dump(mode="json"))


async def _whole_answer(service: Service, caller: Caller, body: AskIn) -> AnswerTurnOut:
    async with aclosing(service.answer(caller, body)) as events:
        async for event in events:
            last = event
    assert isinstance(last, AnswerTurnOut)
    return last


async def _events(service: Service, caller: Caller, body: AskIn) -> AsyncGenerator[bytes]:
    async with aclosing(service.answer(caller, body)) as events:
        async for event in events:
            if isinstance(event, SearchTurnOut):
                name = "found"
            else:
                name = "answer" if isinstance(event, AnswerTurnOut) else "sentence"
            yield encode_event(event.model_dump(mode="json"), name)


@router.get("/conversations")
def list_conversations(
    caller: CurrentCaller,
    service: CurrentService,
    words: Annotated[str, Query(max_length=200, description="words that they contain")] = "",
) -> ConversationsOut:
    """List the caller's conversations, newest first."""
    summaries = [
        ConversationSummary(id=c.id, title=c.title, created=c.created)
        for c in service.conversations.of_owner(caller.name, words)
    ]
    return ConversationsOut(conversations=summaries)


@router.get("/conversations/{conversation_id}")
def get_conversation(
    conversation_id: str, caller: CurrentCaller, service: CurrentService
) -> ConversationOut:
    """Return a conversation with its turns."""
    return conversation_out(service.conversation(caller, conversation_id))


@router.get(
    "/conversations/{conversation_id}/markdown",
    response_class=Response,
    responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
)
def get_markdown(conversation_id: str, caller: CurrentCaller, service: CurrentService) -> Response:
    """Return a conversation as Markdown, with the licences and attributions of its sources."""
    conversation = service.conversation(caller, conversation_id)
    markdown = conversation_markdown(conversation)
    headers = {"Content-Disposition": _attachment(conversation.title or "conversation")}
    return Response(markdown, media_type="text/markdown; charset=utf-8", headers=headers)


@router.get(
    "/conversations/{conversation_id}/pictures/{digest}",
    response_class=FileResponse,
    responses={200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}},
)
def get_query_picture(
    conversation_id: str, digest: str, caller: CurrentCaller, service: CurrentService
) -> FileResponse:
    """Return a query picture of a conversation."""
    conversation = service.conversation(caller, conversation_id)
    in_conversation = any(digest in turn.pictures for turn in conversation.turns)
    path = service.uploads.path(digest) if in_conversation else None
    if path is None:
        raise NotFound("no picture of this conversation has this digest")
    return FileResponse(path, headers={"X-Content-Type-Options": "nosniff"})


@router.patch("/conversations/{conversation_id}", status_code=204)
def rename_conversation(
    conversation_id: str, body: ConversationIn, caller: CurrentCaller, service: CurrentService
) -> None:
    """Give a conversation a title; an empty one gives it back the title of its first question."""
    service.conversation(caller, conversation_id)
    service.conversations.rename(conversation_id, body.title)


@router.put("/conversations/{conversation_id}/turns/{turn}/vote", status_code=204)
def vote(
    conversation_id: str, turn: int, body: VoteIn, caller: CurrentCaller, service: CurrentService
) -> None:
    """Store a thumb up (1) or down (-1) for an answer; 0 takes it back.

    The teacher sees the question and the answer, not who asked.
    """
    service.vote(caller, conversation_id, turn, body.vote)


@router.delete("/conversations/{conversation_id}", status_code=204)
def delete_conversation(
    conversation_id: str, caller: CurrentCaller, service: CurrentService
) -> None:
    """Delete a conversation and its query pictures."""
    service.delete_conversation(caller, conversation_id)


def _attachment(title: str) -> str:
    """Return a `Content-Disposition` that names the file by a title (RFC 6266)."""
    name = "".join(c if c.isalnum() or c in " -_" else " " for c in title)
    name = " ".join(name.split())[:_NAME_CHARACTERS] or "conversation"
    plain = name.encode("ascii", "ignore").decode().strip() or "conversation"
    return f"attachment; filename=\"{plain}.md\"; filename*=UTF-8''{quote(name)}.md"
