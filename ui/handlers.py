"""The handlers of the page's events.

They call the same `Service` as the REST routes, in the same process, so the same keys, queues and
limits apply.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio.blocks import Block

from data.errors import UniragError
from data.pictures import open_picture
from ui import library, render
from ui.draft import Draft, decode_data_url
from ui.examples import ExampleCards
from ui.history import history_list
from ui.layout import NOTHING_INDEXED, WELCOME, AppLayout, header_html
from ui.live_turn import LiveTurn, answer_events
from unirag.api.access import Caller
from unirag.api.errors import NotFound, public_message
from unirag.api.service import Service
from unirag.schemas import CorpusOut, SearchTurnOut, StyleOut
from unirag.serialization import conversation_out

__all__ = ["PageHandlers"]

_LOG = logging.getLogger(__name__)
_SIDEBAR_MIN_WIDTH = 1000  # CSS pixels; the sidebar starts open in wider browsers
_MAX_JOBS = 20  # listed in the library

# New values or properties of components
Updates = dict[Block, Any]


class PageHandlers:
    """Answers each event of the page with updates of its components."""

    def __init__(self, api: FastAPI, layout: AppLayout) -> None:
        self._api, self._layout = api, layout
        self._examples: ExampleCards | None = None

    async def load(
        self, request: gr.Request, conversation_id: str, browser_width: float
    ) -> Updates:
        """Show the conversation that was open before a reload, or the first screen."""
        caller, layout = self._caller(request), self._layout
        corpora = [corpus.name for corpus in self._corpora(caller)]
        styles = dict.fromkeys(style.name for style in await self._styles())
        styles.pop("text", None)  # `text` is the style of words, not of pictures
        return {
            **await self._conversation(caller, conversation_id),
            layout.header: header_html(can_sign_out=not self._service.access.open),
            layout.sidebar: gr.Sidebar(open=browser_width >= _SIDEBAR_MIN_WIDTH),
            layout.library_tab: gr.Tab(visible=caller.teacher),
            layout.composer.corpora: gr.Dropdown(choices=corpora, visible=len(corpora) > 1),
            layout.composer.style: gr.Dropdown(choices=["auto", *styles]),
        }

    def fill_composer(self, event: gr.EventData) -> Updates:
        """Put the clicked example or suggestion into the composer."""
        composer, data = self._layout.composer, event._data or {}
        picture = None
        if "sketch" in data:
            picture = open_picture(decode_data_url(data["sketch"]), "the sketch")
        return {
            composer.text: data.get("ask", ""),
            composer.task: data.get("task", "explain"),
            composer.picture: picture,
            composer.picture_panel: gr.Accordion(open=picture is not None),
        }

    async def answer(
        self, request: gr.Request, conversation_id: str, *values: Any
    ) -> AsyncGenerator[Updates]:
        """Answer the question in the composer, whose input values are `values`."""
        layout, draft = self._layout, Draft(*values)
        caller = self._caller(request)
        past_turns = await self._past_turns(caller, conversation_id)
        turn = LiveTurn(conversation_id, draft.text.strip())
        yield {
            layout.welcome: "",
            layout.past_turns: past_turns,
            layout.current_turn: turn.html(status="Searching your books …"),
            layout.suggestions: "",
            **layout.composer.buttons(answering=True),
        }
        try:
            async with aclosing(self._stream(caller, turn, draft)) as updates:
                async for update in updates:
                    yield update
        except Exception as error:  # noqa: BLE001 - after any error the student can ask again
            yield {
                layout.current_turn: turn.html(failure=self._error_message(error)),
                **layout.composer.buttons(answering=False),
            }

    async def _stream(
        self, caller: Caller, turn: LiveTurn, draft: Draft
    ) -> AsyncGenerator[Updates]:
        """Yield the updates of each event, then those of the whole answer."""
        layout, service = self._layout, self._service
        body = await service.run(lambda: draft.to_request(turn.conversation_id))
        async with aclosing(answer_events(service, caller, body)) as events:
            async for event in events:
                turn.add(event)
                updates: Updates = {}
                if isinstance(event, SearchTurnOut):
                    await self._read_stored_question(caller, turn)
                    updates[layout.conversation_id] = turn.conversation_id
                    updates[layout.history] = self._history(caller, turn.conversation_id)
                if turn.answer is None:
                    status = "Writing, and checking every sentence …"
                    yield {**updates, layout.current_turn: turn.html(status=status)}
        assert turn.answer is not None
        yield {
            layout.current_turn: turn.html(),
            layout.suggestions: render.suggestions(turn.answer),
            **layout.composer.cleared(),
            **layout.composer.buttons(answering=False),
        }

    async def _read_stored_question(self, caller: Caller, turn: LiveTurn) -> None:
        """Set the question to its stored form: with transcripts and picture addresses."""
        service, conversation_id = self._service, turn.conversation_id
        conversation = await service.run(lambda: service.conversation(caller, conversation_id))
        stored = conversation_out(conversation).turns[-1]
        turn.question, turn.pictures = stored.question, stored.pictures

    async def stop(self, request: gr.Request, conversation_id: str) -> Updates:
        """Show the stored turns: the question stays, the unfinished answer goes."""
        layout = self._layout
        return {
            layout.past_turns: await self._past_turns(self._caller(request), conversation_id),
            layout.current_turn: "",
            **layout.composer.buttons(answering=False),
        }

    async def open_or_delete(
        self, request: gr.Request, current_id: str, event: gr.EventData
    ) -> Updates:
        """Open or delete the clicked conversation."""
        caller, service, data = self._caller(request), self._service, event._data or {}
        deleted_id = data.get("delete", "")
        if not deleted_id:
            return await self._conversation(caller, data.get("conversation", ""))
        await service.run(lambda: service.delete_conversation(caller, deleted_id))
        return await self._conversation(caller, "" if deleted_id == current_id else current_id)

    async def new_conversation(self, request: gr.Request) -> Updates:
        """Show the first screen."""
        return await self._conversation(self._caller(request), "")

    async def refresh_library(self, request: gr.Request) -> Updates:
        """Show the library as it is now."""
        caller, layout, service = self._caller(request), self._layout, self._service
        if not caller.teacher:
            raise gr.Error("The library needs a teacher's key.")
        jobs = [job for job in service.jobs.latest(_MAX_JOBS) if caller.may_see(job.corpus)]
        return {
            layout.corpora: library.corpora_table(self._corpora(caller)),
            layout.jobs: library.jobs_table(jobs),
            layout.styles: library.styles_table(await self._styles()),
            layout.usage: library.usage_table(service.conversations.daily_usage()),
        }

    @property
    def _service(self) -> Service:
        """The service. It starts after the page is built."""
        service: Service = self._api.state.service
        return service

    def _caller(self, request: gr.Request) -> Caller:
        assert request.request is not None  # only calls without a browser lack a request
        return self._service.access.caller(request.request)

    def _corpora(self, caller: Caller) -> list[CorpusOut]:
        corpora = map(CorpusOut.model_validate, self._service.app.corpora.list())
        return [corpus for corpus in corpora if caller.may_see(corpus.name)]

    async def _styles(self) -> list[StyleOut]:
        service = self._service
        return list(map(StyleOut.model_validate, await service.run(service.app.styles.list)))

    async def _conversation(self, caller: Caller, conversation_id: str) -> Updates:
        """Show a conversation, or the first screen if the caller has none with this id."""
        layout = self._layout
        past_turns = await self._past_turns(caller, conversation_id)
        return {
            layout.conversation_id: conversation_id if past_turns else "",
            layout.welcome: "" if past_turns else await self._first_screen(caller),
            layout.past_turns: past_turns,
            layout.current_turn: "",
            layout.suggestions: "",
            layout.history: self._history(caller, conversation_id),
        }

    async def _past_turns(self, caller: Caller, conversation_id: str) -> str:
        """Return the stored turns; "" if the caller has no conversation with this id."""
        if not conversation_id:
            return ""
        service = self._service
        try:
            conversation = await service.run(lambda: service.conversation(caller, conversation_id))
        except NotFound:
            return ""
        return render.conversation_turns(conversation_out(conversation))

    async def _first_screen(self, caller: Caller) -> str:
        examples = self._examples or ExampleCards(self._service.app)
        self._examples = examples
        warning = "" if self._corpora(caller) else render.failure(NOTHING_INDEXED)
        return WELCOME + warning + await self._service.run(lambda: examples.html(caller.corpora))

    def _history(self, caller: Caller, current_id: str) -> str:
        conversations = self._service.conversations.of_owner(caller.name)
        return history_list([conversation_out(c) for c in conversations], current_id)

    def _error_message(self, error: Exception) -> str:
        if isinstance(error, UniragError):
            return public_message(self._api, error)
        _LOG.error("a question on the page failed", exc_info=error)
        return "The service failed; its log has the details. You can ask again."
