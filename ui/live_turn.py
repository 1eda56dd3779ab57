"""A turn of a conversation while its answer arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from ui import render
from unirag.api.access import Caller
from unirag.api.errors import TooSlow
from unirag.api.requests import AskIn
from unirag.api.service import Service, TurnEvent
from unirag.schemas import AnswerTurnOut, SearchTurnOut, SentenceOut

__all__ = ["LiveTurn", "answer_events"]


@dataclass
class LiveTurn:
    """A question with the part of its answer that has arrived.

    `pictures` are addresses. `search` and `answer` are None until they arrive: first the search
    result, then one sentence after the other, then the whole answer.
    """

    conversation_id: str
    question: str
    pictures: Sequence[str] = ()
    search: SearchTurnOut | None = None
    sentences: list[SentenceOut] = field(default_factory=list)
    answer: AnswerTurnOut | None = None

    def add(self, event: TurnEvent) -> None:
        """Take in the next event of the answer."""
        if isinstance(event, AnswerTurnOut):
            self.answer = event
        elif isinstance(event, SentenceOut):
            self.sentences.append(event)
        else:
            self.search, self.conversation_id = event, event.conversation

    def html(self, *, status: str = "", failure: str = "") -> str:
        """Return the turn with the status or the error message below it."""
        body = ""
        if self.answer:
            body = render.complete_answer(self.answer)
        elif self.search:
            body = render.partial_answer(self.search, self.sentences)
        body += render.status(status) if status else ""
        body += render.failure(failure) if failure else ""
        return render.turn(self.conversation_id, self.question, self.pictures, body)


async def answer_events(
    service: Service, caller: Caller, request: AskIn
) -> AsyncGenerator[TurnEvent]:
    """Yield the events of an answer. Raise `TooSlow` after the time limit of a request.

    The answer is made in a task of its own. Gradio takes each event in a different task, which a
    timeout or a cancellation would not reach.
    """
    queue: asyncio.Queue[TurnEvent | None] = asyncio.Queue()

    async def fill_queue() -> None:
        try:
            async with (
                asyncio.timeout(service.settings.seconds),
                aclosing(service.answer(caller, request)) as events,
            ):
                async for event in events:
                    queue.put_nowait(event)
        except TimeoutError:
            raise TooSlow("the answer took too long; ask for less, or try again later") from None
        finally:
            queue.put_nowait(None)

    task = asyncio.create_task(fill_queue())
    try:
        while (event := await queue.get()) is not None:
            yield event
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
