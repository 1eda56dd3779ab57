"""Find sentences of the evidence that can be read on their own, without their paragraph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data.records import Item, Role, Sentence
from generation.embedding import Vector
from generation.evidence import Evidence, text_sentences
from generation.settings import StatementSettings
from generation.word_lists import WORDS
from generation.words import any_of

__all__ = [
    "FORMULA",
    "Statement",
    "book_reference",
    "depends_on_previous",
    "find_statements",
    "stands_alone",
]

FORMULA = re.compile(r"\\\(.*?\\\)|\\\[.*?\\\]|\$[^$]+\$", re.DOTALL)
_DEFAULTS = StatementSettings()
# Exercises and worked examples are about their own numbers, and objectives about the reader.
_ROLES: tuple[Role, ...] = ("text", "term", "summary", "note")
_SENTENCE_ENDS = (".", ".”", '."')


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
    text = item.text.partition("\n")[0] if item.kind == "figure" else item.text
    return len(text_sentences(text))


def stands_alone(text: str, settings: StatementSettings = _DEFAULTS, language: str = "en") -> bool:
    """Return whether a sentence makes sense without the previous one and without its book."""
    words = _words(text)
    return (
        settings.min_words <= len(words) <= settings.max_words
        and text.endswith(_SENTENCE_ENDS)
        and text[0].isupper()
        and not book_reference(language).search(text)
        and not _reference(language).search(text)
        and not depends_on_previous(text, language)
    )


def depends_on_previous(text: str, language: str = "en") -> bool:
    """Return whether a sentence begins with a word that refers to the previous sentence."""
    words = _words(text)
    return bool(words) and words[0].strip(",;:").lower() in WORDS[language].dependent_openers


@lru_cache(maxsize=8)
def book_reference(language: str = "en") -> re.Pattern[str]:
    """Return a pattern for a numbered place in a book, such as `Figure 3` or `Table 2.1`."""
    parts = any_of(WORDS[language].book_parts)
    return re.compile(rf"\b(?:{parts})s?\s*\(?\d[\d.]*", re.IGNORECASE)


@lru_cache(maxsize=8)
def _reference(language: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{any_of(WORDS[language].references)})\b", re.IGNORECASE)


def _words(text: str) -> list[str]:
    """Split a sentence into words; a formula counts as one word."""
    return FORMULA.sub(" x ", text).split()
