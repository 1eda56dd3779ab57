"""What the routes share: the application, who may use it, the queues, the counts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from data.pictures import Assets
from data.records import Answer, Sentence
from retrieval.store import Where
from unirag.api.access import Access, Caller, caller, teacher
from unirag.api.bodies import laid
from unirag.api.errors import NotFound
from unirag.api.limits import Gate, within
from unirag.api.metrics import Metrics
from unirag.api.schemas import AskIn, SearchIn
from unirag.app import App
from unirag.indexing.jobs import Jobs
from unirag.search.searcher import SearchResult
from unirag.serialization import answer_json, found_json, sentence_json
from unirag.settings.service import ServiceSettings
from unirag.workspace.conversations import Conversation, Conversations

__all__ = ["Here", "Service", "Teacher", "Who"]

T = TypeVar("T")


@dataclass
class Service:
    """Blocking work runs in `threads`, of which there are as many as the gates let through."""

    unirag: App
    settings: ServiceSettings
    access: Access
    conversations: Conversations
    uploads: Assets
    jobs: Jobs
    searches: Gate
    answers: Gate
    metrics: Metrics
    threads: ThreadPoolExecutor
    ready: bool = False

    async def work(self, do: Callable[[], T], stop: Callable[[], object] = lambda: None) -> T:
        """In a thread; whoever is cancelled asks it to stop, and waits: a gate counts what runs."""
        running = asyncio.get_running_loop().run_in_executor(self.threads, do)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            stop()
            await asyncio.wait({running})
            raise

    async def search(self, request: Request, who: Caller, asked: SearchIn) -> SearchResult:
        where = _where(who, asked)

        def do() -> SearchResult:
            with _given(asked) as given:
                return self.unirag.search(**given, where=where)

        async def turn() -> SearchResult:
            async with self.searches.turn():
                return await self.work(do)

        found = await within(request, self.settings.seconds, turn())
        self.metrics.steps(found.timings_ms)
        return found

    async def stream(
        self, who: Caller, asked: AskIn, earlier: Sequence[str]
    ) -> AsyncGenerator[SearchResult | Sentence | Answer]:
        """Has its turn from the first event on; what generates stops when this is closed."""
        where = _where(who, asked)
        gone = threading.Event()

        def events() -> Generator[SearchResult | Sentence | Answer]:
            with _given(asked) as given:
                yield from self.unirag.stream(
                    **given,
                    where=where,
                    earlier=earlier,
                    wanted=asked.wanted,
                    stopped=gone.is_set,
                )

        async with self.answers.turn():
            running = events()
            try:
                while (event := await self.work(lambda: next(running, None), gone.set)) is not None:
                    if isinstance(event, Answer):
                        self._count(event)
                    yield event
            finally:
                await self.work(running.close)

    async def answer(self, who: Caller, asked: AskIn) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
        """One turn of a conversation: `found`, a `sentence` each, and `answer`, as JSON.

        The question is written down before the first event, the answer before the last.
        """
        earlier: list[str] = []
        if name := asked.conversation:
            earlier = (await self.work(lambda: self.conversation(who, name))).questions
        turn: dict[str, Any] = {}
        async with aclosing(self.stream(who, asked, earlier)) as events:
            async for step in events:
                if isinstance(step, SearchResult):
                    found = step
                    turn = await self.work(partial(self._begin, who, asked, step))
                    yield "found", {**found_json(step, self.address), **turn}
                elif isinstance(step, Sentence):
                    yield "sentence", sentence_json(step)
                else:
                    made = {**answer_json(step, found, self.address), **turn}
                    await self.work(partial(self.conversations.answer, answer=made, **turn))
                    yield "answer", made

    def conversation(self, who: Caller, name: str) -> Conversation:
        found = self.conversations.get(name, who.name)
        if found is None:
            raise NotFound("no conversation of this id that is yours")
        return found

    def forget(self, who: Caller, name: str) -> None:
        """Delete a conversation and the pictures that were asked with."""
        kept = self.conversation(who, name)
        self.conversations.delete(name, who.name)
        for digest in {d for turn in kept.turns for d in turn.pictures}:
            if not self.conversations.shows(digest):
                self.uploads.remove(digest)

    def address(self, digest: str) -> str | None:
        """A picture by its address here; no path of the server goes out."""
        return f"/v1/assets/{digest}" if self.unirag.assets.path(digest) else None

    def _begin(self, who: Caller, asked: AskIn, found: SearchResult) -> dict[str, Any]:
        """The conversation and the number of its new turn, written down with what was said."""
        with laid(asked) as (images, _):  # kept, so that the conversation shows them again
            put, decode = self.uploads.put, self.unirag.decoder.decode
            kept = tuple(put(i.path.read_bytes(), decode(i.path)) for i in images)
        name = asked.conversation or self.conversations.begin(who.name)
        said = asked.text.strip() or (found.words if asked.audio else "")
        number = self.conversations.ask(name, said, kept)
        return {"conversation": name, "turn": number}

    def _count(self, answer: Answer) -> None:
        self.metrics.steps(answer.timings_ms)
        outcome = "refused" if answer.refused else "quoted" if answer.quoted else "explained"
        self.metrics.answers.labels(outcome).inc()


def service_of(request: Request) -> Service:
    """Dependency."""
    found: Service = request.app.state.service
    return found


# What nearly every route is handed.
Here = Annotated[Service, Depends(service_of)]
Who = Annotated[Caller, Depends(caller)]
Teacher = Annotated[Caller, Depends(teacher)]


@contextmanager
def _given(asked: SearchIn) -> Iterator[dict[str, Any]]:
    """The arguments of `App.search` and `App.stream`; the files are there for as long."""
    with laid(asked) as (images, audio):
        yield {
            "text": asked.text,
            "text_weight": asked.text_weight,
            "images": images,
            "audio": audio,
            "limit": asked.limit,
        }


def _where(who: Caller, asked: SearchIn) -> Where:
    return Where(corpora=who.within(asked.corpora), kinds=tuple(asked.kinds))
