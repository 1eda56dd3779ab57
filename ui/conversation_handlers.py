"""The handlers that show, find, rename and delete conversations."""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio.blocks import Block

from retrieval.store import Where
from ui import render
from ui.examples import ExampleCards
from ui.history import history_list
from ui.layout import NOTHING_INDEXED, WELCOME, AppLayout
from unirag.api.access import Caller
from unirag.api.errors import NotFound
from unirag.api.service import Service
from unirag.schemas import ConversationOut, StyleOut
from unirag.serialization import conversation_out

__all__ = ["ConversationHandlers", "Updates"]

# New values or properties of components
Updates = dict[Block, Any]


class ConversationHandlers:
    """Answers the events of the sidebar and of a conversation's turns."""

    def __init__(self, api: FastAPI, layout: AppLayout) -> None:
        self.api, self._layout = api, layout
        self._examples: ExampleCards | None = None

    @property
    def service(self) -> Service:
        """The service. It starts after the page is built."""
        service: Service = self.api.state.service
        return service

    def caller(self, request: gr.Request) -> Caller:
        """Return who sent an event."""
        assert request.request is not None  # only calls without a browser lack a request
        return self.service.access.caller(request.request)

    def filter(self, caller: Caller) -> Where:
        """Return the filter of the corpora that the caller may search."""
        return Where(corpora=caller.within(()))

    async def load(self, request: gr.Request, conversation_id: str) -> Updates:
        """Show the conversation that the address names, or the first screen."""
        caller, layout, service = self.caller(request), self._layout, self.service
        corpora = [c["name"] for c in service.app.corpora.list() if caller.may_see(c["name"])]
        listed = await service.run(service.app.styles.list)
        styles = dict.fromkeys(StyleOut.model_validate(style).name for style in listed)
        styles.pop("text", None)  # `text` is the style of words, not of pictures
        choices = [("not sure", "auto"), *((render.readable_style(s), s) for s in styles)]
        return {
            **await self._open(caller, conversation_id),
            layout.library_tab: gr.Tab(visible=caller.teacher),
            layout.composer.corpora: gr.Dropdown(choices=corpora, visible=len(corpora) > 1),
            layout.composer.style: gr.Dropdown(choices=choices),
        }

    async def change(
        self, request: gr.Request, current_id: str, words: str, event: gr.EventData
    ) -> Updates:
        """Open, delete or restore a conversation, or show the current one again."""
        caller, service, data = self.caller(request), self.service, event._data or {}
        deleted_id, restored_id = data.get("delete", ""), data.get("restore", "")
        if deleted_id:
            await service.run(lambda: service.bin_conversation(caller, deleted_id))
            next_id = "" if deleted_id == current_id else current_id
            return await self._open(caller, next_id, words, deleted_id)
        if restored_id:
            try:
                await service.run(lambda: service.restore_conversation(caller, restored_id))
            except NotFound:  # the time for that is over
                restored_id = current_id
            return await self._open(caller, restored_id, words)
        return await self._open(caller, data.get("conversation", current_id), words)

    async def new_conversation(self, request: gr.Request, words: str) -> Updates:
        """Show the first screen."""
        return await self._open(self.caller(request), "", words)

    def search(self, request: gr.Request, current_id: str, words: str) -> str:
        """Return the list of the conversations that contain the words."""
        return self.history(self.caller(request), current_id, words)

    async def fill_from_turn(
        self, request: gr.Request, conversation_id: str, event: gr.EventData
    ) -> Updates:
        """Put the question of a turn into the composer, to be edited or answered again.

        The last turn is replaced by its new answer.
        """
        service, data = self.service, event._data or {}
        conversation = await self._conversation(self.caller(request), conversation_id)
        number = int(data.get("turn", 0))
        turn = next((t for t in conversation.turns if t.number == number), None)
        if turn is None:
            raise gr.Error("This question is no longer there. Load the page again.")
        digests = [address.rpartition("/")[2] for address in turn.pictures]
        paths = [path for digest in digests if (path := service.uploads.path(digest))]
        pictures = [await service.run(path.read_bytes) for path in paths]
        task = turn.answer.task if turn.answer else "explain"
        is_last = turn is conversation.turns[-1]
        return {
            **self._layout.composer.filled(turn.question, pictures, task),
            self._layout.replaced_turn: number if is_last else 0,
        }

    async def turns(self, caller: Caller, conversation_id: str) -> Updates:
        """Return the updates that show a stored conversation, or none of its turns."""
        layout = self._layout
        try:
            conversation = await self._conversation(caller, conversation_id)
        except NotFound:
            return {layout.past_turns: "", layout.current_turn: "", layout.suggestions: ""}
        last = conversation.turns[-1].answer if conversation.turns else None
        return {
            layout.past_turns: render.conversation_turns(conversation),
            layout.current_turn: "",
            layout.suggestions: render.suggestions(last) if last else "",
        }

    def history(
        self, caller: Caller, current_id: str, words: str = "", deleted_id: str = ""
    ) -> str:
        """Return the list of conversations that contain `words`."""
        conversations = self.service.conversations.of_owner(caller.name, words)
        rows = [conversation_out(c) for c in conversations]
        return history_list(rows, current_id, is_search=bool(words.strip()), deleted_id=deleted_id)

    async def _conversation(self, caller: Caller, conversation_id: str) -> ConversationOut:
        service = self.service
        stored = await service.run(lambda: service.conversation(caller, conversation_id))
        return conversation_out(stored)

    async def _open(
        self, caller: Caller, conversation_id: str, words: str = "", deleted_id: str = ""
    ) -> Updates:
        """Show a conversation, or the first screen if the caller has none with this id."""
        layout, service = self._layout, self.service
        await service.run(service.empty_bin)
        turns = await self.turns(caller, conversation_id)
        is_missing = bool(conversation_id) and not turns[layout.past_turns]
        note = "This conversation is not here. It was deleted, or it belongs to somebody else."
        return {
            **turns,
            layout.conversation_id: "" if is_missing else conversation_id,
            layout.sidebar: gr.Sidebar(open=False),
            layout.welcome: "" if turns[layout.past_turns] else await self._first_screen(caller),
            layout.history: self.history(caller, conversation_id, words, deleted_id),
            layout.composer.note: render.failure(note) if is_missing else "",
        }

    async def _first_screen(self, caller: Caller) -> str:
        examples = self._examples or ExampleCards(self.service.app)
        self._examples = examples
        is_empty = not any(caller.may_see(c["name"]) for c in self.service.app.corpora.list())
        warning = render.failure(NOTHING_INDEXED) if is_empty else ""
        cards = await self.service.run(lambda: examples.html(caller.corpora))
        return WELCOME + warning + cards
