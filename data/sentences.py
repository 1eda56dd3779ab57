"""Split text into sentences with Wikimedia's `sentencex`."""

from __future__ import annotations

import re

from sentencex import segment

__all__ = ["split_sentences"]

_FORMULA_START = re.compile(r"\\[(\[]")
_FORMULA_END = re.compile(r"\\[)\]]")


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Split `text` into stripped sentences, in order.

    Formulas between `\\(` and `\\)` or `\\[` and `\\]` stay whole. Only white space is lost.
    """
    sentences: list[str] = []
    pending = ""
    for segment_text in segment(language, text):
        pending += segment_text
        if len(_FORMULA_START.findall(pending)) > len(_FORMULA_END.findall(pending)):
            continue  # a full stop inside a formula does not end a sentence
        if pending.strip():
            sentences.append(pending.strip())
        pending = ""
    if pending.strip():
        sentences.append(pending.strip())
    return sentences
