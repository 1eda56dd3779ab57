"""Convert presentation MathML to LaTeX for reading, searching and typesetting.

The LaTeX is spaced as a person would write it, so that a search splits it into the same words:
numbers that MathML splits are joined, only infix operators have spaces around them, and
neighbouring variables stay together (`pV = nRT`). No input raises an error: an unknown element
is replaced by its contents.

We tried the library `mathml-to-latex` 1.0.0 on 400 formulas from ten books. It splits `2.00` into
`2 . \\text{00}`, writes every bracket as `\\left(\\right.`, loses spaces in text, leaves functions
as letters (`log`), attaches prescripts to nothing and writes tables without an environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from data.readers.mathml_join import join_fragments
from data.readers.mathml_symbols import ACCENTS, LABELLED_ARROWS, LARGE_OPERATORS, UNDER_ACCENTS
from data.readers.mathml_tokens import SPACE, Fragment, symbol_fragments, text_fragments

__all__ = ["to_latex"]

_GROUP_ELEMENTS = frozenset({"math", "mrow", "mstyle", "mpadded", "merror", "mtd"})
_SKIPPED_ELEMENTS = frozenset({"mphantom", "mprescripts", "none", "annotation", "annotation-xml"})
_NO_SPACE = re.compile(r"\s*(?:-|0*\.?0*[a-z]*$)")
_ATOM = re.compile(r".|[0-9.,]+|\\[A-Za-z]+|\\[A-Za-z]+\{[^{}]*\}", re.DOTALL)
_ADJACENT_TEXT = re.compile(r"(\\text\{[^{}]*)\}\\text\{")
# MathML writes the charge in SO_4^{2-} as a superscript of an empty base
_EMPTY_BASE_AFTER_SUBSCRIPT = re.compile(r"(_(?:\w|\{[^{}]*\}))\{\}\^")


def to_latex(math: etree._Element) -> str:
    """Return the LaTeX of a `math` element, without delimiters; '' if it is empty.

    The element may have any namespace prefix, or none.
    """
    latex = _ADJACENT_TEXT.sub(r"\1", _row(math))
    return _EMPTY_BASE_AFTER_SUBSCRIPT.sub(r"\1^", latex)


def _local_name(element: etree._Element) -> str:
    """Return an element's name without namespace and, in HTML, without prefix."""
    return str(element.tag).rpartition("}")[2].rpartition(":")[2]


def _children(element: etree._Element) -> list[etree._Element]:
    return [child for child in element if isinstance(child.tag, str)]


def _row(element: etree._Element) -> str:
    return join_fragments(_row_fragments(element))


def _row_fragments(element: etree._Element) -> Iterator[Fragment]:
    """Yield the fragments of an element's text and children; groups are flattened."""
    if element.text and element.text.strip():
        yield from text_fragments(element.text)
    for child in _children(element):
        yield from _fragments(child)
        if child.tail and child.tail.strip():
            yield from text_fragments(child.tail)


def _fragments(element: etree._Element) -> Iterator[Fragment]:
    name = _local_name(element)
    if name in _SKIPPED_ELEMENTS:
        return
    if name in _GROUP_ELEMENTS:
        yield from (
            _styled_fragments(element) if "bold" in _variant(element) else _row_fragments(element)
        )
    elif name in ("mi", "mn", "mo", "mtext", "ms", "ci"):
        yield from _token_fragments(element, name)
    elif name == "mspace":
        yield from _space_fragments(element)
    elif name == "mfenced":
        yield from _fenced_fragments(element)
    elif name == "mtable":
        yield Fragment(_table(element), "table")
    elif name == "semantics":
        for child in _children(element)[:1]:
            yield from _fragments(child)
    elif name in _LAYOUTS:
        latex = _LAYOUTS[name](_children(element), element)
        if latex:
            yield Fragment(latex, "infix" if latex.startswith(r"\x") else "atom")
    else:
        yield from _row_fragments(element)


# -- tokens ----------------------------------------------------------------------------------------


def _variant(element: etree._Element) -> str:
    return element.get("mathvariant") or element.get("fontweight") or ""


def _styled_fragments(element: etree._Element) -> Iterator[Fragment]:
    """Yield bold letters, which are vectors, in bold; all other fragments stay plain."""
    fragments = list(_row_fragments(element))
    latex = join_fragments(fragments)
    if re.fullmatch(r"[A-Za-z]|\\text\{[A-Za-z]+\}|\\mathrm\{[A-Za-z]+\}", latex):
        yield Fragment(rf"\mathbf{{{re.sub(r'.*{|}', '', latex)}}}", "atom")
    elif re.fullmatch(r"\\[a-zA-Z]+", latex) and fragments[0].kind == "atom":
        yield Fragment(rf"\boldsymbol{{{latex}}}", "atom")
    else:
        yield from fragments


