"""Compare texts by their words: content words, cut to their stems."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import snowballstemmer

from generation.word_lists import WORDS

__all__ = [
    "any_of",
    "content_words",
    "longest_common_subsequence",
    "repeats",
    "stem",
    "stemmed_list",
    "stemmed_words",
    "stems",
    "topic_words",
    "word_count",
]

_WORD = re.compile(r"[^\W\d_]{3,}")


@lru_cache(maxsize=8)
def _stemmer(language: str) -> snowballstemmer.stemmer:
    return snowballstemmer.stemmer(WORDS[language].stemmer)


@lru_cache(maxsize=100_000)
def stem(word: str, language: str = "en") -> str:
    """Return the stem of a word, in lower case."""
    return str(_stemmer(language).stemWord(word.lower()))


def stems(text: str, language: str = "en") -> frozenset[str]:
    """Return the stems of the content words of `text`."""
    words = [w for w in _WORD.findall(text.lower()) if w not in WORDS[language].stop_words]
    return frozenset(stem(word, language) for word in words)


def word_count(text: str) -> int:
    """Return the number of words of at least three letters."""
    return len(_WORD.findall(text))


@lru_cache(maxsize=256)
def topic_words(question: str, language: str = "en") -> frozenset[str]:
    """Return the stems of the words that name the topic of a question.

    In "What is work?" the topic is `work`. In "How does a lever work?" it is only `lever`.
    """
    words = stems(question, language)
    return words - _question_stems(language) or words


@lru_cache(maxsize=8)
def _question_stems(language: str) -> frozenset[str]:
    return frozenset(stem(word, language) for word in WORDS[language].question_words)


def stemmed_words(text: str, language: str = "en") -> list[str]:
    """Return the stems of all words of `text` in order, small words too.

    `slower`, `slowest` and `slowly` have one stem; `n't` counts as `not`.
    """
    plain = re.sub(r"n['’]t\b", " not", text.lower())
    words = [stem(word, language) for word in re.findall(r"[^\W\d_]+", plain)]
    return [re.sub(r"(?<=...)(?:er|est|li)$", "", word) for word in words]


@lru_cache(maxsize=64)
def stemmed_list(words: frozenset[str], language: str = "en") -> frozenset[str]:
    """Return the stems of a word list, made like those of `stemmed_words`."""
    return frozenset(stemmed_words(" ".join(words), language))


@lru_cache(maxsize=4096)
def content_words(text: str, language: str = "en") -> tuple[str, ...]:
    """Return the stems of the content words of `text` in order."""
    words = WORDS[language]
    stop_stems = stemmed_list(words.stop_words | words.short_stop_words, language)
    return tuple(w for w in stemmed_words(text, language) if w not in stop_stems and len(w) > 1)


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


def any_of(phrases: Iterable[str]) -> str:
    """Return a regular expression that matches any of `phrases`, the longest first."""
    return "|".join(re.escape(phrase) for phrase in sorted(phrases, key=lambda p: (-len(p), p)))
