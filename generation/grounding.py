"""Check the sentences of the language model against the evidence, and cite it.

The model names its sources by the labels of the prompt. Here they become item ids. A label that the
prompt does not have is dropped. A sentence without a label gets the source that supports it best. A
sentence that no source supports is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from math import isclose

import numpy as np

from data.records import Sentence
from generation.embedding import Embed, Vector
from generation.evidence import Evidence
from generation.quantities import quantities
from generation.settings import GroundingSettings
from generation.statements import FORMULA, Statement
from generation.word_lists import WORDS
from generation.words import repeats, stemmed_list, stemmed_words, stems, word_count

__all__ = ["Grounder"]

_LABEL = re.compile(r"\s*[\[(](?:source|figure)?\s*(\d+(?:\s*,\s*\d+)*)[\])]", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?:)?//[^\s)\]>\"']+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# LaTeX, or a typed equation: `F = ma`.
_FORMULA = re.compile(rf"{FORMULA.pattern}|\S+(?:\s*[=≈∝]\s*[^\s,;]+)+", re.DOTALL)


class Grounder:
    """Check sentences against the evidence of one answer.

    `topic_vector` (D,) is the unit vector of the user's own words; None skips the topic check.
    """

    def __init__(
        self,
        evidence: Sequence[Evidence],
        embed: Embed,
        settings: GroundingSettings,
        topic_vector: Vector | None = None,
    ) -> None:
        self.settings = settings
        self._evidence = {source.label: source for source in evidence}
        self._words = {source.label: stems(_source_text(source)) for source in evidence}
        self._numbers = {source.label: _numbers(_source_text(source)) for source in evidence}
        self._embed = embed
        self._topic_vector = topic_vector

    def check(self, text: str) -> Sentence | None:
        """Return the sentence with its citations, or None if it is not supported.

        It cites the sources that it names, if they support it; otherwise the source that supports
        it best. One cited source has to say the same in one place. The cited sources together have
        to contain its numbers, formulas and web addresses.
        """
        plain = _LABEL.sub("", text).strip()
        if word_count(plain) < self.settings.min_words:
            return None
        vector_D = self._embed([plain])[0]
        if self._is_off_topic(vector_D):
            return None
        support = self.support(plain, vector_D)
        cited = self._cited(_labels(text), support)
        if not self._facts_are_in(plain, cited) or not any(
            self._says(plain, self._evidence[label]) for label in cited
        ):
            return None
        return Sentence(
            plain,
            tuple(self._evidence[label].item.id for label in cited),
            round(max(support[label] for label in cited), 3),
        )

    def support(self, text: str, vector_D: Vector) -> dict[int, float]:
        """Return the support of `text` by each source, in [0, 1], by label.

        It is the weighted mean of the cosine with the nearest sentence of the source and the share
        of the words of `text` that the source contains. `vector_D` is the vector of `text`.
        """
        words = stems(text)
        return {
            label: self._weighted(
                max(0.0, float(np.max(source.vectors_SD @ vector_D))), words, self._words[label]
            )
            for label, source in self._evidence.items()
        }

    def statement_support(self, text: str, vector_D: Vector, statement: Statement) -> float:
        """Return the support of `text` by a single sentence of the evidence."""
        return self._weighted(statement.cosine(vector_D), stems(text), stems(statement.text))

    def _weighted(self, cosine: float, words: frozenset[str], source: frozenset[str]) -> float:
        share = len(words & source) / len(words) if words else 0.0
        weight = self.settings.cosine_weight
        return weight * cosine + (1 - weight) * share

    def _is_off_topic(self, vector_D: Vector) -> bool:
        topic = self._topic_vector
        return topic is not None and bool(vector_D @ topic < self.settings.topic)

    def _cited(self, named: Collection[int], support: dict[int, float]) -> list[int]:
        """Return the labels to cite: the named sources with enough support, else the best one."""
        enough = {label for label, value in support.items() if value >= self.settings.support}
        if cited := sorted(enough.intersection(named)):
            return cited
        return [max(enough, key=lambda label: (support[label], -label))] if enough else []

    def _facts_are_in(self, text: str, labels: Sequence[int]) -> bool:
        """Return whether the sources contain the numbers and the notation of `text`."""
        numbers = frozenset[str]().union(*(self._numbers[label] for label in labels))
        sources = "\n".join(_source_text(self._evidence[label]) for label in labels)
        return _numbers(text) <= numbers and _notation_is_in(text, sources)

    def _says(self, text: str, source: Evidence) -> bool:
        """Return whether one sentence of the source, or two in a row, say the same as `text`.

        They contain most content words of `text` in the same order, all its decisive words, and a
        negation if and only if `text` has one.
        """
        single = [f"{source.item.title} {sentence}" for sentence in source.sentences]
        places = [*single, *map(" ".join, pairwise(source.sentences))]
        return any(
            _has_same_sense(text, place) and repeats(text, place, self.settings.claim)
            for place in places
        )


def _labels(text: str) -> set[int]:
    """Return the labels that a sentence names: 1 and 2 in `It falls [1, 2].`"""
    return {int(n) for group in _LABEL.findall(text) for n in re.findall(r"\d+", group)}


def _has_same_sense(text: str, place: str, language: str = "en") -> bool:
    """Return whether `place` has the decisive words of `text`. A negation is in both or none."""
    lists = WORDS[language]
    decisive = stemmed_list(lists.decisive_words, language)
    negations = stemmed_list(lists.negations, language)
    words, place_words = (set(stemmed_words(t, language)) for t in (text, place))
    same_negation = bool(words & negations) == bool(place_words & negations)
    return same_negation and words & decisive <= place_words


def _notation_is_in(text: str, sources: str) -> bool:
    """Return whether the sources contain the addresses, formulas and units of `text`."""
    source_signs = _signs(sources)
    source_quantities = quantities(sources)
    return (
        all(address in sources for address in _ADDRESS.findall(text))
        and all(_signs(match[0]) in source_signs for match in _FORMULA.finditer(text))
        and all(
            any(isclose(q.value, s.value) and q.unit in (s.unit, "") for s in source_quantities)
            for q in quantities(_FORMULA.sub(" ", text))
        )
    )


def _signs(formula: str) -> str:
    """Return a formula without white space, delimiters, braces and full stops."""
    return re.sub(r"\s|\\[()\[\],;:! ]|\$|(?:\\text|\\mathrm)(?=\{)|[{}.]", "", formula)


def _source_text(source: Evidence) -> str:
    return "\n".join([source.item.title, *source.sentences])


def _numbers(text: str) -> frozenset[str]:
    """Return the numbers as they are written, without thousands separators."""
    return frozenset(re.sub(r",(?=\d{3}\b)", "", n) for n in _NUMBER.findall(text))
