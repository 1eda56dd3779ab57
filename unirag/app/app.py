"""The application: one home that is indexed, searched and asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from data.records import Answer, Query, Sentence, WeightedAudio, WeightedImage
from generation.answer import Answerer
from generation.followup import standalone
from generation.tasks import EXPLAIN, TaskRequest
from retrieval.store import Where
from unirag.app.corpora import Library
from unirag.search.context_selection import POOL, choose
from unirag.search.searcher import SearchResult, check

__all__ = ["App"]


class App(Library):
    """Index, search and ask in one home. A context manager; `close()` gives the home back."""

    def search(
        self,
        text: str = "",
        *,
        text_weight: float = 1.0,
        images: Sequence[Path | str | WeightedImage] = (),
        audio: Sequence[Path | str | WeightedAudio] = (),
        limit: int = 10,
        where: Where = Where(),
    ) -> SearchResult:
        """Items that answer a query in words, pictures, speech or any mix of them."""
        query = _query(text, text_weight, images, audio)
        check(query, limit)
        return self.searcher.search(query, limit, where)

    def ask(
        self,
        text: str = "",
        *,
        text_weight: float = 1.0,
        images: Sequence[Path | str | WeightedImage] = (),
        audio: Sequence[Path | str | WeightedAudio] = (),
        limit: int = 10,
        where: Where = Where(),
        earlier: Sequence[str] = (),
        wanted: TaskRequest = EXPLAIN,
    ) -> Answer:
        """The cited answer, whole."""
        *_, answer = self.stream(
            text,
            text_weight=text_weight,
            images=images,
            audio=audio,
            limit=limit,
            where=where,
            earlier=earlier,
            wanted=wanted,
        )
        assert isinstance(answer, Answer)
        return answer

    def stream(
        self,
        text: str = "",
        *,
        text_weight: float = 1.0,
        images: Sequence[Path | str | WeightedImage] = (),
        audio: Sequence[Path | str | WeightedAudio] = (),
        limit: int = 10,
        where: Where = Where(),
        earlier: Sequence[str] = (),
        wanted: TaskRequest = EXPLAIN,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[SearchResult | Sentence | Answer]:
        """What was found, each sentence as soon as it is checked, then the whole answer.

        `earlier` are the questions before this one, which a follow-up may lean on. `wanted` is
        what to make of what was found. Once `stopped` is true the model is not asked for more.
        """
        found = self.search(
            standalone(text, earlier) if text else text,
            text_weight=text_weight,
            images=images,
            audio=audio,
            limit=max(limit, POOL),
            where=where,
        )
        sources = choose(
            self.searcher, found, wanted, where, limit=limit, items=self.settings.answer.items
        )
        found = replace(found, hits=sources.hits)
        yield found
        if found.no_good_match:
            yield Answer(
                found.words,
                (),
                found.hits,
                refused=True,
                timings_ms=dict(found.timings_ms),
                task=wanted.task,
                level=wanted.level,
            )
            return
        answerer = Answerer(self.chat, self.text.encode_passages, self.settings.answer)
        question = found.words or "Explain what the figure shows."
        # what is read in a picture is no question, and its subject may be anything
        about = found.query.text if images else found.words
        for event in answerer.stream(question, found.hits, stopped, wanted, about, sources.shares):
            if isinstance(event, Answer):
                yield _with_timings(event, found)
            else:
                yield event

    def check(self) -> None:
        """Load what a search needs: what is missing or damaged shows before the first one."""
        _ = self.searcher
        self.store.count()

    def load(self) -> None:
        """Load what a question needs, which otherwise the first one waits for."""
        self.check()
        _ = self.chat
        self.text.encode_queries(["a question"])


def _query(
    text: str,
    text_weight: float,
    images: Sequence[Path | str | WeightedImage],
    audio: Sequence[Path | str | WeightedAudio],
) -> Query:
    return Query(
        text,
        text_weight,
        images=tuple(i if isinstance(i, WeightedImage) else WeightedImage(Path(i)) for i in images),
        audio=tuple(a if isinstance(a, WeightedAudio) else WeightedAudio(Path(a)) for a in audio),
    )


def _with_timings(answer: Answer, found: SearchResult) -> Answer:
    return replace(answer, timings_ms={**found.timings_ms, **answer.timings_ms})
