"""The handlers that ask a question, hear one, and show the teacher's library.

They call the same `Service` as the REST routes, in the same process, so the same keys, queues and
limits apply.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import gradio as gr

from data.errors import UniragError
from ui import library, render
from ui.conversation_handlers import ConversationHandlers, Updates
from ui.draft import Draft, decode_data_url
from ui.layout import AppLayout
from ui.live_turn import LiveTurn
from unirag.api.access import Caller
from unirag.api.errors import public_message
from unirag.schemas import CorpusOut, SearchTurnOut, StyleOut
from unirag.serialization import conversation_out

__all__ = ["PageHandlers"]

_LOG = logging.getLogger(__name__)
_MAX_JOBS = 20  # listed in the library
_MIN_HEARING_CONFIDENCE = 0.55  # below it the page asks to say the question again


class PageHandlers:
    """Answers the events of the page with updates of its components."""

    def __init__(self, conversations: ConversationHandlers, layout: AppLayout) -> None:
        self._conversations, self._layout = conversations, layout
        self._running: dict[str, LiveTurn] = {}  # by the session of the page

    def fill_from_card(self, event: gr.EventData) -> Updates:
        """Put the clicked example or suggestion into the composer."""
        data = event._data or {}
        pictures = [decode_data_url(data["sketch"])] if "sketch" in data else []
        composer = self._layout.composer
        task = data.get("task", "explain")
        return {
            **composer.filled(data.get("ask", ""), pictures, task),
            self._layout.replaced_turn: 0,
        }

    async def answer(
        self, request: gr.Request, conversation_id: str, replaced_turn: int, *values: Any
    ) -> AsyncGenerator[Updates]:
        """Answer the question in the composer. Show each sentence as it arrives."""
        composer, draft = self._layout.composer, Draft(*values)
        if draft.is_empty:
            yield {composer.note: gr.skip()}
            return
        turn = LiveTurn(conversation_id, draft.text.strip())
        session = request.session_hash or ""
        self._running[session] = turn
        try:
            async for updates in self._answer(request, turn, draft, replaced_turn):
                yield updates
        except Exception as error:  # noqa: BLE001 - the student gets the question back
            message = render.failure(self._error_message(error))
            if turn.search is None:  # nothing is stored yet
                stored = await self._conversations.turns(self._caller(request), conversation_id)
                yield {**stored, **composer.returned(draft, message)}
            else:
                failure = self._error_message(error)
                yield {self._layout.current_turn: turn.html(failure), **composer.idle()}
        finally:
            self._running.pop(session, None)

    async def _answer(
        self, request: gr.Request, turn: LiveTurn, draft: Draft, replaced_turn: int
    ) -> AsyncGenerator[Updates]:
        caller, service, layout = self._caller(request), self._conversations.service, self._layout
        body = await service.run(lambda: draft.to_request(turn.conversation_id))
        stored = await self._conversations.turns(caller, turn.conversation_id)
        yield {
            **stored,
            layout.welcome: "",
            layout.suggestions: "",
            layout.current_turn: turn.html(),
            layout.replaced_turn: 0,
            **layout.composer.sent(),
        }
        async with aclosing(turn.events(service, caller, body)) as events:
            async for event in events:
                updates: Updates = {layout.current_turn: turn.html()}
                if isinstance(event, SearchTurnOut):
                    await self._read_stored_question(caller, turn)
                    updates[layout.current_turn] = turn.html()
                    updates[layout.conversation_id] = turn.conversation_id
                    updates[layout.history] = self._conversations.history(
                        caller, turn.conversation_id
                    )
                yield updates
        if replaced_turn and turn.conversation_id:
            service.conversations.delete_turn(turn.conversation_id, replaced_turn)
        yield {
            **await self._conversations.turns(caller, turn.conversation_id),
            **layout.composer.idle(),
        }

    async def _read_stored_question(self, caller: Caller, turn: LiveTurn) -> None:
        """Set the question to its stored form, with the addresses of its pictures."""
        service, conversation_id = self._conversations.service, turn.conversation_id
        conversation = await service.run(lambda: service.conversation(caller, conversation_id))
        stored = conversation_out(conversation).turns[-1]
        turn.question, turn.pictures = stored.question, stored.pictures

    def stop(self, request: gr.Request) -> None:
        """Stop the answer that this page shows. The sentences so far stay."""
        if turn := self._running.get(request.session_hash or ""):
            turn.stop()

    async def transcribe(
        self, request: gr.Request, recording: str | None, question: Mapping[str, Any] | None
    ) -> AsyncGenerator[Updates]:
        """Put the words of a recording into the question, for the student to correct."""
        composer, service = self._layout.composer, self._conversations.service
        if not recording:
            yield {composer.note: gr.skip()}
            return
        yield {composer.note: render.status("Listening to your recording …")}
        try:
            where = self._conversations.filter(self._caller(request))
            data = await service.run(Path(recording).read_bytes)
            async with service.searches.turn():
                transcript = await service.run(lambda: service.app.transcribe(data, where))
        except UniragError as error:
            message = self._error_message(error)
            yield {composer.note: render.failure(message), composer.recording: None}
            return
        question = question or {}
        text = " ".join(part for part in (question.get("text", ""), transcript.text) if part)
        note = render.note("This is what I heard. Correct it if you like, then send it.")
        if transcript.confidence < _MIN_HEARING_CONFIDENCE:
            note = render.failure(
                "I could not hear this well. Correct the words below, or say it again."
            )
        yield {
            composer.question: {"text": text, "files": list(question.get("files") or ())},
            composer.recording: None,
            composer.note: note,
        }

    async def refresh_library(self, request: gr.Request) -> Updates:
        """Show the library as it is now."""
        caller, layout = self._caller(request), self._layout
        service = self._conversations.service
        if not caller.teacher:
            raise gr.Error("The library needs a teacher's key.")
        jobs = [job for job in service.jobs.latest(_MAX_JOBS) if caller.may_see(job.corpus)]
        corpora = map(CorpusOut.model_validate, service.app.corpora.list())
        styles = await service.run(service.app.styles.list)
        return {
            layout.corpora: library.corpora_table([c for c in corpora if caller.may_see(c.name)]),
            layout.jobs: library.jobs_table(jobs),
            layout.votes: library.votes_table(service.conversations.voted_answers()),
            layout.styles: library.styles_table(list(map(StyleOut.model_validate, styles))),
            layout.usage: library.usage_table(service.conversations.daily_usage()),
        }

    def _caller(self, request: gr.Request) -> Caller:
        return self._conversations.caller(request)

    def _error_message(self, error: Exception) -> str:
        if isinstance(error, UniragError):
            message = public_message(self._conversations.api, error)
            return message[:1].upper() + message[1:]
        _LOG.error("a question on the page failed", exc_info=error)
        return "The service failed; its log has the details. You can ask again."
