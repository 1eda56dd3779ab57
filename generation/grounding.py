"""Check the sentences of the language model against the evidence, and cite it.

A sentence is supported if its sources entail it and contain its numbers, units, formulas and web
addresses, and if it takes the facts of a table from one row. The model names its sources by the
labels of the prompt. Here they become item ids. A label that the prompt does not have is dropped. A
sentence without a label, or with a wrong one, is cited anew: by the source that entails it, or by
the two nearest sources together. A sentence that no source supports is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isclose

import numpy as np

from data.records import Sentence
from generation.embedding import Vector
from generation.evidence import Evidence
from generation.quantities import quantities
from generation.settings import GroundingSettings
from generation.statements import FORMULA, Statement
from generation.table_rows import mixes_rows
from generation.text_models import TextModels
from generation.words import word_count

__all__ = ["Grounder"]

_LABEL = re.compile(r"\s*[\[(](?:source|figure)?\s*(\d+(?:\s*,\s*\d+)*)[\])]", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?:)?//[^\s)\]>\"']+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# LaTeX, or a typed equation: `F = ma`.
_FORMULA = re.compile(rf"{FORMULA.pattern}|\S+(?:\s*[=≈∝]\s*[^\s,;]+)+", re.DOTALL)

Labels = tuple[int, ...]


class Grounder:
    """Check sentences against the evidence of one answer.

    `question` decides which row of a table a sentence may take its facts from. `topic_vector` (D,)
    is the unit vector of the user's own words; None skips the topic check.
    """

    def __init__(
        self,
        evidence: Sequence[Evidence],
        models: TextModels,
        settings: GroundingSettings,
        question: str = "",
        topic_vector: Vector | None = None,
    ) -> None:
        self.settings = settings
        self._evidence = {source.label: source for source in evidence}
        self._models = models
        self._question = question
        self._topic_vector = topic_vector

    def check(self, text: str) -> Sentence | None:
        """Return the sentence with its citations, or None if it is not supported.

        A question states nothing that could be supported: small models repeat the one they got.
        It cites the sources that it names, if they support it; otherwise the nearest source that
        does, or the nearest two together.
        """
        plain = _LABEL.sub("", text).strip()
        if not self._evidence or word_count(plain) < self.settings.min_words:
            return None
        if plain.endswith("?"):
            return None
        vector_D = self._models.embed([plain])[0]
        if self._is_off_topic(vector_D):
            return None
        for labels, support in self.supports(plain, vector_D, _labels(text)):
            if support >= self.settings.support and self.has_facts(plain, labels):
                ids = tuple(self._evidence[label].item.id for label in labels)
                return Sentence(plain, ids, round(support, 3))
        return None

    def supports(
        self, text: str, vector_D: Vector, named: Sequence[int] = ()
    ) -> list[tuple[Labels, float]]:
        """Return how well the evidence entails `text`, in [0, 1], for each choice of sources.

        The choices are the `named` sources, the nearest sources one by one, and the nearest two
        together. `vector_D` is the vector of `text`.
        """
        choices = self._choices(vector_D, named)
        pairs = [(self._premise(labels, vector_D), text) for labels in choices]
        scores = self._models.entailment(pairs)
        return [
            (labels, 1.0 if self._repeats(text, labels) else float(score))
            for labels, score in zip(choices, scores, strict=True)
        ]

    def nearest_statement(self, vector_D: Vector, labels: Labels | None = None) -> Statement:
        """Return the sentence of the sources with the highest cosine with `vector_D`."""
        sources = [e for e in self._evidence.values() if labels is None or e.label in labels]
        statements = (Statement(e, int(np.argmax(e.vectors_SD @ vector_D))) for e in sources)
        return max(statements, key=lambda s: s.cosine(vector_D))

    def _choices(self, vector_D: Vector, named: Sequence[int]) -> list[Labels]:
        cosines = {e.label: float(np.max(e.vectors_SD @ vector_D)) for e in self._evidence.values()}
        nearest = sorted(cosines, key=lambda label: (-cosines[label], label))
        labels = tuple(label for label in sorted(set(named)) if label in self._evidence)
        best = nearest[: self.settings.nearest_sources]
        choices = [labels, *((label,) for label in best), tuple(sorted(nearest[:2]))]
        return [choice for choice in dict.fromkeys(choices) if choice]

    def _repeats(self, text: str, labels: Labels) -> bool:
        """Return whether a sentence of the sources begins with `text`, word for word."""
        words = _words(text)
        return any(
            words == _words(sentence)[: len(words)]
            for label in labels
            for sentence in self._evidence[label].sentences
        )

    def _premise(self, labels: Labels, vector_D: Vector) -> str:
        """Return the sentences of the sources that are nearest to `vector_D`, in reading order."""
        texts = [s for label in labels for s in self._evidence[label].sentences]
        vectors_SD = np.concatenate([self._evidence[label].vectors_SD for label in labels])
        nearest = np.argsort(-(vectors_SD @ vector_D), kind="stable")
        return " ".join(texts[n] for n in sorted(nearest[: self.settings.premise_sentences]))

    def _is_off_topic(self, vector_D: Vector) -> bool:
        topic = self._topic_vector
        return topic is not None and bool(vector_D @ topic < self.settings.topic)

    def has_facts(self, text: str, labels: Labels) -> bool:
        """Return whether the sources contain the numbers and the notation of `text`.

        Facts of a table have to come from one row of it.
        """
        if any(mixes_rows(text, self._question, self._evidence[n].item.text) for n in labels):
            return False
        sources = "\n".join(_source_text(self._evidence[label]) for label in labels)
        return _numbers(text) <= _numbers(sources) and _notation_is_in(text, sources)


def _words(text: str) -> list[str]:
    """Return the words and numbers of a text in order, in lower case."""
    return re.findall(r"\w+", text.lower())


def _labels(text: str) -> list[int]:
    """Return the labels that a sentence names: 1 and 2 in `It falls [1, 2].`"""
    return [int(n) for group in _LABEL.findall(text) for n in re.findall(r"\d+", group)]


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
