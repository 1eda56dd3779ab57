"""Turn the leaves of a MathML formula (identifiers, numbers, operators, words) into LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from data.readers.mathml_symbols import FUNCTIONS, INFIX, SYMBOLS

__all__ = [
    "CLOSING_BRACKETS",
    "SPACE",
    "Fragment",
    "FragmentKind",
    "symbol_fragments",
    "text_fragments",
]

FragmentKind = Literal["atom", "number", "infix", "open", "close", "comma", "space", "table"]


class Fragment(NamedTuple):
    """A piece of LaTeX; `kind` determines the spaces around it."""

    latex: str
    kind: FragmentKind


SPACE = Fragment(r"\ ", "space")
CLOSING_BRACKETS = {"(": ")", "[": "]", r"\{": r"\}", r"\langle": r"\rangle"}
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*\.?|\.[0-9]+")
_SYMBOL_RUNS = re.compile(r"[A-Za-z]+|\s+|.", re.DOTALL)
_LETTERS = r"[^\W_\u00b5\u0370-\u03ff\u2126]+"  # without Greek letters, which become commands
_TEXT_RUNS = re.compile(rf"{_LETTERS}(?:[ \-/,.';:()!?&%_]+{_LETTERS})*|\s+|.", re.DOTALL)
_LEADING_NUMBER = re.compile(r"(\s*)([0-9][0-9.,]*)(?=[ A-Za-z])(.*)", re.DOTALL)


def symbol_fragments(text: str) -> Iterator[Fragment]:
    """Yield the fragments of an identifier, number or operator."""
    if text in SYMBOLS:
        yield _symbol_fragment(SYMBOLS[text])
        return
    if _NUMBER.fullmatch(text):
        yield Fragment(text, "number")
        return
    for run in _SYMBOL_RUNS.findall(text):
        if run.isspace():
            yield SPACE
        elif run in FUNCTIONS:
            yield Fragment("\\" + run, "atom")
        elif run.isdigit():
            yield Fragment(run, "number")
        elif len(run) > 2:
            yield Fragment(rf"\mathrm{{{run}}}", "atom")
        else:
            yield _symbol_fragment(SYMBOLS.get(run, run))


def _symbol_fragment(latex: str) -> Fragment:
    if latex in INFIX:
        return Fragment(latex, "infix")
    if latex in CLOSING_BRACKETS:
        return Fragment(latex, "open")
    if latex in CLOSING_BRACKETS.values():
        return Fragment(latex, "close")
    if latex in (",", ";"):
        return Fragment(latex, "comma")
    return Fragment(latex, "space" if latex.isspace() else "atom")


def text_fragments(content: str) -> Iterator[Fragment]:
    """Yield the fragments of running text: words in `\\text{}`, symbols as commands, spaces."""
    content = re.sub(r"[\s\u2000-\u200a\u202f]+", " ", content.replace("º", "°"))
    stripped = content.strip()
    if _NUMBER.fullmatch(stripped) or stripped in FUNCTIONS or stripped in SYMBOLS:
        if content != content.lstrip():
            yield SPACE
        yield from symbol_fragments(stripped)
        if content != content.rstrip():
            yield SPACE
        return
    # neighbouring words share one `\text{}`, which includes the spaces around them
    words: list[str] = []
    for run in _TEXT_RUNS.findall(content):
        if run.isspace() or (run[0].isalnum() and run not in SYMBOLS):
            words.append(run)
            continue
        yield from _word_fragments("".join(words))
        words = []
        yield _symbol_fragment(SYMBOLS.get(run, run))
    yield from _word_fragments("".join(words))


def _word_fragments(text: str) -> Iterator[Fragment]:
    number = _LEADING_NUMBER.fullmatch(text)
    if number:  # the end of `2.00 V` if MathML splits it after the point
        yield from [SPACE] if number[1] else []
        yield Fragment(number[2], "number")
        text = number[3]
    if not text.strip():
        yield from [SPACE] if text else []
    elif _NUMBER.fullmatch(text.strip()):
        yield from [SPACE] if text[0] == " " else []
        yield Fragment(text.strip(), "number")
    else:
        escaped = re.sub(r"[#$%&_{}]", lambda match: "\\" + match[0], text)
        yield Fragment(rf"\text{{{escaped}}}", "atom")
