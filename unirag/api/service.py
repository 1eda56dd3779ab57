"""The state that the routes and the web app share: application, keys, queues, jobs, metrics."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from data.pictures import Assets
from data.records import Answer, Sentence
from retrieval.store import Where
from unirag.api.access import Access, Caller, caller, teacher
from unirag.api.errors import NotFound
from unirag.api.limits import Gate, OnWait, run_within
from unirag.api.metrics import Metrics
from unirag.api.requests import AskIn, SearchIn
from unirag.app import App
from unirag.indexing.jobs import JobQueue
from unirag.schemas import AnswerTurnOut, SearchTurnOut, SentenceOut
from unirag.search.result import SearchResult
from unirag.serialization import answer_out, search_out, sentence_out
from unirag.settings.service import ServiceSettings
from unirag.workspace.conversations import Conversation, Conversations

__all__ = [
    "UNDO_SECONDS",
    "CurrentCaller",
    "CurrentService",
    "CurrentTeacher",
    "Service",
    "TurnEvent",
]

T = TypeVar("T")
TurnEvent = SearchTurnOut | SentenceOut | AnswerTurnOut
UNDO_SECONDS = 60.0  # how long a conversation stays in the bin


@dataclass
class Service:
    """Serves one application. Blocking work runs in `threads`: at least one for each turn."""

    app: App
    settings: ServiceSettings
    access: Access
    conversations: Conversations
    uploads: Assets
    jobs: JobQueue
    searches: Gate
    answers: Gate
    metrics: Metrics
    threads: ThreadPoolExecutor
    ready: bool = False

    async def run(self, work: Callable[[], T], stop: Callable[[], object] = lambda: None) -> T:
        """Run blocking work in a thread.

        If this call is cancelled, call `stop` and wait for the thread to end: the caller holds a
        turn of a gate, which must count everything that runs.
        """
        running = asyncio.get_running_loop().run_in_executor(self.threads, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            stop()
            await asyncio.wait({running})
            raise

    async def search(self, request: Request, caller: Caller, body: SearchIn) -> SearchResult:
        """Wait for a turn, then search. Raise `TooSlow` after the time limit."""
        where = _filter(caller, body)
        query = await self.run(body.to_query)

        async def search() -> SearchResult:
            async with self.searches.turn():
                return await self.run(lambda: self.app.search(query, limit=body.limit, where=where))

        result = await run_within(request, self.settings.seconds, search())
        self.metrics.observe_steps(result.timings_ms)
        return result

    async def stream(
        self,
        caller: Caller,
        body: AskIn,
        history: Sequence[str],
        on_wait: OnWait = lambda _: None,
    ) -> AsyncGenerator[SearchResult | Sentence | Answer]:
        """Yield the events of `App.stream`. Hold a turn from the first event to the last.

        Closing the generator stops the language model. `on_wait` is called with the number of
        questions that are answered first, whenever it changes.
        """
        task, where = body.to_task(), _filter(caller, body)
        query = await self.run(body.to_query)
        stopped = threading.Event()

        def events() -> Generator[SearchResult | Sentence | Answer]:
            yield from self.app.stream(
                query,
                limit=body.limit,
                where=where,
                history=history,
                task=task,
                stopped=stopped.is_set,
            )

        async with self.answers.turn(on_wait):
            running = events()
            try:
                while event := await self.run(lambda: next(running, None), stopped.set):
                    if isinstance(event, Answer):
                        self._count(event)
                    yield event
            finally:
                await self.run(running.close)

    async def answer(
        self, caller: Caller, body: AskIn, on_wait: OnWait = lambda _: None
    ) -> AsyncGenerator[TurnEvent]:
        """Yield the search result, each sentence and the answer of a conversation's turn.

        The question is stored before the first event, the answer before the last. If the generator
        is closed before that, the sentences so far are stored: each of them was checked.
        """
        history: list[str] = []
        if body.conversation:
            conversation_id = body.conversation
            conversation = await self.run(lambda: self.conversation(caller, conversation_id))
            history = conversation.questions
        result: SearchResult | None = None
        sentences: list[Sentence] = []
        place: dict[str, Any] = {}
        try:
            async with aclosing(self.stream(caller, body, history, on_wait)) as events:
                async for event in events:
                    if isinstance(event, SearchResult):
                        result = event
                        conversation_id, turn = await self.run(
                            partial(self._store_question, caller, body, event)
                        )
                        place = {"conversation": conversation_id, "turn": turn}
                        yield SearchTurnOut(**search_out(event, self.address).model_dump(), **place)
                    elif isinstance(event, Sentence):
                        sentences.append(event)
                        yield sentence_out(event)
                    else:
                        assert result is not None  # it is the first event
                        fields = answer_out(event, result, self.address).model_dump()
                        answer = AnswerTurnOut(**fields, **place)
                        await self.run(partial(self._store_answer, answer))
                        sentences.clear()
                        yield answer
        finally:
            if result and sentences:
                self._store_answer(self._stopped_answer(body, result, sentences, place))

    def conversation(self, caller: Caller, conversation_id: str) -> Conversation:
        """Return a conversation of the caller. Raise `NotFound` if there is none of this id."""
        conversation = self.conversations.get(conversation_id, caller.name)
        if conversation is None:
            raise NotFound("you have no conversation with this id")
        return conversation

    def delete_conversation(self, caller: Caller, conversation_id: str) -> None:
        """Delete a conversation and the query pictures that no other conversation shows."""
        self._delete(self.conversation(caller, conversation_id).id)

    def bin_conversation(self, caller: Caller, conversation_id: str) -> None:
        """Hide a conversation. It is deleted when the time to undo that is over."""
        self.conversations.move_to_bin(self.conversation(caller, conversation_id).id)

    def restore_conversation(self, caller: Caller, conversation_id: str) -> None:
        """Show a hidden conversation again. Raise `NotFound` if the time for that is over."""
        if not self.conversations.restore(conversation_id, caller.name):
            raise NotFound("this conversation is deleted for good")

    def empty_bin(self, seconds: float = UNDO_SECONDS) -> None:
        """Delete the conversations that are in the bin for longer than `seconds`."""
        for conversation_id in self.conversations.expired(seconds):
            self._delete(conversation_id)

    def vote(self, caller: Caller, conversation_id: str, turn: int, vote: int) -> None:
        """Store a thumb up (1) or down (-1) for an answer of the caller; 0 takes it back."""
        turns = self.conversation(caller, conversation_id).turns
        if not any(stored.number == turn and stored.answer for stored in turns):
            raise NotFound("this conversation has no answer of this number")
        self.conversations.vote(conversation_id, turn, vote)

    def _delete(self, conversation_id: str) -> None:
        for digest in self.conversations.delete(conversation_id):
            if not self.conversations.use_picture(digest):
                self.uploads.remove(digest)

    def _stopped_answer(
        self,
        body: AskIn,
        result: SearchResult,
        sentences: Sequence[Sentence],
        place: Mapping[str, Any],
    ) -> AnswerTurnOut:
        """Return the answer that ends after these sentences."""
        answer = Answer(
            result.question,
            tuple(sentences),
            result.hits,
            quoted=all(sentence.quoted for sentence in sentences),
            timings_ms=result.timings_ms,
            task=body.task,
            level=body.level,
        )
        fields = answer_out(answer, result, self.address).model_dump()
        return AnswerTurnOut(**fields, **place, stopped=True)

    def address(self, digest: str) -> str | None:
        """Return the address of a picture under this service, None if the picture is lost."""
        return f"/v1/assets/{digest}" if self.app.components.assets.path(digest) else None

    def _store_question(self, caller: Caller, body: AskIn, result: SearchResult) -> tuple[str, int]:
        """Store the question with its pictures; return its conversation and turn."""
        pictures = tuple(
            self.uploads.put(image.data, picture)
            for image, picture in zip(result.query.images, result.pictures, strict=True)
        )
        conversation_id = body.conversation or self.conversations.create(caller.name)
        question = body.text.strip() or (result.question if body.audio else "")
        return conversation_id, self.conversations.add_question(conversation_id, question, pictures)

    def _store_answer(self, answer: AnswerTurnOut) -> None:
        self.conversations.save_answer(
            answer.conversation, answer.turn, answer.model_dump(mode="json")
        )

    def _count(self, answer: Answer) -> None:
        self.metrics.observe_steps(answer.timings_ms)
        outcome = "refused" if answer.refused else "quoted" if answer.quoted else "explained"
        self.metrics.answers.labels(outcome).inc()


def current_service(request: Request) -> Service:
    """Dependency: the service that the request came to."""
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(current_service)]
CurrentCaller = Annotated[Caller, Depends(caller)]
CurrentTeacher = Annotated[Caller, Depends(teacher)]


def _filter(caller: Caller, body: SearchIn) -> Where:
    return Where(corpora=caller.within(body.corpora), kinds=tuple(body.kinds))
