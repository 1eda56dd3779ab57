"""Formulas compared as mathematics: `F/m` is `\\frac{F}{m}`, by SymPy."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from generation.quantities import quantities

__all__ = ["results", "same"]

_EQUATION = re.compile(r"[=≈]")
_FORMULA = re.compile(
    r"\\\((.*?)\\\)|\\\[(.*?)\\\]|\$([^$]+)\$|([A-Za-z]\w*\s*=[^,;\n]+?)(?=[.,;]?(?:\s[a-z]{2,}|\s*$))",
    re.DOTALL,
)
_LONGEST = 80  # characters of an expression: those of results are short
# Only what a formula is made of reaches SymPy's parser, which evaluates what it is given.
_PLAIN = re.compile(r"[A-Za-z0-9_+\-*/().\s]+")
# Dunder names, and powers that nobody could write out.
_UNFIT = re.compile(r"__|\*\*[^+\-/]*\*\*|\*\*\s*\(?-?\d{3}|\d{12}")
_NAME = re.compile(r"[A-Za-z]\w*")
_FUNCTIONS = ("sqrt", "sin", "cos", "tan", "exp", "log", "ln", "pi")


def results(text: str) -> list[Any]:
    """The right sides of the equations of a text, as SymPy's expressions; what is no formula of
    names and numbers is left out, and what is a number with its unit."""
    found = []
    for match in _FORMULA.finditer(text):
        formula = next(group for group in match.groups() if group)
        *_, right = _EQUATION.split(formula)
        wanted = _EQUATION.search(formula) and not _is_number(right)
        expression = _parsed(right) if wanted else None
        if expression is not None and expression.free_symbols:
            found.append(expression)
    return found


def same(a: Any, b: Any) -> bool:
    """Whether two expressions have the same value, whatever their names stand for."""
    return a.free_symbols == b.free_symbols and bool(a.equals(b))


def _is_number(right: str) -> bool:
    """Whether all letters are those of a unit."""
    letters = re.findall(r"[A-Za-z]", re.sub(r"\\[a-zA-Z]+", "", right))
    return any(q.unit and len(letters) <= len(q.unit) for q in quantities(right))


@lru_cache(maxsize=1024)
def _parsed(formula: str) -> Any:
    import sympy
    from sympy.parsing.sympy_parser import (
        implicit_multiplication,
        parse_expr,
        standard_transformations,
    )

    plain = _without_latex(formula)
    if not _PLAIN.fullmatch(plain) or len(plain) > _LONGEST or _UNFIT.search(plain):
        return None
    known = {name: getattr(sympy, name) for name in _FUNCTIONS}
    names = {
        name: sympy.Symbol(name, positive=True)
        for name in _NAME.findall(plain)
        if name not in known
    }
    try:
        return parse_expr(
            plain,
            local_dict=known | names,
            global_dict={"Integer": sympy.Integer, "Float": sympy.Float},
            transformations=(*standard_transformations, implicit_multiplication),
        )
    except Exception:  # noqa: BLE001 - whatever the parser trips over is no formula to compare
        return None


def _without_latex(formula: str) -> str:
    text = re.sub(r"\\(?:left|right|,|;|:|!| )|\\(?:text|mathrm)\{[^{}]*\}", " ", formula)
    text = re.sub(r"_\{(\w+)\}", r"_\1", text)
    for _ in range(4):  # fractions of fractions, from the inside
        text = re.sub(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", text)
        text = re.sub(r"\\sqrt\{([^{}]*)\}", r" sqrt(\1)", text)
        text = re.sub(r"\^\{([^{}]*)\}", r"**(\1)", text)
    text = re.sub(r"\\(?:cdot|times)\b|[·×]", "*", text).replace("−", "-")
    text = re.sub(r"\\([a-zA-Z]+)", r" \1 ", text).replace("^", "**")
    # names of one letter stand side by side: mgh is m g h
    text = re.sub(r"[A-Za-z]+(?![\w(])", _apart, text)
    return text.strip(" .,;")


def _apart(match: re.Match[str]) -> str:
    word = match[0]
    greek = word in ("alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "rho", "omega")
    return word if greek or word in _FUNCTIONS else " ".join(word)
