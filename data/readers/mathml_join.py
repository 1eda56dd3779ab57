"""Join the LaTeX fragments of a formula, with spaces and brackets as a person would write them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from data.readers.mathml_symbols import FUNCTIONS
from data.readers.mathml_tokens import CLOSING_BRACKETS, Fragment

__all__ = ["join_fragments"]

_STACK = re.compile(r"\{(.*) \\atop (.*)\}")
_TALL = re.compile(r"\\(?:frac|begin|sum|prod|i*int)\b")
_ENDS_WITH_COMMAND = re.compile(r"\\[A-Za-z]+$")
_FUNCTION_COMMANDS = tuple("\\" + name for name in FUNCTIONS)
_ATOP = r" \atop "
_NOTHING = Fragment("", "space")
_SIGNS = frozenset(("+", "-", r"\pm", r"\mp"))


def join_fragments(all_fragments: Iterable[Fragment]) -> str:
    """Return the LaTeX of a row of fragments.

    Spaces stand around infix operators and after commas, but not around a sign.
    """
    fragments = [fragment for fragment in all_fragments if fragment.latex]
    _fit_brackets(fragments)
    fragments = [fragment for fragment in fragments if fragment.latex]
    formula = ""
    previous: Fragment | None = None  # the last fragment that is not a space
    space = ""
    for index, (latex, kind) in enumerate(fragments):
        if kind == "space":
            space = max(space, latex, key=len) if formula else ""
            continue
        if kind == "infix":
            is_prefix = previous is None or previous.kind in ("infix", "open", "comma")
            is_last = index + 1 == len(fragments)  # a sign may be last: the charge `2+`
            if latex in _SIGNS and (is_last or is_prefix):
                needs_space = previous is not None and previous.kind in ("infix", "comma")
                formula = formula.rstrip() + (" " if needs_space else "") + latex
            else:
                formula = formula.rstrip() + f" {latex} "
        elif kind in ("comma", "close"):
            formula = formula.rstrip() + latex
            if kind == "comma" and not _is_thousands_separator(fragments, index):
                formula += " "
        else:
            # no space to add: operators, functions and text bring their own, and `(` needs none
            has_space = (
                previous is None
                or previous.kind in ("infix", "comma", "open")
                or latex.startswith(r"\text{ ")
                or formula.endswith(_FUNCTION_COMMANDS)
            )
            formula = _append(formula if has_space else formula + space, latex)
        space = ""
        previous = Fragment(latex, kind)
    return formula.strip()


def _append(formula: str, latex: str) -> str:
    """Append `latex`, after a space if its first letter would extend a command."""
    needs_space = latex[:1].isalpha() and _ENDS_WITH_COMMAND.search(formula)
    return f"{formula} {latex}" if needs_space else formula + latex


def _is_thousands_separator(fragments: list[Fragment], index: int) -> bool:
    neighbours = fragments[max(index - 1, 0) : index + 2]
    return (
        len(neighbours) == 3
        and neighbours[0].kind == neighbours[2].kind == "number"
        and len(neighbours[2].latex.partition(".")[0]) == 3
        and fragments[index].latex == ","
    )


def _fit_brackets(fragments: list[Fragment]) -> None:
    """Let brackets grow with tall contents (`\\left`, `\\right`), in place.

    A table in brackets becomes a matrix, and a fraction without its line becomes a binomial. A
    table after a lone brace becomes `cases`.
    """
    open_indices: list[int] = []
    for index, (latex, kind) in enumerate(fragments):
        if kind == "open":
            open_indices.append(index)
        elif kind == "close" and open_indices:
            start = open_indices.pop()
            contents = fragments[start + 1 : index]
            if latex == ")" and (binomial := _binomial(contents)):
                fragments[start : index + 1] = [
                    Fragment("", "space"),
                    Fragment(binomial, "atom"),
                    *[Fragment("", "space")] * (index - start - 1),
                ]
                continue
            is_tall = any(_TALL.search(fragment.latex) for fragment in contents)
            if CLOSING_BRACKETS[fragments[start].latex] == latex and is_tall:
                visible = [fragment for fragment in contents if fragment.kind != "space"]
                if len(visible) == 1 and visible[0].kind == "table":
                    position = fragments.index(visible[0], start)
                    matrix = _with_environment(visible[0].latex, "matrix")
                    fragments[position] = Fragment(matrix, "table")
                fragments[start] = Fragment(rf"\left{fragments[start].latex}", "open")
                fragments[index] = Fragment(rf"\right{latex}", "close")
    for start in open_indices:
        follower = fragments[start + 1] if start + 1 < len(fragments) else fragments[start]
        if fragments[start].latex == r"\{" and follower.kind == "table":
            fragments[start] = Fragment("", "open")
            fragments[start + 1] = Fragment(_with_environment(follower.latex, "cases"), "table")


def _binomial(contents: list[Fragment]) -> str:
    """Return the binomial that stands between brackets as a fraction without its line, or ''."""
    visible = [fragment.latex for fragment in contents if fragment.kind != "space"]
    if len(visible) != 1 or visible[0].count(r"\atop") != 1:
        return ""
    stack = _STACK.fullmatch(visible[0])
    return rf"\binom{{{stack[1]}}}{{{stack[2]}}}" if stack else ""


def _with_environment(table: str, name: str) -> str:
    return table.replace("{aligned}", f"{{{name}}}")