def _token_fragments(element: etree._Element, name: str) -> Iterator[Fragment]:
    content = "".join(map(str, element.itertext()))
    if name in ("mtext", "ms"):
        fragments = list(text_fragments(content))
    else:
        fragments = list(symbol_fragments(" ".join(content.split())))
    if "bold" in _variant(element) and len(fragments) == 1 and fragments[0].kind == "atom":
        latex = re.sub(r"^\\(?:text|mathrm)\{([A-Za-z]+)\}$", r"\1", fragments[0].latex)
        if re.fullmatch(r"[A-Za-z]+", latex):
            fragments = [Fragment(rf"\mathbf{{{latex}}}", "atom")]
        elif re.fullmatch(r"\\[A-Za-z]+", latex):
            fragments = [Fragment(rf"\boldsymbol{{{latex}}}", "atom")]
    yield from fragments


def _space_fragments(element: etree._Element) -> Iterator[Fragment]:
    width = element.get("width", "")
    if element.get("linebreak") or (width and not _NO_SPACE.match(width)):
        is_narrow = re.match(r"\s*0?\.[0-3]\d*\s*em", width)
        yield Fragment(r"\,", "space") if is_narrow else SPACE


def _fenced_fragments(element: etree._Element) -> Iterator[Fragment]:
    opening = element.get("open", "(").strip()
    closing = element.get("close", ")").strip()
    separators = element.get("separators", ",").strip() or " "
    if opening:
        yield from symbol_fragments(opening)
    for index, child in enumerate(_children(element)):
        if index:
            yield from symbol_fragments(separators[min(index, len(separators)) - 1])
        yield from _fragments(child)
    if closing:
        yield from symbol_fragments(closing)


# -- layouts ---------------------------------------------------------------------------------------


def _argument(children: list[etree._Element], index: int) -> str:
    return join_fragments(_fragments(children[index])) if index < len(children) else ""


def _script(operator: str, latex: str) -> str:
    """Return a script such as `^2` or `_{max}`; primes and degrees stand without `^`."""
    if operator == "^" and latex and not latex.strip("'°"):
        return latex
    if not latex:
        return ""
    is_single = re.fullmatch(r"[A-Za-z0-9]", latex)
    return f"{operator}{latex}" if is_single else f"{operator}{{{latex}}}"


def _braced_base(latex: str) -> str:
    """Put a base into braces if a script would otherwise apply to its last symbol only."""
    if not latex:
        return "{}"
    is_bracketed = latex[0] in "([" and latex[-1] in ")]"
    return latex if is_bracketed or _ATOM.fullmatch(latex) else f"{{{latex}}}"


def _with_scripts(base: str, sub: str, sup: str) -> str:
    if not sub and not sup:
        return base
    if sup == r"\circ":
        sup = "°"
    if sup and not sup.strip("°"):  # a degree sign is a plain character and needs no base
        return (_braced_base(base) + _script("_", sub) if sub else base) + sup
    if sup.startswith("'") and base.endswith("'"):
        base = f"{{{base}}}"
    return _braced_base(base) + _script("_", sub) + _script("^", sup)


def _msub(children: list[etree._Element], _: etree._Element) -> str:
    return _with_scripts(_argument(children, 0), _argument(children, 1), "")


def _msup(children: list[etree._Element], _: etree._Element) -> str:
    return _with_scripts(_argument(children, 0), "", _argument(children, 1))


def _msubsup(children: list[etree._Element], _: etree._Element) -> str:
    return _with_scripts(_argument(children, 0), _argument(children, 1), _argument(children, 2))


def _mover(children: list[etree._Element], _: etree._Element) -> str:
    return _stacked(children, under=-1, over=1)


def _munder(children: list[etree._Element], _: etree._Element) -> str:
    return _stacked(children, under=1, over=-1)


def _munderover(children: list[etree._Element], _: etree._Element) -> str:
    return _stacked(children, under=1, over=2)


