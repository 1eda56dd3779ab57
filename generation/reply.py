"""A reply as its sentences, with their labels behind them and their list numerals before them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from data.sentences import sentences

__all__ = ["numeral", "reply_sentences", "split"]

# `1. `, `2) `, `Step 3: `, `**4.** `, `- `: what stands before a step and is no part of it.
_NUMERAL = re.compile(
    r"\s*(?:[-*•]\s+|\**(?:step\s+)?\d{1,2}\s*[.):](?:\s*\*+)?(?:\s+|$))", re.IGNORECASE
)
_LABEL_BEGUN = re.compile(r"\[[\d, ]*")


def reply_sentences(pieces: Iterable[str]) -> Iterator[str]:
    """Sentences as they become complete: the last one waits, for a label may still follow it."""
    pending = ""
    for piece in pieces:
        pending += piece
        complete = split(pending)
        if len(complete) > 1 and not _LABEL_BEGUN.fullmatch(complete[-1]):
            yield from complete[:-1]
            pending = complete[-1] + pending[len(pending.rstrip()) :]
    # A reply that ran into its limit ends in half a sentence, which nobody can check.
    yield from (s for s in split(pending) if s[-1] in '.!?])"”')


def split(text: str) -> list[str]:
    """Sentences with the labels that follow their full stop: `It falls. [1] Then` -> 2.

    A numeral stays before its sentence, from which `numeral` takes it off.
    """
    parts: list[str] = []
    for line in text.splitlines():
        for part in sentences(line):
            head = part[: part.rfind("]") + 1] if part.lstrip().startswith("[") else ""
            if parts and head and not head.strip("[]0123456789, "):
                parts[-1] += " " + head
                part = part[len(head) :].strip()
            if parts and part and not numeral(parts[-1])[1]:
                parts[-1] += " " + part  # `1.` looks like the end of a sentence
            elif part:
                parts.append(part)
    return parts


def numeral(sentence: str) -> tuple[str, str]:
    """What numbers the sentence in a list, which is no number of the matter, and the sentence."""
    match = _NUMERAL.match(sentence)
    end = match.end() if match else 0
    return sentence[:end].strip(), sentence[end:]
