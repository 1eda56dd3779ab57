"""Find the words of a corpus that a misspelt word may stand for.

A word of the English dictionary in `symspellpy` (82,000 words) is never taken for a slip: a
question about boron is no question about bosons, even if the corpus knows only these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

from data.folding import fold
from data.word_frequencies import english_word_frequencies
from retrieval.bm25 import strip_latex

__all__ = ["MIN_LETTERS", "is_in_dictionary", "similar_words", "vocabulary"]

MIN_LETTERS = 5  # a shorter word has too many neighbours
_MAX_EDITS = 1
_WORD = re.compile(rf"[^\W\d_]{{{MIN_LETTERS},}}")


def vocabulary(text: str) -> frozenset[str]:
    """Return the words of a text that a misspelt word can be compared with, in lower case."""
    return frozenset(_WORD.findall(strip_latex(fold(text)).lower()))


def is_in_dictionary(word: str) -> bool:
    """Return whether a word in lower case is English."""
    return word in english_word_frequencies()


def similar_words(word: str, words: Sequence[str]) -> list[str]:
    """Return the words that one slip turns into `word`.

    A slip is a wrong, missing or additional letter, or two letters in the wrong order.
    """
    matches = process.extract(word, words, scorer=OSA.distance, score_cutoff=_MAX_EDITS, limit=None)
    return [other for other, _, _ in matches]
