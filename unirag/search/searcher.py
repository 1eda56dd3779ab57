"""Hybrid search: each part of a query asks its channels, the engine fuses, a judge weighs the hits.

Words ask `text`, `bm25` and `image`. A picture asks `image`;
what OCR reads in it joins as words. Speech is transcribed and asks as words do: it is heard twice,
the second time by a model that has been told the words of what the first hearing found.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from PIL import Image

from data.errors import BadInput
from data.pictures import open_picture
from data.records import Hit, Query, Role, WeightedAudio, WeightedImage
from retrieval.bm25 import Bm25, plain
from retrieval.encoder import ImageEncoder, Seen, TextRetriever
from retrieval.store import ChannelQuery, Scored, VectorStore, Where
from unirag.search.answerability import asked_words, confidence
from unirag.settings.search import SearchSettings

__all__ = ["EXPLAINING", "SearchResult", "Searcher", "check"]

# What explains. Exercises would win every search with their own wording, and answer nothing; they
# and the objectives of a section are found by asking for their role.
EXPLAINING: tuple[Role, ...] = (
    "text", "term", "example", "solution", "summary", "table", "note",
)  # fmt: skip
_TERM = re.compile(r"[^\W\d_][\w'-]{3,}")


class Hears(Protocol):
    """Transcribes a recording in which `terms` may well be said (data/speech.py)."""

    def __call__(self, path: Path, terms: Sequence[str] = ()) -> str: ...


class LabelSource(Protocol):
    """Reads words in a picture (data/ocr.py)."""

    def read(self, picture: Image.Image) -> str: ...

    def read_page(self, picture: Image.Image) -> str: ...


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search gives. `words` is all text that was asked: typed, spoken and read by OCR.

    `confidence` in [0, 1] is the judge's estimate that the best hit answers the query. `rarity` is
    the best BM25 score of each content word alone, 0 where nothing has it. `styles` and
    `experts` are shares of sum 1: what the query's pictures were taken for, and which of the
    encoder's experts adapted it to them; both are empty for a query without pictures.
    """

    query: Query
    words: str
    hits: tuple[Hit, ...]
    confidence: float
    no_good_match: bool
    rarity: Mapping[str, float] = field(default_factory=dict)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    styles: Mapping[str, float] = field(default_factory=dict)
    experts: tuple[float, ...] = ()


def check(query: Query, limit: int) -> None:
    """Refuse what cannot be asked, before any model is loaded for it."""
    if not query:
        raise BadInput("the query is empty; expected words, a picture or a sound file")
    if not 1 <= limit <= 1000:
        raise BadInput(f"limit: got {limit}; expected 1 to 1000")
    parts: tuple[WeightedImage | WeightedAudio, ...] = (*query.images, *query.audio)
    for given in parts:
        if not given.path.is_file():
            raise BadInput(f"{given.path}: no such file; check the path")
        if not 0 < given.weight <= 1000:
            raise BadInput(f"{given.path}: got weight {given.weight}; expected more than 0")