def _stacked(children: list[etree._Element], *, under: int, over: int) -> str:
    """Return a base with limits, an accent, an arrow's labels, or expressions above and below.

    `under` and `over` are the indices of the children below and above the base, or -1.
    """
    base = _argument(children, 0)
    below = _argument(children, under) if under > 0 else ""
    above = _argument(children, over) if over > 0 else ""
    if base in LARGE_OPERATORS:
        return _with_scripts(base, below, above)
    if base in LABELLED_ARROWS:
        return LABELLED_ARROWS[base] + (f"[{below}]" if below else "") + f"{{{above}}}"
    accent = _accent_text(children, over)
    if accent in ACCENTS:
        command = ACCENTS[accent]
        wide = {r"\bar": r"\overline", r"\hat": r"\widehat", r"\vec": r"\overrightarrow"}
        if command in wide and not re.fullmatch(r"[^\\]'?|\\[a-zA-Z]+(\{[^{}]\})?", base):
            command = wide[command]
        base, above = f"{command}{{{base}}}", ""
    accent = _accent_text(children, under)
    if accent and (accent in UNDER_ACCENTS or not accent.strip("_")):
        base, below = f"{UNDER_ACCENTS.get(accent, UNDER_ACCENTS['_'])}{{{base}}}", ""
    if base.startswith((r"\overbrace", r"\underbrace")):
        return _with_scripts(base, below, above)
    if above:
        base = rf"\overset{{{above}}}{{{base}}}"
    return rf"\underset{{{below}}}{{{base}}}" if below else base


def _accent_text(children: list[etree._Element], index: int) -> str:
    if not 0 < index < len(children):
        return ""
    return "".join(map(str, children[index].itertext())).strip()


def _mfrac(children: list[etree._Element], element: etree._Element) -> str:
    above, below = _argument(children, 0), _argument(children, 1)
    if re.match(r"0+(?:\.0*)?(?:[a-z]+)?$", element.get("linethickness", "").strip()):
        return rf"{{{above} \atop {below}}}"
    if element.get("bevelled") == "true":
        return f"{_braced_base(above)}/{_braced_base(below)}"
    return rf"\frac{{{above}}}{{{below}}}"


def _msqrt(_: list[etree._Element], element: etree._Element) -> str:
    return rf"\sqrt{{{_row(element)}}}"


def _mroot(children: list[etree._Element], _: etree._Element) -> str:
    index = _argument(children, 1)
    if "]" in index:  # a bare ] would end the optional argument
        index = f"{{{index}}}"
    return rf"\sqrt[{index}]{{{_argument(children, 0)}}}"


_NOTATIONS = {
    "box": r"\boxed",
    "roundedbox": r"\boxed",
    "radical": r"\sqrt",
    "top": r"\overline",
    "bottom": r"\underline",
    "horizontalstrike": r"\cancel",
    "updiagonalstrike": r"\cancel",
    "downdiagonalstrike": r"\bcancel",
}


def _menclose(_: list[etree._Element], element: etree._Element) -> str:
    content = _row(element)
    for notation in element.get("notation", "").split():
        if notation in _NOTATIONS and content:
            content = f"{_NOTATIONS[notation]}{{{content}}}"
    return content


def _mmultiscripts(children: list[etree._Element], _: etree._Element) -> str:
    """Return a base with scripts on both sides.

    The children are the base, pairs (sub, sup) after it, `mprescripts` and pairs before it.
    """
    postscripts: list[str] = []
    prescripts: list[str] = []
    scripts = postscripts
    for child in children[1:]:
        if _local_name(child) == "mprescripts":
            scripts = prescripts
        else:
            scripts.append(join_fragments(_fragments(child)))
    latex = _argument(children, 0)
    for index in range(0, len(postscripts), 2):
        sub, sup = postscripts[index], "".join(postscripts[index + 1 : index + 2])
        latex = _with_scripts(latex, sub, sup)
    for index in range(0, len(prescripts), 2):
        sub, sup = prescripts[index], "".join(prescripts[index + 1 : index + 2])
        latex = _with_scripts("", sub, sup) + latex
    return latex


def _table(element: etree._Element) -> str:
    rows = [
        [_row(cell) for cell in _children(row)] if _local_name(row) == "mtr" else [_row(row)]
        for row in _children(element)
    ]
    if len(rows) == 1 and len(rows[0]) == 1:
        return rows[0][0]
    lines = r" \\ ".join(" & ".join(cells).strip() for cells in rows if any(cells))
    return rf"\begin{{aligned}}{lines}\end{{aligned}}"


_LAYOUTS = {
    "msub": _msub,
    "msup": _msup,
    "msubsup": _msubsup,
    "mover": _mover,
    "munder": _munder,
    "munderover": _munderover,
    "mfrac": _mfrac,
    "msqrt": _msqrt,
    "mroot": _mroot,
    "menclose": _menclose,
    "mmultiscripts": _mmultiscripts,
}
