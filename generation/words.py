"""Compare texts by their words: content words, cut to their stems."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import snowballstemmer

__all__ = [
    "STOP",
    "content_words",
    "longest_common_subsequence",
    "repeats",
    "stem",
    "stemmed_words",
    "stems",
    "topic_words",
    "word_count",
]

_WORD = re.compile(r"[^\W\d_]{3,}")
STOP = frozenset(
    "the and for that this with from are was were has have had not but its his her their they "
    "them then than which what when where who how why can could will would should may might "
    "does did been being also into onto over under only such more most some any all each other "
    "these those there here because while about between using used use one two".split()
)


@lru_cache(maxsize=1)
def _stemmer() -> snowballstemmer.stemmer:
    return snowballstemmer.stemmer("english")


def stem(word: str) -> str:
    """Return the stem of a word, in lower case."""
    return str(_stemmer().stemWord(word.lower()))


def stems(text: str) -> frozenset[str]:
    """Return the stems of the content words of `text`."""
    words = [w for w in _WORD.findall(text.lower()) if w not in STOP]
    return frozenset(_stemmer().stemWords(words))


def word_count(text: str) -> int:
    """Return the number of words of at least three letters."""
    return len(_WORD.findall(text))


# Words of a question that do not name its topic.
_QUESTION_WORDS = frozenset(
    stem(word)
    for word in """
    explain describe define show find tell know mean meant meaning means term word words simple
    difference figure picture diagram give please help understand work works call called true
    believe example examples question answer what why how distinguish differentiate interpret
    compare contrast discuss identify list outline summarize relate calculate determine
    """.split()
)


def topic_words(question: str) -> frozenset[str]:
    """Return the stems of the words that name the topic of a question.

    In "What is work?" that is `work`, which in other questions is no topic word.
    """
    words = stems(question)
    return words - _QUESTION_WORDS or words


def stemmed_words(text: str) -> list[str]:
    """Return the stems of all words of `text` in order, small words too.

    `slower`, `slowest` and `slowly` have one stem; `n't` counts as `not`.
    """
    plain = re.sub(r"n['’]t\b", " not", text.lower())
    words = _stemmer().stemWords(re.findall(r"[^\W\d_]+", plain))
    return [re.sub(r"(?<=...)(?:er|est|li)$", "", word) for word in words]


_SMALL = STOP | frozenset("a an of to in is it on by as at or be if so no we he up do".split())


@lru_cache(maxsize=1)
def _small_stems() -> frozenset[str]:
    return frozenset(stemmed_words(" ".join(_SMALL)))


@lru_cache(maxsize=4096)
def content_words(text: str) -> tuple[str, ...]:
    """Return the stems of the content words of `text` in order."""
    return tuple(w for w in stemmed_words(text) if w not in _small_stems() and len(w) > 1)


def longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of two word lists."""
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], diagonal + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def repeats(text: str, other: str, overlap: float) -> bool:
    """Return whether `other` has the share `overlap` of the content words of `text`, in order."""
    words = content_words(text)
    return longest_common_subsequence(words, content_words(other)) >= overlap * len(words)
