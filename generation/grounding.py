"""Citations checked in code: what the model wrote against what it was shown.

The model sees short labels; here they become item ids. A label that was never given is dropped, a
sentence that no source supports is dropped, and a sentence without a label gets that of the source
that supports it best.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from math import isclose

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from data.records import Sentence
from generation.embedding import Embed, Vector
from generation.evidence import Evidence
from generation.quantities import quantities
from generation.statements import FORMULA
from generation.words import WORD, common, content, in_order, stems

__all__ = ["LEAST_WORDS", "Grounder", "GroundingSettings"]

_LABEL = re.compile(r"\s*[\[(](?:source|figure)?\s*(\d+(?:\s*,\s*\d+)*)[\])]", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?:)?//[^\s)\]>\"']+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# LaTeX, or an equation as it is typed: what stands on both sides of each sign.
_FORMULA = re.compile(rf"{FORMULA.pattern}|\S+(?:\s*[=≈∝]\s*[^\s,;]+)+", re.DOTALL)
_DENYING = frozenset(in_order("not no never nor neither none cannot without unlike"))
# With another of these a sentence says something else, however like the source it is.
_TURNING = frozenset(
    in_order(
        "more less greater fewer larger smaller higher lower faster slower longer shorter stronger "
        "weaker increase decrease rise fall grow shrink above below before after over under inside "
        "outside up down left right north south east west toward away attract repel absorb emit "
        "release gain lose positive negative expand contract directly inversely maximum minimum "
        "always never often sometimes all some only most same different opposite equal hot cold "
        "heavy light solid liquid gas series parallel cause"
    )
)
# Fewer words say nothing that could be checked against a source.
LEAST_WORDS = 2


class GroundingSettings(BaseModel):
    """The least with which a sentence is passed on.

    `support` in [0, 1] is that of a source as a whole, `claim` the share of the sentence's content
    words that one place in it has, in their order. `topic` is the cosine with the question: what a
    document orders the model to say has a source, but is about something else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    support: float = Field(0.7, ge=0, le=1)
    claim: float = Field(0.75, ge=0, le=1)
    topic: float = Field(0.2, ge=-1, le=1)


class Grounder:
    """Checks the sentences of one answer against its evidence.

    `topic_vector` is the vector of what the user asked; None means that no topic is checked.
    """

    def __init__(
        self,
        evidence: Sequence[Evidence],
        embed: Embed,
        settings: GroundingSettings,
        topic_vector: Vector | None = None,
    ) -> None:
        self._evidence = {e.label: e for e in evidence}
        self._words = {e.label: stems(_source_text(e)) for e in evidence}
        self._numbers = {e.label: _numbers(_source_text(e)) for e in evidence}
        self._embed = embed
        self.least = settings.support
        self._claim = settings.claim
        self._topic_vector = topic_vector
        self._topic = settings.topic

    def check(self, text: str) -> Sentence | None:
        """The sentence with its citations, or None where nothing supports it.

        A sentence keeps the sources it names that support it; failing that, it gets the source that
        supports it best. It is unsupported where no kept source says the same in one place, or
        holds its numbers and web addresses.
        """
        named = {int(n) for group in _LABEL.findall(text) for n in re.findall(r"\d+", group)}
        plain = _LABEL.sub("", text).strip()
        if len(WORD.findall(plain)) < LEAST_WORDS:
            return None
        vector_D = self._embed([plain])[0]
        if self._topic_vector is not None and vector_D @ self._topic_vector < self._topic:
            return None
        support = self.support(plain, vector_D)
        enough = {label for label, value in support.items() if value >= self.least}
        cited = sorted(named & enough) or [label for label in _best(support) if label in enough]
        if not cited:
            return None
        held = set().union(*(self._numbers[label] for label in cited))
        sources = "\n".join(_source_text(self._evidence[label]) for label in cited)
        if not _numbers(plain) <= held or not _held(plain, sources):
            return None
        if not any(self._claimed(plain, self._evidence[label]) for label in cited):
            return None
        return Sentence(
            plain,
            tuple(self._evidence[label].item.id for label in cited),
            round(max(support[label] for label in cited), 3),
        )

    def _claimed(self, text: str, source: Evidence) -> bool:
        """Whether one sentence of the source, or two in a row, say what `text` says.

        Words that turn a sentence round have to be there, and none more that denies.
        """
        own, words = content(text), set(in_order(text))
        turning, denied = words & _TURNING, bool(words & _DENYING)
        singly = [source.item.title + " " + part for part in source.parts]
        for place in [*singly, *map(" ".join, pairwise(source.parts))]:
            there = set(in_order(place))
            if (
                turning <= there
                and denied == bool(there & _DENYING)
                and common(own, content(place)) >= self._claim * len(own)
            ):
                return True
        return False

    def support(self, text: str, vector_D: Vector) -> dict[int, float]:
        """Half the cosine with the nearest sentence of a source, half the share of words in it."""
        own = stems(text)
        return {
            label: float(
                0.5 * max(0.0, float(np.max(source.vectors_PD @ vector_D)))
                + 0.5 * (len(own & self._words[label]) / len(own) if own else 0.0)
            )
            for label, source in self._evidence.items()
        }


def _held(text: str, sources: str) -> bool:
    """Whether the sources have the text's addresses, its formulas sign by sign, and its units."""
    signs = _signs(sources)
    known = quantities(sources)
    return (
        all(address in sources for address in _ADDRESS.findall(text))
        and all(_signs(match[0]) in signs for match in _FORMULA.finditer(text))
        and all(
            any(isclose(q.value, k.value) and q.unit in (k.unit, "") for k in known)
            for q in quantities(_FORMULA.sub(" ", text))
        )
    )


def _signs(formula: str) -> str:
    """A formula without what only sets it: white space, delimiters, a full stop behind it."""
    return re.sub(r"\s|\\[()\[\],;:! ]|\$|(?:\\text|\\mathrm)(?=\{)|[{}.]", "", formula)


def _best(support: dict[int, float]) -> list[int]:
    return [max(support, key=lambda label: support[label])] if support else []


def _source_text(evidence: Evidence) -> str:
    return "\n".join([evidence.item.title, *evidence.parts])


def _numbers(text: str) -> frozenset[str]:
    """Numbers as written, thousands separators taken out."""
    return frozenset(re.sub(r",(?=\d{3}\b)", "", n) for n in _NUMBER.findall(text))
