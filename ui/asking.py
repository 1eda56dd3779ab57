"""What the page asks of the service, and what it shows of the answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import gradio as gr
from fastapi import FastAPI

from data.errors import UniragError
from ui import render
from ui.composer import question
from ui.examples import Examples
from unirag.api.access import Caller
from unirag.api.errors import NotFound, TooSlow, Unauthorized, public
from unirag.api.schemas import AskIn
from unirag.api.service import Service
from unirag.serialization import conversation_json

__all__ = ["Page", "ask"]

_LOG = logging.getLogger(__name__)


class Page:
    """The handlers of one service's page."""

    def __init__(self, api: FastAPI) -> None:
        self._api = api
        self._examples: Examples | None = None

    @property
    def here(self) -> Service:
        """Made when the service starts, after the page."""
        service: Service = self._api.state.service
        return service

    def who(self, request: gr.Request) -> Caller:
        assert request.request is not None  # every event of a browser has one
        return self.here.access.caller(request.request)

    def said(self, error: UniragError) -> str:
        if isinstance(error, Unauthorized):
            return "You have been signed out; load the page again."
        return public(self._api, error)

    async def examples(self, who: Caller) -> str:
        if self._examples is None:
            self._examples = Examples(self.here.unirag)
        made = self._examples
        return await self.here.work(lambda: made.html(who.corpora))

    def history(self, who: Caller, current: str) -> str:
        kept = self.here.conversations.of(who.name)
        return render.history([{"id": c.id, "title": c.title} for c in kept], current)

    def past(self, who: Caller, name: str) -> str:
        """A conversation's turns; empty where it is gone."""
        try:
            kept = conversation_json(self.here.conversation(who, name)) if name else {"turns": []}
        except NotFound:
            return ""
        return render.thread(name, kept["turns"])


async def ask(
    page: Page, request: gr.Request, name: str, asked: dict[str, Any]
) -> AsyncGenerator[dict[str, Any]]:
    """Updates of the screen while one question is answered."""
    who, here = page.who(request), page.here
    text = asked["text"].strip()
    shown = {
        "welcome": "",
        "past": await here.work(lambda: page.past(who, name)),
        "following": "",
        "ask": gr.Button(visible=False),
        "stop": gr.Button(visible=True),
    }
    yield {**shown, "current": render.turn(name, text, [], None, "Searching your books …")}
    over = {"ask": gr.Button(visible=True), "stop": gr.Button(visible=False)}
    answer: dict[str, Any] = {}
    pictures: Sequence[str] = ()
    try:
        wanted = await here.work(lambda: question(name, asked))
        async with aclosing(_within(here, who, wanted)) as events:
            async for kind, data in events:
                if kind == "found":
                    turns = conversation_json(here.conversation(who, data["conversation"]))["turns"]
                    pictures, name = turns[-1]["pictures"], data["conversation"]
                    text = turns[-1]["question"]
                    answer = {**data, "sentences": []}
                    kept = {"conversation": name, "history": page.history(who, name)}
                    status = "Writing, and checking every sentence …"
                    yield {**kept, "current": render.turn(name, text, pictures, answer, status)}
                elif kind == "sentence":
                    answer["sentences"].append(data)
                    yield {"current": render.turn(name, text, pictures, answer, status)}
                else:
                    answer = data
        yield {
            **over,
            **dict.fromkeys(("text", "sketch", "student_answer"), ""),
            **dict.fromkeys(("picture", "sound"), None),
            "current": render.turn(name, text, pictures, answer),
            "following": render.suggestions(answer),
        }
    except Exception as error:  # noqa: BLE001 - whatever it is, the student can ask again
        said = "A fault of the service; its log says more."
        if isinstance(error, UniragError):
            said = page.said(error)
        else:
            _LOG.exception("a question on the page")
        shown_so_far = render.turn(name, text, pictures, answer or None, failed=said)
        yield {**over, "current": shown_so_far}


async def _within(
    here: Service, who: Caller, asked: AskIn
) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
    """The events of an answer, for as long as a request may take.

    They are made in a task of their own: Gradio takes each event in another task, which a timeout
    and a cancellation do not reach.
    """
    queue: asyncio.Queue[tuple[str, dict[str, Any]] | None] = asyncio.Queue()

    async def make() -> None:
        try:
            async with (
                asyncio.timeout(here.settings.seconds),
                aclosing(here.answer(who, asked)) as events,
            ):
                async for event in events:
                    queue.put_nowait(event)
        except TimeoutError:
            raise TooSlow("this took too long; ask for less, or try again later") from None
        finally:
            queue.put_nowait(None)

    making = asyncio.create_task(make())
    try:
        while (event := await queue.get()) is not None:
            yield event
        await making
    finally:
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
