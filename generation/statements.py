"""Find sentences of the evidence that can be read on their own, without their paragraph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.records import Item, Role, Sentence
from data.sentences import split_sentences
from generation.embedding import Vector
from generation.evidence import Evidence
from generation.settings import StatementSettings

__all__ = [
    "BOOK_REFERENCE",
    "FORMULA",
    "Statement",
    "depends_on_previous",
    "find_statements",
    "stands_alone",
]

FORMULA = re.compile(r"\\\(.*?\\\)|\\\[.*?\\\]|\$[^$]+\$", re.DOTALL)
# `Figure 3`, `Table 2.1`: a place in a book.
BOOK_REFERENCE = re.compile(
    r"\b(?:fig(?:ure|s?\.)?|table|eq(?:uation|\.)?|example|section|chapter|exercise|problem|step)s?"
    r"\s*\(?\d[\d.]*",
    re.IGNORECASE,
)

_DEFAULTS = StatementSettings()
# Exercises and worked examples are about their own numbers, and objectives about the reader.
_ROLES: tuple[Role, ...] = ("text", "term", "summary", "note")
_SENTENCE_ENDS = (".", ".”", '."')
_FIRST_WORDS_OF_DEPENDENT = frozenset(
    "this that these those it its they their he she his her him such here there both neither nor "
    "then so also however but and or thus therefore hence another other others each either same "
    "former latter once now again instead moreover furthermore similarly likewise".split()
)
_REFERENCE = re.compile(
    r"\b(?:this|these|those|following|previous|earlier|we|us|our|shown|figure|diagram|picture"
    r"|graph)\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:it|they|them)\b", re.IGNORECASE)
_CONJUNCTIONS = frozenset("when if because as since while although after before".split())


@dataclass(frozen=True)
class Statement:
    """A sentence of the evidence: the one at `index` in `source`.

    `similarity` is its cosine with the question.
    """

    source: Evidence
    index: int
    similarity: float = 0.0

    @property
    def text(self) -> str:
        """The words of the sentence."""
        return self.source.sentences[self.index]

    @property
    def position(self) -> tuple[int, int]:
        """The label of the source and the index in it. No two statements share a position."""
        return self.source.label, self.index

    def cosine(self, vector_D: Vector) -> float:
        """Return the cosine of the sentence with a unit vector."""
        return float(self.source.vectors_SD[self.index] @ vector_D)

    def cite(self, text: str, support: float = 1.0) -> Sentence:
        """Return `text` as a sentence of an answer that cites the item of this statement."""
        return Sentence(text, (self.source.item.id,), round(support, 3))


def find_statements(
    question_vector: Vector, evidence: Sequence[Evidence], settings: StatementSettings
) -> list[Statement]:
    """Return the sentences that stand alone, most similar to the question first."""
    statements = [
        Statement(source, index, float(np.round(source.vectors_SD[index] @ question_vector, 4)))
        for source in evidence
        if source.item.role in _ROLES
        for index in range(_sentence_count(source.item))
        if stands_alone(source.sentences[index], settings)
    ]
    return sorted(statements, key=lambda s: (-s.similarity, s.position))


def _sentence_count(item: Item) -> int:
    """Return the number of sentences of a passage or caption, without alt text and labels."""
    lines = item.text.splitlines()[: 1 if item.kind == "figure" else None]
    return sum(len(split_sentences(line)) for line in lines)


def stands_alone(text: str, settings: StatementSettings = _DEFAULTS) -> bool:
    """Return whether a sentence makes sense without the previous one and without its book."""
    words = _words(text)
    return (
        settings.min_words <= len(words) <= settings.max_words
        and text.endswith(_SENTENCE_ENDS)
        and text[0].isupper()
        and not BOOK_REFERENCE.search(text)
        and not _REFERENCE.search(text)
        and not depends_on_previous(text, settings)
    )


def depends_on_previous(text: str, settings: StatementSettings) -> bool:
    """Return whether a sentence begins with a word that refers to the previous sentence."""
    words = _words(text)
    first = words[0].strip(",;:").lower() if words else ""
    beginning = " ".join(words[: settings.pronoun_words])
    return first in _FIRST_WORDS_OF_DEPENDENT or (
        first not in _CONJUNCTIONS and bool(_PRONOUN.search(beginning))
    )


def _words(text: str) -> list[str]:
    """Split a sentence into words; a formula counts as one word."""
    return FORMULA.sub(" x ", text).split()
