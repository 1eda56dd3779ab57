"""Words as they are compared: content words, cut to their stems."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import snowballstemmer

__all__ = ["STOP", "WORD", "asked", "common", "content", "in_order", "repeats", "stem", "stems"]

WORD = re.compile(r"[^\W\d_]{3,}")
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
    """The stem of a word in any case."""
    return str(_stemmer().stemWord(word.lower()))


def stems(text: str) -> frozenset[str]:
    """Stems of the content words of `text`."""
    words = [w for w in WORD.findall(text.lower()) if w not in STOP]
    return frozenset(_stemmer().stemWords(words))


# What asks, and says nothing of the matter.
_ASKING = frozenset(
    stem(word)
    for word in """
    explain describe define show find tell know mean meant meaning means term word words simple
    difference figure picture diagram give please help understand work works call called true
    believe example examples question answer what why how distinguish differentiate interpret
    compare contrast discuss identify list outline summarize relate calculate determine
    """.split()
)


def asked(question: str) -> frozenset[str]:
    """Stems of what a question is about; in "What is work?" that is a word that else asks."""
    every = stems(question)
    return every - _ASKING or every


def in_order(text: str) -> list[str]:
    """Stems of all words of `text`, the smallest too; `slower` and `slowly` are one."""
    plain = re.sub(r"n['’]t\b", " not", text.lower())
    words = _stemmer().stemWords(re.findall(r"[^\W\d_]+", plain))
    return [re.sub(r"(?<=...)(?:er|est|li)$", "", word) for word in words]


_SMALL = STOP | frozenset("a an of to in is it on by as at or be if so no we he up do".split())


@lru_cache(maxsize=1)
def _small_stems() -> frozenset[str]:
    return frozenset(in_order(" ".join(_SMALL)))


@lru_cache(maxsize=4096)
def content(text: str) -> tuple[str, ...]:
    """Stems of the content words of `text` in their order."""
    return tuple(w for w in in_order(text) if w not in _small_stems() and len(w) > 1)


def common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], diagonal + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def repeats(text: str, said: str, share: float = 0.7) -> bool:
    """Whether `said` has that share of the content words of `text`, in their order."""
    own = content(text)
    return common(own, content(said)) >= share * len(own)
