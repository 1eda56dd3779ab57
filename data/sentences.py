"""Split text into sentences with Wikimedia's `sentencex`."""

from __future__ import annotations

import re
from itertools import zip_longest

from sentencex import segment

__all__ = ["split_sentences"]

_FORMULA_START = re.compile(r"\\[(\[]")
_FORMULA_END = re.compile(r"\\[)\]]")
_LOWER_CASE_WORD = re.compile(r"[^\W\d_A-Z]+\b")


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Split `text` into stripped sentences, in order.

    Formulas between `\\(` and `\\)` or `\\[` and `\\]` stay whole. So do an abbreviation with the
    lower-case word behind it ("Vibrio spp. live") and a parenthesis that the next sentence would
    close. Only white space is lost.
    """
    segments = list(segment(language, text))
    sentences: list[str] = []
    pending = ""
    for segment_text, following in zip_longest(segments, segments[1:], fillvalue=""):
        pending += segment_text
        if len(_FORMULA_START.findall(pending)) > len(_FORMULA_END.findall(pending)):
            continue  # a full stop inside a formula does not end a sentence
        if _goes_on(pending, following):
            continue
        if pending.strip():
            sentences.append(pending.strip())
        pending = ""
    if pending.strip():
        sentences.append(pending.strip())
    return sentences


def _goes_on(text: str, following: str) -> bool:
    """Return whether `following` still belongs to the sentence of `text`."""
    if not text.rstrip(" ").endswith("."):
        return False  # a line break or another mark ends it
    first = _LOWER_CASE_WORD.match(following.lstrip())
    opened = text.count("(") - text.count(")")
    closed = following.count(")") - following.count("(")
    return (first is not None and first[0].islower()) or 0 < opened <= closed
