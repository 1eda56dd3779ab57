"""Citation numbers: the item that an answer cites first is [1], the next one [2]."""

from __future__ import annotations

from dataclasses import replace

from data.records import Sentence

__all__ = ["CitationNumbers"]


class CitationNumbers:
    """Number the cited items of one answer in the order of their first citation."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def assign(self, sentence: Sentence) -> Sentence:
        """Return `sentence` with the number of each item that it cites."""
        for item_id in sentence.citations:
            self._numbers.setdefault(item_id, len(self._numbers) + 1)
        return replace(sentence, numbers=tuple(self._numbers[i] for i in sentence.citations))
