"""Sentence boundaries, by Wikimedia's `sentencex`; formulas between `\\(` and `\\)` stay whole."""

from __future__ import annotations

import re

from sentencex import segment

__all__ = ["sentences"]

_OPEN = re.compile(r"\\[(\[]")
_CLOSE = re.compile(r"\\[)\]]")


def sentences(text: str, language: str = "en") -> list[str]:
    """Split `text` into its sentences, stripped, in order; nothing but white space is lost."""
    parts: list[str] = []
    pending = ""
    for part in segment(language, text):
        pending += part
        if len(_OPEN.findall(pending)) > len(_CLOSE.findall(pending)):
            continue  # a full stop inside a formula is no end of a sentence
        if pending.strip():
            parts.append(pending.strip())
        pending = ""
    if pending.strip():
        parts.append(pending.strip())
    return parts
