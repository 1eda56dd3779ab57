"""Hybrid search: embed a query once, search all channels, rerank the hits, judge them.

Words are searched for in the channels `text`, `bm25` and `image`, a picture in `image`. Labels that
OCR reads in a picture are searched for in `bm25`. The text of a photographed page and the
transcript of a recording are searched for like typed words. Characters are folded and slips
corrected before anything is searched for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from PIL import Image

from data.errors import BadInput
from data.folding import fold
from data.paper import readings_of
from data.pictures import open_picture
from data.records import Hit, Query, QueryAudio, QueryImage, Role
from retrieval.bm25 import Bm25
from retrieval.encoder import ImageEncoder, StyleDetection, TextRetriever
from retrieval.store import ChannelQuery, ScoredItem, VectorStore, Where
from unirag.search.answerability import confidence, question_words
from unirag.search.picture_ranking import (
    Readings,
    choose_readings,
    nearest_items,
    normalised,
    rank_by_likeness,
)
from unirag.search.reranking import Relevance, rerank
from unirag.search.result import QuestionEmbedder, SearchResult
from unirag.search.speech import Transcribe, transcribe_again
from unirag.search.spelling import WordsLike, correct, find_corrections
from unirag.settings.search import SearchSettings

__all__ = ["EXPLAINING_ROLES", "Searcher", "check_query"]

# Roles of the items that a search returns by default. Exercises and objectives repeat the wording
# of questions but explain nothing, so a search has to ask for them.
EXPLAINING_ROLES: tuple[Role, ...] = (
    "text", "term", "example", "solution", "summary", "table", "note",
)  # fmt: skip
_MAX_LIMIT = 1000
_MAX_CHARACTERS = 20_000  # about 3,000 words; the models read the first few hundred of them
_MAX_WEIGHT = 1000.0


class PictureText(Protocol):
    """Reads the words in a picture (data/ocr.py)."""

    def read(self, picture: Image.Image) -> str:
        """Return the labels of a figure."""
        ...

    def read_page(self, picture: Image.Image) -> str:
        """Return the text of a photographed page in reading order."""
        ...


@dataclass(frozen=True, slots=True)
class _WeightedText:
    """Words of a query: for every channel if `semantic`, else for BM25 only."""

    text: str
    weight: float
    semantic: bool = True


def check_query(query: Query, limit: int) -> None:
    """Raise `BadInput` for an unusable query, before any model is loaded for it."""
    if not query:
        raise BadInput("the query is empty; expected words, a picture or a sound file")
    if not 1 <= limit <= _MAX_LIMIT:
        raise BadInput(f"limit: got {limit}; expected 1 to {_MAX_LIMIT}")
    _check_length(query.text, "the query", "shorten it to the question itself")
    parts: tuple[QueryImage | QueryAudio, ...] = (*query.images, *query.audio)
    for part in parts:
        if not 0 < part.weight <= _MAX_WEIGHT:
            raise BadInput(f"{part.name}: got weight {part.weight}; expected more than 0")


@dataclass
class Searcher:
    """Searches one store. `ocr` and `transcribe` are None if they are switched off.

    `decode` opens the bytes of a query picture, which are not trusted. `words_like` looks up the
    words of the workspace that are spelt nearly like a word.
    """

    store: VectorStore
    encoder: ImageEncoder
    text: TextRetriever
    bm25: Bm25
    relevance: Relevance
    settings: SearchSettings
    ocr: PictureText | None = None
    transcribe: Transcribe | None = None
    decode: Callable[[bytes, str], Image.Image] = open_picture
    words_like: WordsLike = lambda _: ()

    def search(self, query: Query, limit: int = 10, where: Where = Where()) -> SearchResult:
        """Return the best `limit` items.

        Leave out teachers' material, exercises and objectives unless `where` asks for them.
        """
        where = _default_filter(where, has_pictures=bool(query.images))
        embedder = QuestionEmbedder(self.encoder, self.text)
        timings: dict[str, float] = {}
        with _timed(timings, "transcribe", bool(query.audio)):
            texts = [*_typed(query), *self._transcripts(query, embedder, where)]
        with _timed(timings, "decode", bool(query.images)):
            pictures = tuple(self.decode(image.data, image.name) for image in query.images)
        with _timed(timings, "ocr", bool(pictures and self.ocr)):
            texts += self._picture_texts(query, pictures)
        with _timed(timings, "spelling"):
            texts, rarity, corrections = self._corrected(texts, where)
        with _timed(timings, "encode"):
            word_queries = self._word_queries(texts, embedder, _cross_modal(where, self.settings))
            readings, detections = self._picture_queries(query, pictures)
        with _timed(timings, "search"):
            candidates = max(limit, self.settings.rerank_candidates)
            chosen = choose_readings(self.store, readings, where)
            scored = self._rank(word_queries, readings, chosen, candidates, where)
        question = _question(texts)
        styles, experts = _mean_shares(detections)
        hits = [Hit(s.item, s.score, s.channels, styles) for s in scored]
        if question and not pictures:
            with _timed(timings, "rerank"):
                hits = rerank(
                    question,
                    hits,
                    self.relevance,
                    self.settings.rerank_candidates,
                    self.settings.rerank_cosine,
                    self.settings.rerank_constant,
                )
        with _timed(timings, "answerability"):
            settings = self.settings.answerability
            sure = confidence(question, hits, rarity, has_picture=bool(pictures), settings=settings)
        timings["total"] = sum(timings.values())
        return SearchResult(
            query=query,
            question=question,
            hits=tuple(hits[:limit]),
            confidence=sure,
            no_good_match=sure < settings.threshold,
            embedder=embedder,
            rarity=rarity,
            corrections=corrections,
            timings_ms=timings,
            styles=styles,
            experts=experts,
            pictures=pictures,
        )

    def nearest(
        self, text: str, embedder: QuestionEmbedder, limit: int, where: Where
    ) -> list[ScoredItem]:
        """Return the items nearest to words, of any role that `where` allows."""
        where = replace(where, audiences=where.audiences or ("student",))
        queries = [*self._bm25_query(text, 1.0), _text_query(embedder, text, 1.0)]
        return self.store.search(normalised(queries), limit, where)

    def _transcripts(
        self, query: Query, embedder: QuestionEmbedder, where: Where
    ) -> list[_WeightedText]:
        return [
            _WeightedText(fold(self._transcript(audio, embedder, where)), audio.weight)
            for audio in query.audio
        ]

    def _transcript(self, audio: QueryAudio, embedder: QuestionEmbedder, where: Where) -> str:
        """Transcribe twice, the second time with terms from the hits of the first transcript."""
        if self.transcribe is None:
            raise BadInput(f"{audio.name}: speech is switched off; type the question instead")
        first = self.transcribe(audio.data, name=audio.name)
        queries = self._word_queries([_WeightedText(first, 1.0)], embedder, 1.0)
        hits = self.store.search(normalised(queries), self.settings.speech_items, where)
        return transcribe_again(self.transcribe, audio, first, [hit.item for hit in hits])

    def _picture_texts(self, query: Query, pictures: Sequence[Image.Image]) -> list[_WeightedText]:
        """Return the words in the pictures. The text of a page counts as typed words."""
        if self.ocr is None:
            return []
        texts = []
        for image, picture in zip(query.images, pictures, strict=True):
            labels = self.ocr.read(picture)
            if len(labels.split()) >= self.settings.page_words:
                page = self.ocr.read_page(picture)
                _check_length(page, f"the page in {image.name}", "crop it to the question itself")
                texts.append(_WeightedText(fold(page), image.weight))
            else:
                weight = image.weight * self.settings.picture_words
                texts.append(_WeightedText(fold(labels), weight, semantic=False))
        return [part for part in texts if part.text]

    def _word_queries(
        self, texts: Sequence[_WeightedText], embedder: QuestionEmbedder, cross_modal: float
    ) -> list[ChannelQuery]:
        queries: list[ChannelQuery] = []
        for part in texts:
            queries += self._bm25_query(part.text, self.settings.bm25 * part.weight)
            if part.semantic:
                queries.append(_text_query(embedder, part.text, self.settings.text * part.weight))
                vector_W = embedder.encoder_vector(part.text)
                queries.append(ChannelQuery("image", vector_W, cross_modal * part.weight))
        return queries

    def _bm25_query(self, text: str, weight: float) -> list[ChannelQuery]:
        sparse = self.bm25.encode_query(text)
        return [ChannelQuery("bm25", sparse, weight)] if sparse.indices else []

    def _picture_queries(
        self, query: Query, pictures: Sequence[Image.Image]
    ) -> tuple[list[Readings], list[StyleDetection]]:
        """Return a query for each reading of each picture, and the style of each picture.

        The style is that of the first reading, which is the picture as it came. A cleaned drawing
        no longer shows that it was a photo.
        """
        readings: list[Readings] = []
        detections = []
        for image, picture in zip(query.images, pictures, strict=True):
            vectors_RW, styles = self.encoder.encode_with_styles(
                readings_of(picture), style=image.style
            )
            weight = self.settings.image * image.weight
            readings.append([ChannelQuery("image", vector_W, weight) for vector_W in vectors_RW])
            detections.append(styles[0])
        return readings, detections

    def _rank(
        self,
        word_queries: Sequence[ChannelQuery],
        readings: Sequence[Readings],
        chosen: Sequence[int],
        limit: int,
        where: Where,
    ) -> list[ScoredItem]:
        """Fuse the channels. If there are words and pictures, rank figures by likeness."""
        if len(readings) == 1 and not word_queries:
            return nearest_items(self.store, readings[0], limit, where)
        picture_queries = [queries[n] for queries, n in zip(readings, chosen, strict=True)]
        fused = self.store.search(normalised([*word_queries, *picture_queries]), limit, where)
        if not (word_queries and picture_queries):
            return fused
        return rank_by_likeness(
            self.store, fused, word_queries, picture_queries, readings, where, self.settings
        )

    def _corrected(
        self, texts: Sequence[_WeightedText], where: Where
    ) -> tuple[list[_WeightedText], dict[str, float], dict[str, str]]:
        """Return the texts without slips, the rarity of their words, and what was corrected."""
        rarity = self._rarity(texts, where)
        corrections = find_corrections(
            rarity, self.words_like, lambda words: self._best_scores(words, where)
        )
        if not corrections:
            return list(texts), rarity, {}
        texts = [replace(part, text=correct(part.text, corrections)) for part in texts]
        return texts, self._rarity(texts, where), corrections

    def _rarity(self, texts: Sequence[_WeightedText], where: Where) -> dict[str, float]:
        """Return the best BM25 score of a search for each content word alone.

        The other names of a unit count too: "ohm" is in a text that has only "47 Ω".
        """
        question = _question(texts)
        words = question_words(question, self.settings.answerability.question_words)
        synonyms = self.bm25.unit_synonyms(question)
        queries = [" ".join([word, *synonyms.get(word, ())]) for word in words]
        return dict(zip(words, self._best_scores(queries, where), strict=True))

    def _best_scores(self, texts: Sequence[str], where: Where) -> list[float]:
        """Return the best BM25 score of a search for each text."""
        queries = [ChannelQuery("bm25", self.bm25.encode_query(text)) for text in texts]
        return self.store.best_scores(queries, where) if queries else []


def _default_filter(where: Where, *, has_pictures: bool) -> Where:
    """Set the default audience and roles. A photo may show an exercise, so allow exercises then."""
    roles = (*EXPLAINING_ROLES, "exercise") if has_pictures else EXPLAINING_ROLES
    return replace(where, audiences=where.audiences or ("student",), roles=where.roles or roles)


def _cross_modal(where: Where, settings: SearchSettings) -> float:
    """Return the weight of words in the `image` channel.

    Passages have no picture vector, so the weight is lower if the search covers them too.
    """
    return 1.0 if where.kinds == ("figure",) else settings.cross_modal


def _check_length(text: str, name: str, remedy: str) -> None:
    if len(text) > _MAX_CHARACTERS:
        raise BadInput(
            f"{name} has {len(text):,} characters; expected {_MAX_CHARACTERS:,} at most; {remedy}"
        )


def _question(texts: Sequence[_WeightedText]) -> str:
    return " ".join(part.text for part in texts)


def _typed(query: Query) -> list[_WeightedText]:
    text = fold(query.text.strip())
    return [_WeightedText(text, query.text_weight)] if text else []


def _text_query(embedder: QuestionEmbedder, text: str, weight: float) -> ChannelQuery:
    return ChannelQuery("text", embedder.retriever_vector(text), weight)


def _mean_shares(
    detections: Sequence[StyleDetection],
) -> tuple[dict[str, float], tuple[float, ...]]:
    """Return the mean shares of styles and of experts over the pictures of a query."""
    count = len(detections)
    names = dict.fromkeys(name for d in detections for name in d.styles)
    styles = {name: sum(d.styles.get(name, 0.0) for d in detections) / count for name in names}
    by_expert = zip(*(d.experts for d in detections), strict=True)
    return styles, tuple(sum(shares) / count for shares in by_expert)


@contextmanager
def _timed(timings: dict[str, float], step: str, happens: bool = True) -> Iterator[None]:
    """Record the milliseconds of a step, if it happens for this query."""
    began = time.perf_counter()
    yield
    if happens:
        timings[step] = round((time.perf_counter() - began) * 1000, 2)
