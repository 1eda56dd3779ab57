"""White space in running text: collapsed as a browser does, without invented spaces in Chinese."""

from __future__ import annotations

import re

__all__ = ["collapse", "join_wrapped", "without_hidden_characters"]

# Soft hyphens, zero-width spaces and joiners of words. ZWNJ and ZWJ stay: Persian needs them.
_HIDDEN = re.compile("[\u00ad\u200b\u2060\ufeff]")
# Scripts that are written without spaces: a line break between two such letters is no space.
_UNSPACED = "\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff"
_BREAK_IN_UNSPACED_TEXT = re.compile(rf"(?<=[{_UNSPACED}])[ \t]*\n[ \t\n]*(?=[{_UNSPACED}])")


def without_hidden_characters(text: str) -> str:
    """Remove soft hyphens and zero-width spaces, which only tell where a line may break."""
    return _HIDDEN.sub("", text)


def collapse(text: str) -> str:
    """Return the text on one line, with single spaces."""
    return " ".join(_BREAK_IN_UNSPACED_TEXT.sub("", without_hidden_characters(text)).split())


def join_wrapped(lines: list[str]) -> str:
    """Join the lines of a wrapped paragraph."""
    return collapse("\n".join(lines))
