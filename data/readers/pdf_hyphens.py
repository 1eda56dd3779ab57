"""Decide whether a hyphen at the end of a line belongs to the word.

The document itself knows best. The frequency of English words decides the rest: "photo-" and
"synthesis" become one word, "long-" and "term" keep their hyphen.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Set

from data.word_frequencies import english_word_frequencies

__all__ = ["is_wide", "join_lines", "words_with_hyphens"]

_HYPHENS = "-\u00ad\u2010"
_WORD = re.compile(r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)*")
_FIRST_HALF = re.compile(r"([^\W\d_]+(?:-[^\W\d_]+)*)[-\u00ad\u2010]$")
_SECOND_HALF = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_MUCH_RARER = 100  # a joined word so much rarer than both halves keeps its hyphen


def words_with_hyphens(lines: Iterable[str]) -> set[str]:
    """Return the words of lines in lower case; words with a hyphen inside a line keep it."""
    return {
        word.group().replace("\u2010", "-").casefold()
        for line in lines
        for word in _WORD.finditer(line.rstrip().rstrip(_HYPHENS))
    }


def join_lines(lines: Iterable[str], vocabulary: Set[str] = frozenset()) -> str:
    """Join lines with spaces, and words that a hyphen splits over two lines.

    `vocabulary` holds the words of the document from `words_with_hyphens`. Scripts without spaces
    (Chinese, Japanese) are joined without one.
    """
    joined = ""
    for line in lines:
        line = line.strip()
        if not joined or not line:
            joined = joined or line
        elif joined[-1] in _HYPHENS and joined[-2:-1].isalpha() and line[:1].isalpha():
            keeps_hyphen = _keeps_hyphen(joined, line, vocabulary)
            joined = (joined if keeps_hyphen else joined[:-1]) + line
        elif is_wide(joined[-1]) and is_wide(line[0]):
            joined += line
        else:
            joined += " " + line
    return joined.replace("\u00ad", "")


def is_wide(letter: str) -> bool:
    """Return whether a letter belongs to a script that is written without spaces."""
    return (
        bool(letter)
        and unicodedata.east_asian_width(letter) in ("W", "F")
        and not unicodedata.name(letter, "").startswith("HANGUL")  # Korean has spaces
    )


def _keeps_hyphen(before: str, after: str, vocabulary: Set[str]) -> bool:
    if before[-1] == "\u00ad":
        return False
    if not (before[-2].islower() and after[0].islower()):
        return True  # Navier-Stokes, X-ray
    first, second = _FIRST_HALF.search(before), _SECOND_HALF.match(after)
    if first is None or second is None:
        return False
    return _is_compound(first[1].casefold(), second[0].casefold(), vocabulary)


def _is_compound(first: str, second: str, vocabulary: Set[str]) -> bool:
    """Return whether the hyphen between two halves belongs to the word."""
    if f"{first}-{second}" in vocabulary:
        return True
    joined = first + second
    if joined in vocabulary:
        return False
    if len(first) == 1 or "-" in first:  # p-xylene, state-of-the-art
        return True
    frequency = english_word_frequencies()
    halves = min(frequency.get(first, 0), frequency.get(second, 0))
    return halves > _MUCH_RARER * frequency.get(joined, 0)
