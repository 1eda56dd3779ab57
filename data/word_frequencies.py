"""How often English words occur: the frequency list that `symspellpy` (MIT) ships."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

__all__ = ["english_word_frequencies"]

_FILE = "frequency_dictionary_en_82_765.txt"


@cache
def english_word_frequencies() -> Mapping[str, int]:
    """Return how often each of 82,000 English words, in lower case, occurs in a large corpus."""
    text = (files("symspellpy") / _FILE).read_text("utf-8-sig")
    lines = (line.partition(" ") for line in text.splitlines())
    return {word: int(count) for word, _, count in lines}
