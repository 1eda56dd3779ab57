"""Write the words of one line as text: raised and lowered type, spaced-out letters, CJK.

Raised and lowered type is written as in the other readers: `10^8 m/s`, `m^3`, `SO_4^{2-}`, H2O.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import Literal

from data.readers.pdf_hyphens import is_wide
from data.readers.pdf_words import Word

__all__ = ["compose_text"]

_MAX_SCRIPT_SIZE = 0.88  # of the size of the line's type
_MIN_RISE, _MIN_DROP = 0.18, 0.06  # of the size of the line's type
_ORDINALS = ("st", "nd", "rd", "th")
_SIGNS = frozenset("°′″‴'\"*†‡§¶®™©ªº’”")  # stand raised by nature
_SUPERSCRIPT_DIGITS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_MIN_SPACED_LETTERS = 4

_Level = Literal["sup", "sub", ""]


def compose_text(words: Sequence[Word], font_size: float, baseline: float) -> str:
    """Return the text of the words of a line in reading order.

    `font_size` and `baseline` are those of the line's main type.
    """
    words = _close_spaced_letters(words)
    groups = [
        (level, list(group))
        for level, group in groupby(words, lambda word: _level(word, font_size, baseline))
    ]
    text = ""
    for index, (level, group) in enumerate(groups):
        following = groups[index + 1][0] if index + 1 < len(groups) else ""
        plain = _plain_text(group)
        is_spaced = group[0].after_space and bool(text)
        if level and text and not is_spaced:
            text += _script(level, plain, text, following)
        elif is_spaced and not _joins_without_space(text[-1:], plain[:1]):
            text += " " + plain
        else:
            # the number of a footnote stands before its text
            text += plain + (" " if level == "sup" and not text else "")
    return " ".join(text.split())


def _level(word: Word, font_size: float, baseline: float) -> _Level:
    if word.style.font_size > _MAX_SCRIPT_SIZE * font_size or word.style.turn < 0:
        return ""
    rise = baseline - word.baseline
    if rise > _MIN_RISE * font_size:
        return "sup"
    return "sub" if -rise > _MIN_DROP * font_size else ""


def _plain_text(words: Sequence[Word]) -> str:
    text = ""
    for word in words:
        is_spaced = word.after_space and not _joins_without_space(text[-1:], word.text[:1])
        text += (" " if is_spaced and text else "") + word.text
    return text


def _joins_without_space(last: str, first: str) -> bool:
    return is_wide(last) and is_wide(first)


def _script(level: str, text: str, base: str, following: str) -> str:
    """Return a script behind its base; `following` is the level of the type behind it."""
    if level == "sub":
        if text.isdigit() and following != "sup":
            return text  # H2O, as people type it in a search
        return f"_{text}" if text.isalnum() else f"_{{{_latex(text)}}}"
    if text.lower() in _ORDINALS or _SIGNS.issuperset(text):
        return text
    if base[-1] in ".,;:!?)]”\"'’" and text.isdecimal() and base[-2:-1].isalpha():
        return text.translate(_SUPERSCRIPT_DIGITS)  # the mark of a footnote
    is_one_word = text.isalnum() or (text[0] in "-−–+" and text[1:].isalnum())
    return f"^{text}" if is_one_word else f"^{{{_latex(text)}}}"


def _latex(text: str) -> str:
    return text.replace("−", "-").replace("–", "-")


def _close_spaced_letters(words: Sequence[Word]) -> Sequence[Word]:
    """Close the gaps inside words whose letters are spaced out, as in "T H E   H E A R T"."""
    letters = [word for word in words if len(word.text) == 1]
    if len(letters) < _MIN_SPACED_LETTERS or len(letters) < 0.8 * len(words):
        return words
    if not all(word.text.isalpha() for word in letters):
        return words
    gaps = [b.box.left - a.box.right for a, b in pairwise(words)]
    usual_gap = median(gaps)
    if usual_gap <= 0:
        return words
    return [
        words[0],
        *(
            word._replace(after_space=gap > 1.8 * usual_gap)
            for word, gap in zip(words[1:], gaps, strict=True)
        ),
    ]
