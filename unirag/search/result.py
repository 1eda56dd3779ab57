"""What a search returns, and the vectors of its question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

from data.records import Hit, Query
from retrieval.encoder import ImageEncoder, TextRetriever
from retrieval.store import Vector

__all__ = ["QuestionEmbedder", "SearchResult"]


class QuestionEmbedder:
    """Embeds the texts of one question, each text at most once per encoder.

    The search, the choice of evidence and the answer all take their vectors from here.
    """

    def __init__(self, encoder: ImageEncoder, retriever: TextRetriever) -> None:
        self._encoder, self._retriever = encoder, retriever
        self._retriever_vectors: dict[str, Vector] = {}
        self._encoder_vectors: dict[str, Vector] = {}

    def retriever_vector(self, text: str) -> Vector:
        """Return the text retriever's query vector, (D,) float32, unit length."""
        if text not in self._retriever_vectors:
            self._retriever_vectors[text] = self._retriever.encode_queries([text])[0]
        return self._retriever_vectors[text]

    def encoder_vector(self, text: str) -> Vector:
        """Return the vector of the image encoder's text tower, (W,) float32, unit length."""
        if text not in self._encoder_vectors:
            self._encoder_vectors[text] = self._encoder.encode_text([text])[0]
        return self._encoder_vectors[text]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of a query, best first.

    `question` is the query in words: typed, transcribed and read in its pictures. `confidence` in
    [0, 1] estimates that the best hit answers the question; `no_good_match` is true below the
    threshold. `rarity` maps each content word to the best BM25 score that it gets on its own, 0 if
    no item holds it. `corrections` maps the slips in the words of the query to the words that were
    searched for instead. `styles` and `experts` are shares with sum 1: the query styles of the
    pictures and the experts that adapted the encoder to them; both are empty without pictures.
    `pictures` are the decoded query pictures. `embedder` holds the vectors of the question.
    """

    query: Query
    question: str
    hits: tuple[Hit, ...]
    confidence: float
    no_good_match: bool
    embedder: QuestionEmbedder = field(repr=False, compare=False)
    rarity: Mapping[str, float] = field(default_factory=dict)
    corrections: Mapping[str, str] = field(default_factory=dict)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    styles: Mapping[str, float] = field(default_factory=dict)
    experts: tuple[float, ...] = ()
    pictures: tuple[Image.Image, ...] = field(default=(), repr=False, compare=False)

    @property
    def topic(self) -> str:
        """The question without the words that were read in its pictures."""
        return self.query.text if self.query.images else self.question
