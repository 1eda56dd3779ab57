"""Words as they are compared: content words, cut to their stems."""

from __future__ import annotations

import re
from functools import lru_cache

import snowballstemmer

__all__ = ["STOP", "WORD", "stem", "stems"]

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


def in_order(text: str) -> list[str]:
    """Stems of all words of `text`, the smallest too; `slower` and `slowly` are one."""
    plain = re.sub(r"n['’]t\b", " not", text.lower())
    words = _stemmer().stemWords(re.findall(r"[^\W\d_]+", plain))
    return [re.sub(r"(?<=...)(?:er|est|li)$", "", word) for word in words]
