"""Compare formulas as mathematics with SymPy: `F/m` equals `\\frac{F}{m}`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from generation.quantities import quantities

__all__ = ["results", "same"]

_EQUALS_SIGN = re.compile(r"[=≈]")
_FORMULA = re.compile(
    r"\\\((.*?)\\\)|\\\[(.*?)\\\]|\$([^$]+)\$|([A-Za-z]\w*\s*=[^,;\n]+?)(?=[.,;]?(?:\s[a-z]{2,}|\s*$))",
    re.DOTALL,
)
_MAX_CHARACTERS = 80  # longest expression; results are short
# SymPy's parser evaluates its input, so only characters of formulas may reach it.
_ALLOWED = re.compile(r"[A-Za-z0-9_+\-*/().\s]+")
# Dunder names, and powers too large to compute.
_FORBIDDEN = re.compile(r"__|\*\*[^+\-/]*\*\*|\*\*\s*\(?-?\d{3}|\d{12}")
_NAME = re.compile(r"[A-Za-z]\w*")
_GREEK_LETTERS = ("alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "rho", "omega")
_FUNCTIONS = ("sqrt", "sin", "cos", "tan", "exp", "log", "ln", "pi")


def results(text: str) -> list[Any]:
    """Return the right sides of the equations of a text as SymPy expressions.

    Right sides without a name and plain quantities such as `14 m/s` are left out.
    """
    expressions = []
    for match in _FORMULA.finditer(text):
        formula = next(group for group in match.groups() if group)
        *left, right = _EQUALS_SIGN.split(formula)
        expression = _parsed(right) if left and not _is_quantity(right) else None
        if expression is not None and expression.free_symbols:
            expressions.append(expression)
    return expressions


def same(a: Any, b: Any) -> bool:
    """Return whether two expressions are equal for all values of their names."""
    return a.free_symbols == b.free_symbols and bool(a.equals(b))


def _is_quantity(right: str) -> bool:
    """Return whether all letters belong to a unit."""
    letters = re.findall(r"[A-Za-z]", re.sub(r"\\[a-zA-Z]+", "", right))
    return any(q.unit and len(letters) <= len(q.unit) for q in quantities(right))


@lru_cache(maxsize=1024)
def _parsed(formula: str) -> Any:
    """Return a formula as a SymPy expression, None if it cannot be read."""
    import sympy
    from sympy.parsing.sympy_parser import (
        implicit_multiplication,
        parse_expr,
        standard_transformations,
    )

    plain = _without_latex(formula)
    if not _ALLOWED.fullmatch(plain) or len(plain) > _MAX_CHARACTERS or _FORBIDDEN.search(plain):
        return None
    functions = {name: getattr(sympy, name) for name in _FUNCTIONS}
    symbols = {
        name: sympy.Symbol(name, positive=True)
        for name in _NAME.findall(plain)
        if name not in functions
    }
    try:
        return parse_expr(
            plain,
            local_dict=functions | symbols,
            global_dict={"Integer": sympy.Integer, "Float": sympy.Float},
            transformations=(*standard_transformations, implicit_multiplication),
        )
    except Exception:  # noqa: BLE001 - the parser raises anything for text that is no formula
        return None


def _without_latex(formula: str) -> str:
    """Return a formula in Python's notation."""
    text = re.sub(r"\\(?:left|right|,|;|:|!| )|\\(?:text|mathrm)\{[^{}]*\}", " ", formula)
    text = re.sub(r"_\{(\w+)\}", r"_\1", text)
    for _ in range(4):  # nested fractions, from the inside
        text = re.sub(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", text)
        text = re.sub(r"\\sqrt\{([^{}]*)\}", r" sqrt(\1)", text)
        text = re.sub(r"\^\{([^{}]*)\}", r"**(\1)", text)
    text = re.sub(r"\\(?:cdot|times)\b|[·×]", "*", text).replace("−", "-")
    text = re.sub(r"\\([a-zA-Z]+)", r" \1 ", text).replace("^", "**")
    text = re.sub(r"[A-Za-z]+(?![\w(])", _spaced, text)
    return text.strip(" .,;")


def _spaced(match: re.Match[str]) -> str:
    """Put a space between names of one letter: `mgh` is `m g h`."""
    word = match[0]
    return word if word in _GREEK_LETTERS or word in _FUNCTIONS else " ".join(word)
