"""Split a reply into sentences, with the labels behind them and the list numbers before them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from data.sentences import split_sentences

__all__ = ["reply_sentences", "split", "split_list_number"]

# `1. `, `2) `, `Step 3: `, `**4.** `, `- `
_LIST_NUMBER = re.compile(
    r"\s*(?:[-*•]\s+|\**(?:step\s+)?\d{1,2}\s*[.):](?:\s*\*+)?(?:\s+|$))", re.IGNORECASE
)
_BEGINNING_OF_LABEL = re.compile(r"\[[\d, ]*")
_SENTENCE_ENDS = (".", "!", "?", "]", ")", '"', "”")


def reply_sentences(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the sentences of a streamed reply as they become complete.

    The last sentence waits for the next one, because a label may still follow it. An unfinished
    sentence at the end of the reply is left out.
    """
    pending = ""
    for piece in pieces:
        pending += piece
        complete = split(pending)
        if len(complete) > 1 and not _BEGINNING_OF_LABEL.fullmatch(complete[-1]):
            yield from complete[:-1]
            pending = complete[-1] + pending[len(pending.rstrip()) :]
    yield from (sentence for sentence in split(pending) if sentence.endswith(_SENTENCE_ENDS))


def split(text: str) -> list[str]:
    """Split a text into sentences; a label after a full stop belongs to the sentence before it.

    `It falls. [1] Then it stops.` has two sentences. A list number stays with its sentence;
    `split_list_number` takes it off.
    """
    parts: list[str] = []
    for line in text.splitlines():
        for part in split_sentences(line):
            label = part[: part.rfind("]") + 1] if part.lstrip().startswith("[") else ""
            if parts and label and not label.strip("[]0123456789, "):
                parts[-1] += " " + label
                part = part[len(label) :].strip()
            if parts and part and not split_list_number(parts[-1])[1]:
                parts[-1] += " " + part  # `1.` looks like the end of a sentence
            elif part:
                parts.append(part)
    return parts


def split_list_number(sentence: str) -> tuple[str, str]:
    """Return the list number or bullet of a sentence, empty if it has none, and the rest."""
    match = _LIST_NUMBER.match(sentence)
    end = match.end() if match else 0
    return sentence[:end].strip(), sentence[end:]
