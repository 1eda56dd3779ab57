"""Citations checked in code: what the model wrote against what it was shown.

The model sees short labels; here they become item ids. A label that was never given is dropped, a
sentence that no source supports is dropped, and a sentence without a label gets that of the source
that supports it best.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import snowballstemmer
from pydantic import BaseModel, ConfigDict, Field

from data.records import Sentence
from generation.evidence import Embed, Evidence

__all__ = ["Grounder", "GroundingSettings", "quote"]

_LABEL = re.compile(r"\s*[\[(](?:source|figure)?\s*(\d+(?:\s*,\s*\d+)*)[\])]", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{3,}")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# Fewer words say nothing that could be checked against a source.
_LEAST_WORDS = 2
_STOP = frozenset(
    "the and for that this with from are was were has have had not but its his her their they "
    "them then than which what when where who how why can could will would should may might "
    "does did been being also into onto over under only such more most some any all each other "
    "these those there here because while about between using used use one two".split()
)


class GroundingSettings(BaseModel):
    """`support` is the least support, in [0, 1], with which a sentence is passed on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    support: float = Field(0.7, ge=0, le=1)


class Grounder:
    """Checks the sentences of one answer against its evidence."""

    def __init__(
        self, evidence: Sequence[Evidence], embed: Embed, settings: GroundingSettings
    ) -> None:
        self._evidence = {e.label: e for e in evidence}
        self._words = {e.label: _stems(_source_text(e)) for e in evidence}
        self._numbers = {e.label: _numbers(_source_text(e)) for e in evidence}
        self._embed = embed
        self._settings = settings

    def check(self, text: str) -> Sentence | None:
        """The sentence with its citations, or None where nothing supports it.

        A sentence keeps the sources it names that support it; failing that, it gets the source that
        supports it best. Numbers that no kept source holds make a sentence unsupported.
        """
        named = {int(n) for group in _LABEL.findall(text) for n in re.findall(r"\d+", group)}
        plain = _LABEL.sub("", text).strip()
        if len(_WORD.findall(plain)) < _LEAST_WORDS:
            return None
        support = self._support(plain)
        enough = {label for label, value in support.items() if value >= self._settings.support}
        cited = sorted(named & enough) or [label for label in _best(support) if label in enough]
        if not cited:
            return None
        held = set().union(*(self._numbers[label] for label in cited))
        if not _numbers(plain) <= held:
            return None
        return Sentence(
            plain,
            tuple(self._evidence[label].item.id for label in cited),
            round(max(support[label] for label in cited), 3),
        )

    def _support(self, text: str) -> dict[int, float]:
        """Half the cosine with the nearest sentence of a source, half the share of words in it."""
        vector_D = self._embed([text])[0]
        stems = _stems(text)
        return {
            label: float(
                0.5 * max(0.0, float(np.max(source.vectors_PD @ vector_D)))
                + 0.5 * (len(stems & self._words[label]) / len(stems) if stems else 0.0)
            )
            for label, source in self._evidence.items()
        }


def quote(question: str, evidence: Sequence[Evidence], embed: Embed, n: int = 2) -> list[Sentence]:
    """The `n` sentences of the evidence nearest to the question, word for word."""
    if not evidence:
        return []
    vector_D = embed([question])[0]
    ranked = sorted(
        (
            (float(value), source.label, k, source)
            for source in evidence
            for k, value in enumerate(source.vectors_PD @ vector_D)
        ),
        reverse=True,
        key=lambda entry: entry[0],
    )[:n]
    return [
        Sentence(source.parts[k], (source.item.id,), 1.0)
        for _, _, k, source in sorted(ranked, key=lambda entry: (entry[1], entry[2]))
    ]


def _best(support: dict[int, float]) -> list[int]:
    return [max(support, key=lambda label: support[label])] if support else []


def _source_text(evidence: Evidence) -> str:
    return "\n".join([evidence.item.title, *evidence.parts])


@lru_cache(maxsize=1)
def _stemmer() -> snowballstemmer.stemmer:
    return snowballstemmer.stemmer("english")


def _stems(text: str) -> frozenset[str]:
    words = [w for w in _WORD.findall(text.lower()) if w not in _STOP]
    return frozenset(_stemmer().stemWords(words))


def _numbers(text: str) -> frozenset[str]:
    """Numbers as written, thousands separators taken out."""
    return frozenset(re.sub(r",(?=\d{3}\b)", "", n) for n in _NUMBER.findall(text))
