"""The application: a thin facade over the components of one workspace."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image

from data.records import Answer, Item, Query, Sentence
from generation.answer import Answerer
from generation.language import language_name
from generation.tasks import EXPLAIN, TaskRequest
from retrieval.encoder import ORIGINAL
from retrieval.store import Where
from unirag.app.components import Components
from unirag.app.conversation import ConversationTurn, understand
from unirag.app.corpora import Corpora
from unirag.app.styles import Styles
from unirag.indexing.progress import IndexProgress, IndexReport
from unirag.search.context_selection import select_context
from unirag.search.result import QuestionEmbedder, SearchResult
from unirag.search.searcher import check_query
from unirag.settings import Settings

__all__ = ["App"]

_OTHER_LANGUAGE = "I cannot read this language yet. Please ask in {}."
_PICTURE_QUESTION = "Explain what the figure shows."  # for a query without words


class App:
    """Index, search and ask in one workspace. A context manager; `close()` releases it."""

    def __init__(self, components: Components) -> None:
        self.components = components

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the workspace of the settings. Raise `Busy` if another process has it open."""
        return cls(Components(settings))

    @property
    def settings(self) -> Settings:
        """The settings that the application was opened with."""
        return self.components.settings

    @cached_property
    def corpora(self) -> Corpora:
        """The corpora of the workspace."""
        return Corpora(self.components)

    @cached_property
    def styles(self) -> Styles:
        """The query styles of the workspace."""
        return Styles(self.components)

    def index(
        self,
        paths: Sequence[Path | str],
        *,
        corpus: str | None = None,
        prune: bool = False,
        retry_failed: bool = False,
        progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> list[IndexReport]:
        """Index each path as a corpus, named after the path unless `corpus` is given.

        `prune` removes documents that are gone. `retry_failed` reads unchanged dead letters again.
        Raise `Busy` while another process changes the index.
        """
        return self.corpora.index(
            paths, corpus=corpus, prune=prune, retry_failed=retry_failed, progress=progress
        )

    def search(
        self, query: Query | str, *, limit: int = 10, where: Where = Where()
    ) -> SearchResult:
        """Return the figures and passages that answer a query, best first."""
        query = _as_query(query)
        check_query(query, limit)
        return self.components.searcher().search(query, limit, where)

    def ask(
        self,
        query: Query | str,
        *,
        limit: int = 10,
        where: Where = Where(),
        history: Sequence[str] | None = None,
        task: TaskRequest = EXPLAIN,
    ) -> Answer:
        """Return the cited answer to a query, or a refusal."""
        *_, answer = self.stream(query, limit=limit, where=where, history=history, task=task)
        assert isinstance(answer, Answer)
        return answer

    def stream(
        self,
        query: Query | str,
        *,
        limit: int = 10,
        where: Where = Where(),
        history: Sequence[str] | None = None,
        task: TaskRequest = EXPLAIN,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[SearchResult | Sentence | Answer]:
        """Yield the search result, each sentence once it is checked, then the whole answer.

        `history` holds the earlier messages of the conversation, oldest first, so that the query
        can refer to them; in a conversation, small talk gets a reply without a search. None means
        a single question. The language model stops writing as soon as `stopped()` is true.
        """
        query = _as_query(query)
        if self._is_in_another_language(query):
            languages = " or ".join(map(language_name, self.settings.question_languages))
            yield from self._reply(ConversationTurn(query, task, _OTHER_LANGUAGE.format(languages)))
            return
        if history is not None:
            turn = understand(query, history, task, self.components.intents)
            if turn.reply:
                yield from self._reply(turn)
                return
            query, task = turn.query, turn.task
        candidates = self.settings.search.context.candidates
        result = self.search(query, limit=max(limit, candidates), where=where)
        hits = select_context(
            self.components.searcher(),
            result,
            task,
            where,
            # a quiz and feedback need every sentence about the subject
            limit=limit if task.uses_model else max(limit, candidates),
            evidence_items=self.settings.answer.items,
        )
        result = replace(result, hits=hits)
        yield result
        if result.no_good_match:
            yield _refusal(result, task)
        else:
            yield from self._answer(result, task, stopped)

    def _is_in_another_language(self, query: Query) -> bool:
        """Return whether the typed words are surely in a language that is not set."""
        if not query.text or query.images or query.audio:
            return False
        languages = self.settings.question_languages
        return (self.components.languages.language(query.text) or languages[0]) not in languages

    def _reply(self, turn: ConversationTurn) -> Iterator[SearchResult | Sentence | Answer]:
        """Yield a reply that needs no source, after a result without hits."""
        components = self.components
        yield SearchResult(
            query=turn.query,
            question=turn.query.text,
            hits=(),
            confidence=1.0,
            no_good_match=False,
            embedder=QuestionEmbedder(components.encoder, components.text),
        )
        sentence = Sentence(turn.reply, (), 1.0)
        yield sentence
        yield Answer(turn.query.text, (sentence,), (), task=turn.task.task, level=turn.task.level)

    def _answer(
        self,
        result: SearchResult,
        task: TaskRequest,
        stopped: Callable[[], bool],
    ) -> Iterator[Sentence | Answer]:
        components = self.components
        question = result.question or _PICTURE_QUESTION
        vector = result.embedder.retriever_vector
        answerer = Answerer(
            components.writer, components.text_models, self.settings.answer, components.chat_size
        )
        for event in answerer.stream(
            question,
            result.hits,
            question_vector=vector(question),
            topic_vector=vector(result.topic) if result.topic else None,
            task=task,
            stopped=stopped,
        ):
            if isinstance(event, Answer):
                event = replace(event, timings_ms={**result.timings_ms, **event.timings_ms})
            yield event

    def item(self, item_id: str) -> Item | None:
        """Return the item of this id, or None if there is none."""
        try:
            uuid.UUID(item_id)
        except ValueError:
            return None
        return next(iter(self.components.store.get([item_id])), None)

    def check(self) -> None:
        """Load the models of a search, so that a missing or damaged one raises an error now."""
        encoder = self.components.searcher().encoder
        encoder.encode_image([Image.new("RGB", (8, 8))], ORIGINAL)
        self.components.store.count()

    def load(self) -> None:
        """Load every model of a question, so that the first question does not wait for them."""
        self.check()
        components = self.components
        _ = components.writer, components.reranker, components.entailment, components.languages
        components.text.encode_queries(["a question"])

    def close(self) -> None:
        """Release the workspace."""
        self.components.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _as_query(query: Query | str) -> Query:
    return Query(query) if isinstance(query, str) else query


def _refusal(result: SearchResult, task: TaskRequest) -> Answer:
    return Answer(
        result.question,
        (),
        result.hits,
        refused=True,
        timings_ms=dict(result.timings_ms),
        task=task.task,
        level=task.level,
    )
