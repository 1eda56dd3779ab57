"""The leaves of a formula: identifiers, numbers, operators and words, as LaTeX parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from data.readers.mathml_symbols import FUNCTIONS, INFIX, SYMBOLS

__all__ = ["CLOSES", "SPACE", "Kind", "Part", "symbol_parts", "text_parts"]

Kind = Literal["atom", "number", "infix", "open", "close", "comma", "space", "table"]


class Part(NamedTuple):
    latex: str
    kind: Kind


SPACE = Part(r"\ ", "space")
CLOSES = {"(": ")", "[": "]", r"\{": r"\}", r"\langle": r"\rangle"}
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*\.?|\.[0-9]+")
_RUNS = re.compile(r"[A-Za-z]+|\s+|.", re.DOTALL)
_LETTERS = r"[^\W_\u00b5\u0370-\u03ff\u2126]+"  # Greek has names of its own
_TEXT_RUNS = re.compile(rf"{_LETTERS}(?:[ \-/,.';:()!?&%_]+{_LETTERS})*|\s+|.", re.DOTALL)
_LEADING_NUMBER = re.compile(r"(\s*)([0-9][0-9.,]*)(?=[ A-Za-z])(.*)", re.DOTALL)


def symbol_parts(text: str) -> Iterator[Part]:
    """The parts of an identifier, number or operator."""
    if text in SYMBOLS:
        yield _part(SYMBOLS[text])
        return
    if _NUMBER.fullmatch(text):
        yield Part(text, "number")
        return
    for run in _RUNS.findall(text):
        if run.isspace():
            yield SPACE
        elif run in FUNCTIONS:
            yield Part("\\" + run, "atom")
        elif run.isdigit():
            yield Part(run, "number")
        elif len(run) > 2:
            yield Part(rf"\mathrm{{{run}}}", "atom")
        else:
            yield _part(SYMBOLS.get(run, run))


def _part(latex: str) -> Part:
    if latex in INFIX:
        return Part(latex, "infix")
    if latex in CLOSES:
        return Part(latex, "open")
    if latex in CLOSES.values():
        return Part(latex, "close")
    if latex in (",", ";"):
        return Part(latex, "comma")
    return Part(latex, "space" if latex.isspace() else "atom")


def text_parts(content: str) -> Iterator[Part]:
    """The parts of running text: words in `\\text{}`, symbols by their names, spaces kept."""
    content = re.sub(r"[\s\u2000-\u200a\u202f]+", " ", content.replace("º", "°"))
    stripped = content.strip()
    if _NUMBER.fullmatch(stripped) or stripped in FUNCTIONS or stripped in SYMBOLS:
        if content != content.lstrip():
            yield SPACE
        yield from symbol_parts(stripped)
        if content != content.rstrip():
            yield SPACE
        return
    # All that LaTeX's text mode can show stays one piece, spaces around it included.
    pieces: list[str] = []
    for run in _TEXT_RUNS.findall(content):
        if run.isspace() or (run[0].isalnum() and run not in SYMBOLS):
            pieces.append(run)
            continue
        yield from _words("".join(pieces))
        pieces = []
        yield _part(SYMBOLS.get(run, run))
    yield from _words("".join(pieces))


def _words(text: str) -> Iterator[Part]:
    number = _LEADING_NUMBER.fullmatch(text)
    if number:  # the end of `2.00 V`, cut after the point
        yield from [SPACE] if number[1] else []
        yield Part(number[2], "number")
        text = number[3]
    if not text.strip():
        yield from [SPACE] if text else []
    elif _NUMBER.fullmatch(text.strip()):
        yield from [SPACE] if text[0] == " " else []
        yield Part(text.strip(), "number")
    else:
        escaped = re.sub(r"[#$%&_{}]", lambda match: "\\" + match[0], text)
        yield Part(rf"\text{{{escaped}}}", "atom")
