"""Sentences of the evidence that say something on their own, out of their paragraph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.records import Item, Role, Sentence
from data.sentences import sentences
from generation.embedding import Vector
from generation.evidence import Evidence
from generation.words import stems

__all__ = ["FORMULA", "NUMBERED", "Statement", "alone", "leans", "statements"]

FORMULA = re.compile(r"\\\(.*?\\\)|\\\[.*?\\\]|\$[^$]+\$", re.DOTALL)
# `Figure 3`, `Table 2.1`: a place in a book.
NUMBERED = re.compile(
    r"\b(?:fig(?:ure|s?\.)?|table|eq(?:uation|\.)?|example|section|chapter|exercise|problem|step)s?"
    r"\s*\(?\d[\d.]*",
    re.IGNORECASE,
)

# Exercises and worked examples speak of their own numbers, objectives of the reader.
_SAYING: tuple[Role, ...] = ("text", "term", "summary", "note")
_FEWEST, _MOST = 5, 35  # words
# Opening words that lean on the sentence before.
_LEANING = frozenset(
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
_CLAUSE = frozenset("when if because as since while although after before".split())
_EARLY = 6  # words within which a pronoun stands for something of the sentence before


@dataclass(frozen=True)
class Statement:
    """Sentence `part` of `source`; `value` is its cosine with the question."""

    source: Evidence
    part: int
    value: float = 0.0

    @property
    def text(self) -> str:
        return self.source.parts[self.part]

    @property
    def place(self) -> tuple[int, int]:
        return self.source.label, self.part

    def cosine(self, vector_D: Vector) -> float:
        return float(self.source.vectors_PD[self.part] @ vector_D)

    def nearness(self, text: str, vector_D: Vector) -> float:
        """As `Grounder.support`, to this sentence alone; `vector_D` is that of `text`."""
        own = stems(text)
        share = len(own & stems(self.text)) / len(own) if own else 0.0
        return 0.5 * self.cosine(vector_D) + 0.5 * share

    def cited(self, text: str, support: float = 1.0) -> Sentence:
        """`text`, which this statement holds."""
        return Sentence(text, (self.source.item.id,), round(support, 3))


def statements(question_vector: Vector, evidence: Sequence[Evidence]) -> list[Statement]:
    """Those that can be read alone, nearest to the question first."""
    found = [
        Statement(source, part, float(value))
        for source in evidence
        if source.item.role in _SAYING
        for part, value in enumerate(np.round(source.vectors_PD @ question_vector, 4))
        if part < _said(source.item) and alone(source.parts[part])
    ]
    return sorted(found, key=lambda s: (-s.value, s.source.label, s.part))


def _said(item: Item) -> int:
    """How many of an item's sentences speak of the matter: a figure's caption, not its alt text."""
    lines = item.text.splitlines()[: 1 if item.kind == "figure" else None]
    return sum(len(sentences(line)) for line in lines)


def alone(text: str) -> bool:
    """Whether a sentence can be read without the one before it, and without its book."""
    words = FORMULA.sub(" x ", text).split()
    if not _FEWEST <= len(words) <= _MOST or not text.endswith((".", ".”", '."')):
        return False
    if not text[0].isupper() or NUMBERED.search(text) or _REFERENCE.search(text):
        return False
    return not leans(text)


def leans(text: str) -> bool:
    """Whether a sentence begins with what stands for something of the one before."""
    words = FORMULA.sub(" x ", text).split()
    first = words[0].strip(",;:").lower() if words else ""
    early = " ".join(words[:_EARLY])
    return first in _LEANING or (first not in _CLAUSE and bool(_PRONOUN.search(early)))
