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
from unirag.schemas import SearchTurnOut, SentenceOut

__all__ = ["LiveTurn"]

_SEARCHING = "Looking in your books …"
_WRITING = "Writing, and checking every sentence …"


@dataclass
class LiveTurn:
    """A question with the part of its answer that has arrived.

    `pictures` are addresses. `search` is None until the search result arrives; the sentences come
    after it. `status` says what the service is doing.
    """

    conversation_id: str
    question: str
    pictures: Sequence[str] = ()
    search: SearchTurnOut | None = None
    sentences: list[SentenceOut] = field(default_factory=list)
    status: str = _SEARCHING
    is_stopped: bool = False
    _task: asyncio.Task[None] | None = None

    def html(self, failure: str = "") -> str:
        """Return the turn with its status, or with an error message, below it."""
        body = render.partial_answer(self.search, self.sentences) if self.search else ""
        body += render.failure(failure) if failure else render.status(self.status)
        return render.turn(self.conversation_id, self.question, self.pictures, body)

    def stop(self) -> None:
        """End the answer. The service stores the sentences so far."""
        self.is_stopped = True
        if self._task:
            self._task.cancel()

    async def events(
        self, service: Service, caller: Caller, request: AskIn
    ) -> AsyncGenerator[TurnEvent | None]:
        """Yield the events of the answer, and None when only the status has changed.

        Raise `TooSlow` after the time limit of a request. The answer is made in a task of its own.
        Gradio takes each event in a different task, which a timeout or a cancellation would not
        reach.
        """
        queue: asyncio.Queue[TurnEvent | int | None] = asyncio.Queue()
        self._task = asyncio.create_task(_fill(queue, service, caller, request))
        try:
            while (event := await queue.get()) is not None:
                if isinstance(event, int):
                    self.status = _waiting(event)
                    yield None
                else:
                    self._add(event)
                    yield event
            if not self.is_stopped:
                await self._task
        finally:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _add(self, event: TurnEvent) -> None:
        if isinstance(event, SearchTurnOut):
            self.search, self.conversation_id = event, event.conversation
            self.status = _WRITING
        elif isinstance(event, SentenceOut):
            self.sentences.append(event)


async def _fill(
    queue: asyncio.Queue[TurnEvent | int | None], service: Service, caller: Caller, request: AskIn
) -> None:
    """Put the events of an answer into a queue, then None. A number counts earlier questions."""
    try:
        async with (
            asyncio.timeout(service.settings.seconds),
            aclosing(service.answer(caller, request, queue.put_nowait)) as events,
        ):
            async for event in events:
                queue.put_nowait(event)
    except TimeoutError:
        raise TooSlow("the answer took too long; ask for less, or try again later") from None
    finally:
        queue.put_nowait(None)


def _waiting(earlier: int) -> str:
    if earlier < 1:
        return _SEARCHING
    questions = "1 question comes" if earlier == 1 else f"{earlier} questions come"
    return f"{questions} before yours. It starts by itself …"