@dataclass
class Searcher:
    """Collaborators are injected; `ocr` and `transcribe` are None where they are off.

    `decode` opens a query picture, which may come from anybody.
    """

    store: VectorStore
    encoder: ImageEncoder
    text: TextRetriever
    bm25: Bm25
    settings: SearchSettings
    ocr: LabelSource | None = None
    transcribe: Hears | None = None
    decode: Callable[[Path], Image.Image] = open_picture

    def search(self, query: Query, limit: int = 10, where: Where = Where()) -> SearchResult:
        """The best `limit` items.

        Teachers' material, exercises and objectives are left out unless `where` asks for them.
        """
        where = replace(
            where,
            audiences=where.audiences or ("student",),
            # the photo of a worksheet may well show an exercise
            roles=where.roles or (*EXPLAINING, *(("exercise",) if query.images else ())),
        )
        timings: dict[str, float] = {}
        words: list[tuple[str, float]] = []
        if query.text.strip():
            words.append((query.text.strip(), query.text_weight))
        with _timed(timings, "transcribe", bool(query.audio)):
            words += [(self._spoken(a.path, where), a.weight) for a in query.audio]
        with _timed(timings, "decode", bool(query.images)):
            pictures = [self.decode(i.path) for i in query.images]
        with _timed(timings, "ocr", bool(pictures and self.ocr)):
            read = [self._read(p) for p in pictures]
        with _timed(timings, "encode"):
            # Among figures alone a picture's vector counts in full; where passages compete, which
            # have none, it would push them down.
            cross = 1.0 if where.kinds == ("figure",) else self.settings.cross_modal
            queries = [q for text, weight in words for q in self._ask_words(text, weight, cross)]
            taken: list[Seen] = []
            shown: list[ChannelQuery] = []
            for given, picture, (labels, is_page) in zip(query.images, pictures, read, strict=True):
                vector_BD, (seen,) = self.encoder.see([picture], style=given.style)
                taken.append(seen)
                weight = self.settings.image * given.weight
                shown.append(ChannelQuery("image", vector_BD[0], weight))
                if labels:
                    share = given.weight * (1.0 if is_page else self.settings.picture_words)
                    queries += self._ask_words(labels, share, cross if is_page else None)
                    words.append((labels, share))
        with _timed(timings, "search"):
            scored = self.store.search(_normalised([*queries, *shown]), limit, where)
            if queries and shown:
                scored = self._by_likeness(scored, queries, shown, where)
        styles, experts = _mean(taken)
        hits = tuple(Hit(s.item, s.score, s.channels, styles) for s in scored)
        asked = " ".join(text for text, _ in words)
        with _timed(timings, "judge"):
            rarity = self._rarity(asked, where)
            judge = self.settings.answerability
            sure = confidence(asked, hits, rarity, has_picture=bool(pictures), settings=judge)
        timings["total"] = sum(timings.values())
        return SearchResult(
            query, asked, hits, sure, sure < judge.threshold, rarity, timings, styles, experts
        )

    def nearest(self, text: str, limit: int, where: Where) -> list[Scored]:
        """By words alone, and of any role that `where` lets through."""
        where = replace(where, audiences=where.audiences or ("student",))
        vector_D = self.text.encode_queries([text])[0]
        queries = [*self._ask_words(text, 1.0, None), ChannelQuery("text", vector_D)]
        return self.store.search(_normalised(queries), limit, where)

    def _by_likeness(
        self,
        scored: list[Scored],
        words: Sequence[ChannelQuery],
        shown: Sequence[ChannelQuery],
        where: Where,
    ) -> list[Scored]:
        """The figures among `scored`, in the order of their likeness to the query's pictures.

        Reciprocal ranks know that a figure leads its list, but not by how much. Passages keep their
        places, unless a figure is the one that a picture shows beyond doubt. The fused scores stay
        with the places.
        """
        figures = replace(where, kinds=("figure",))
        likeness: dict[str, float] = {}
        first = ""
        near = [
            self.store.search([replace(q, weight=1.0)], self.settings.picture_candidates, figures)
            for q in shown
        ]
        seen = {s.item.id for found in [scored, *near] for s in found if s.item.kind == "figure"}
        for asked, found in zip(shown, near, strict=True):
            cosines = {s.item.id: s.channels["image"] for s in found}
            best = list(cosines.values())
            if len(best) > 1 and best[0] - best[1] >= self.settings.picture_lead:
                first = found[0].item.id
            share = asked.weight / sum(q.weight for q in shown)
            for name in seen:  # no nearer than the last, where it is not among the nearest
                cosine = cosines.get(name, min(best, default=0.0))
                likeness[name] = likeness.get(name, 0.0) + share * cosine
        for s in self.store.search(_normalised(words), self.settings.picture_candidates, figures):
            if s.item.id in likeness:
                likeness[s.item.id] += self.settings.words_beside_picture * s.score
        order = iter(sorted(likeness, key=lambda name: -likeness[name]))
        names = [next(order) if s.item.kind == "figure" else s.item.id for s in scored]
        if first:
            names = [first, *(name for name in names if name != first)][: len(scored)]
        known = {s.item.id: s for s in scored}
        if new := tuple(name for name in names if name not in known):
            every = _normalised([*words, *shown])
            added = self.store.search(every, len(new), replace(figures, ids=new))
            known |= {s.item.id: s for s in added}
        return [
            replace(known[name], score=place.score)
            for name, place in zip(names, scored, strict=True)
        ]

    def _rarity(self, text: str, where: Where) -> dict[str, float]:
        """The best BM25 score of each content word alone; 0 where nothing has it."""
        best: dict[str, float] = {}
        for word in asked_words(text):
            sparse = self.bm25.query(word)
            top = sparse.indices and self.store.search([ChannelQuery("bm25", sparse)], 1, where)
            best[word] = top[0].channels["bm25"] if top else 0.0
        return best

    def _ask_words(self, text: str, weight: float, cross: float | None) -> Iterator[ChannelQuery]:
        """`cross` is the weight of the `image` channel; None asks for the words as they are."""
        sparse = self.bm25.query(text)
        if sparse.indices:
            yield ChannelQuery("bm25", sparse, self.settings.bm25 * weight)
        if cross is None:
            return
        yield ChannelQuery("text", self.text.encode_queries([text])[0], self.settings.text * weight)
        vector_BD = self.encoder.encode_text([text])
        yield ChannelQuery("image", vector_BD[0], cross * weight)

    def _read(self, picture: Image.Image) -> tuple[str, bool]:
        """Words in the picture, and whether it is a page of text."""
        if self.ocr is None:
            return "", False
        labels = self.ocr.read(picture)
        if len(labels.split()) < self.settings.page_words:
            return labels, False
        return self.ocr.read_page(picture), True

    def _spoken(self, path: Path, where: Where) -> str:
        """What was said. Terms that a corpus has and a speech model seldom met are misheard first;
        the words around them find the items that hold them (contextual biasing, with retrieval).
        """
        if self.transcribe is None:
            raise BadInput(f"{path}: speech is off here; type the question instead")
        heard = self.transcribe(path)
        found = self.store.search(
            _normalised([*self._ask_words(heard, 1.0, 1.0)]), self.settings.speech_items, where
        )
        shares: dict[str, float] = {}
        for place, scored in enumerate(found):
            text = plain(f"{scored.item.labels} {scored.item.text}").lower()
            for term in dict.fromkeys(_TERM.findall(text)):
                shares[term] = shares.get(term, 0.0) + 1 / (place + 2)
        try:
            return self.transcribe(path, sorted(shares, key=lambda term: -shares[term]))
        except BadInput:  # a model that was told too much may hear nothing
            return heard


def _mean(taken: Sequence[Seen]) -> tuple[dict[str, float], tuple[float, ...]]:
    """Shares of styles and of experts over the pictures of a query."""
    names = dict.fromkeys(name for seen in taken for name in seen.styles)
    styles = {n: sum(s.styles.get(n, 0.0) for s in taken) / len(taken) for n in names}
    columns = zip(*(seen.experts for seen in taken), strict=True)
    return styles, tuple(sum(shares) / len(taken) for shares in columns)


def _normalised(queries: Sequence[ChannelQuery]) -> list[ChannelQuery]:
    """Weights scaled so that the largest is 1: the engine's fusion flattens ranks above it."""
    top = max(q.weight for q in queries)
    return [replace(q, weight=q.weight / top) for q in queries]


@contextmanager
def _timed(timings: dict[str, float], name: str, wanted: bool = True) -> Iterator[None]:
    began = time.perf_counter()
    yield
    if wanted:
        timings[name] = round((time.perf_counter() - began) * 1000, 2)
