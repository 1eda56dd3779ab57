"""Spoken questions: a second transcription that is given terms of the corpus."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from data.errors import BadInput
from data.records import Item, QueryAudio
from retrieval.bm25 import strip_latex

__all__ = ["Transcribe", "corpus_terms", "transcribe_again"]

_TERM = re.compile(r"[^\W\d_][\w'-]{3,}")


class Transcribe(Protocol):
    """Transcribes a recording; `terms` are words that it is likely to hold, likeliest first."""

    def __call__(self, recording: bytes, terms: Sequence[str] = (), name: str = ...) -> str: ...


def corpus_terms(items: Sequence[Item]) -> list[str]:
    """Return the words of `items`, best first. A word scores 1 / (rank + 2) in each item."""
    scores: Counter[str] = Counter()
    for rank, item in enumerate(items):
        text = strip_latex(f"{item.labels} {item.text}").lower()
        for term in dict.fromkeys(_TERM.findall(text)):
            scores[term] += 1 / (rank + 2)  # type: ignore[assignment]
    return sorted(scores, key=lambda term: -scores[term])


def transcribe_again(
    transcribe: Transcribe, audio: QueryAudio, first_transcript: str, items: Sequence[Item]
) -> str:
    """Transcribe a recording again with the terms of the items that the first transcript finds.

    A speech model mishears technical terms first. The words around such a term find the items that
    hold it (contextual biasing, with retrieval). Return the first transcript if the model hears
    nothing the second time, which a long list of terms can cause.
    """
    try:
        return transcribe(audio.data, corpus_terms(items), audio.name)
    except BadInput:
        return first_transcript
