"""Presentation MathML to LaTeX, for reading, searching and typesetting.

Our own, because the one library that converts this way, `mathml-to-latex` 1.0.0 (MIT), is fast
enough (2,500 formulas/s) but wrong on text like ours: of 400 formulas drawn from ten books it split
`2.00` into `2 . \\text{00}`, wrote every bracket as `\\left(\\right.`, lost the spaces inside text,
left functions as letters (`log`), put prescripts on nothing and tables outside any environment.

Numbers that MathML cuts into pieces are joined again, spaces stand around infix operators only, and
variables that stand together stay together (`pV = nRT`), so that a formula reads, and is split into
words, as a person would write it. Nothing raises: an unknown element gives its contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from data.readers.mathml_symbols import (
    ACCENTS,
    ARROWS,
    FUNCTIONS,
    LARGE,
    UNDER_ACCENTS,
)
from data.readers.mathml_tokens import CLOSES, SPACE, Part, symbol_parts, text_parts

__all__ = ["to_latex"]


_GROUPS = frozenset({"math", "mrow", "mstyle", "mpadded", "merror", "mtd"})
_SKIPPED = frozenset({"mphantom", "mprescripts", "none", "annotation", "annotation-xml"})
_TALL = re.compile(r"\\(?:frac|begin|sum|prod|i*int)\b")
_WORD_END = re.compile(r"\\[A-Za-z]+$")
_NO_WIDTH = re.compile(r"\s*(?:-|0*\.?0*[a-z]*$)")
_ATOM = re.compile(r".|[0-9.,]+|\\[A-Za-z]+|\\[A-Za-z]+\{[^{}]*\}", re.DOTALL)
_ADJACENT_TEXT = re.compile(r"(\\text\{[^{}]*)\}\\text\{")
_EMPTY_BASE = re.compile(r"(_(?:\w|\{[^{}]*\}))\{\}\^")  # the charge of SO_4^{2-} stands alone
_FUNCTION_ENDS = tuple("\\" + name for name in FUNCTIONS)
_SIGNS = frozenset(("+", "-", r"\pm", r"\mp"))


def to_latex(math: etree._Element) -> str:
    """The LaTeX of a `math` element (any prefix or none), without delimiters; '' if it is empty."""
    latex = _ADJACENT_TEXT.sub(r"\1", _row(math))
    return _EMPTY_BASE.sub(r"\1^", latex)


def _name(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2].rpartition(":")[2]


def _children(element: etree._Element) -> list[etree._Element]:
    return [child for child in element if isinstance(child.tag, str)]


def _row(element: etree._Element) -> str:
    return _join(list(_contents(element)))


def _contents(element: etree._Element) -> Iterator[Part]:
    """The parts of a row, those of the groups inside it among them."""
    if element.text and element.text.strip():
        yield from text_parts(element.text)
    for child in _children(element):
        yield from _parts(child)
        if child.tail and child.tail.strip():
            yield from text_parts(child.tail)


def _parts(element: etree._Element) -> Iterator[Part]:
    name = _name(element)
    if name in _SKIPPED:
        return
    if name in _GROUPS:
        yield from _styled(element) if "bold" in _variant(element) else _contents(element)
    elif name in ("mi", "mn", "mo", "mtext", "ms", "ci"):
        yield from _token(element, name)
    elif name == "mspace":
        yield from _space(element)
    elif name == "mfenced":
        yield from _fenced(element)
    elif name == "mtable":
        yield Part(_table(element), "table")
    elif name == "semantics":
        for child in _children(element)[:1]:
            yield from _parts(child)
    elif name in _LAYOUTS:
        latex = _LAYOUTS[name](_children(element), element)
        if latex:
            yield Part(latex, "infix" if latex.startswith(r"\x") else "atom")
    else:
        yield from _contents(element)


# -- tokens ----------------------------------------------------------------------------------------


def _variant(element: etree._Element) -> str:
    return element.get("mathvariant") or element.get("fontweight") or ""


def _styled(element: etree._Element) -> Iterator[Part]:
    """Bold letters are vectors: say so. Operators, numbers and longer expressions stay plain."""
    parts = list(_contents(element))
    latex = _join(parts)
    if re.fullmatch(r"[A-Za-z]|\\text\{[A-Za-z]+\}|\\mathrm\{[A-Za-z]+\}", latex):
        yield Part(rf"\mathbf{{{re.sub(r'.*{|}', '', latex)}}}", "atom")
    elif re.fullmatch(r"\\[a-zA-Z]+", latex) and parts[0].kind == "atom":
        yield Part(rf"\boldsymbol{{{latex}}}", "atom")
    else:
        yield from parts


def _token(element: etree._Element, name: str) -> Iterator[Part]:
    content = "".join(map(str, element.itertext()))
    if name in ("mtext", "ms"):
        parts = list(text_parts(content))
    else:
        parts = list(symbol_parts(" ".join(content.split())))
    if "bold" in _variant(element) and len(parts) == 1 and parts[0].kind == "atom":
        latex = re.sub(r"^\\(?:text|mathrm)\{([A-Za-z]+)\}$", r"\1", parts[0].latex)
        if re.fullmatch(r"[A-Za-z]+", latex):
            parts = [Part(rf"\mathbf{{{latex}}}", "atom")]
        elif re.fullmatch(r"\\[A-Za-z]+", latex):
            parts = [Part(rf"\boldsymbol{{{latex}}}", "atom")]
    yield from parts


def _space(element: etree._Element) -> Iterator[Part]:
    width = element.get("width", "")
    if element.get("linebreak") or (width and not _NO_WIDTH.match(width)):
        narrow = re.match(r"\s*0?\.[0-3]\d*\s*em", width)
        yield Part(r"\,", "space") if narrow else SPACE


# -- rows ------------------------------------------------------------------------------------------


def _join(parts: list[Part]) -> str:
    parts = [part for part in parts if part.latex]
    _stretch(parts)
    out = ""
    before: Part | None = None  # the part that is not a space
    space = ""
    for index, (latex, kind) in enumerate(parts):
        if kind == "space":
            space = max(space, latex, key=len) if out else ""
            continue
        if kind == "infix":
            prefix = before is None or before.kind in ("infix", "open", "comma")
            if latex in _SIGNS and (index + 1 == len(parts) or prefix):  # or an ion's charge
                lead = " " if before is not None and before.kind in ("infix", "comma") else ""
                out = out.rstrip() + lead + latex
            else:
                out = out.rstrip() + f" {latex} "
        elif kind in ("comma", "close"):
            out = out.rstrip() + latex
            if kind == "comma" and not _thousands(parts, index):
                out += " "
        else:
            spaced = before is None or before.kind in ("infix", "comma", "open")
            # after an operator or a function, and before text, the space is there already
            spaced = spaced or latex.startswith(r"\text{ ") or out.endswith(_FUNCTION_ENDS)
            out = _glue(out if spaced else out + space, latex)
        space = ""
        before = Part(latex, kind)
    return out.strip()


def _glue(left: str, right: str) -> str:
    """A control word must not run into the letters that follow it."""
    return f"{left} {right}" if right[:1].isalpha() and _WORD_END.search(left) else left + right


def _thousands(parts: list[Part], index: int) -> bool:
    around = parts[max(index - 1, 0) : index + 2]
    return (
        len(around) == 3
        and around[0].kind == around[2].kind == "number"
        and len(around[2].latex.partition(".")[0]) == 3
        and parts[index].latex == ","
    )


def _stretch(parts: list[Part]) -> None:
    """Give matching brackets around something tall `\\left` and `\\right`; name lone cases."""
    opened: list[int] = []
    for index, (latex, kind) in enumerate(parts):
        if kind == "open":
            opened.append(index)
        elif kind == "close" and opened:
            start = opened.pop()
            inside = parts[start + 1 : index]
            if CLOSES[parts[start].latex] == latex and any(
                _TALL.search(part.latex) for part in inside
            ):
                table = [part for part in inside if part.kind != "space"]
                if len(table) == 1 and table[0].kind == "table":
                    position = parts.index(table[0], start)
                    parts[position] = Part(_environment(table[0].latex, "matrix"), "table")
                parts[start] = Part(rf"\left{parts[start].latex}", "open")
                parts[index] = Part(rf"\right{latex}", "close")
    for start in opened:
        follower = parts[start + 1] if start + 1 < len(parts) else parts[start]
        if parts[start].latex == r"\{" and follower.kind == "table":
            parts[start] = Part("", "open")
            parts[start + 1] = Part(_environment(follower.latex, "cases"), "table")


def _environment(table: str, name: str) -> str:
    return table.replace("{aligned}", f"{{{name}}}")


def _fenced(element: etree._Element) -> Iterator[Part]:
    opening = element.get("open", "(").strip()
    closing = element.get("close", ")").strip()
    separators = element.get("separators", ",").strip() or " "
    if opening:
        yield from symbol_parts(opening)
    for index, child in enumerate(_children(element)):
        if index:
            yield from symbol_parts(separators[min(index, len(separators)) - 1])
        yield from _parts(child)
    if closing:
        yield from symbol_parts(closing)


# -- layouts ---------------------------------------------------------------------------------------


def _argument(parts: list[etree._Element], index: int) -> str:
    return _join(list(_parts(parts[index]))) if index < len(parts) else ""


def _script(mark: str, latex: str) -> str:
    """`^2`, `_{max}`; primes and degrees take no mark; nothing for an empty script."""
    if mark == "^" and latex and not latex.strip("'°"):
        return latex
    if not latex:
        return ""
    return f"{mark}{latex}" if re.fullmatch(r"[A-Za-z0-9]", latex) else f"{mark}{{{latex}}}"


def _base(latex: str) -> str:
    """Braces where a script would bind to the last symbol only, or meet another script."""
    if not latex:
        return "{}"
    bracketed = latex[0] in "([" and latex[-1] in ")]"
    return latex if bracketed or _ATOM.fullmatch(latex) else f"{{{latex}}}"


def _scripts(base: str, sub: str, sup: str) -> str:
    if not sub and not sup:
        return base
    if sup == r"\circ":
        sup = "°"
    if sup and not sup.strip("°"):  # a plain character, which needs no base
        return (_base(base) + _script("_", sub) if sub else base) + sup
    if sup.startswith("'") and base.endswith("'"):
        base = f"{{{base}}}"
    return _base(base) + _script("_", sub) + _script("^", sup)


def _msub(parts: list[etree._Element], _: etree._Element) -> str:
    return _scripts(_argument(parts, 0), _argument(parts, 1), "")


def _msup(parts: list[etree._Element], _: etree._Element) -> str:
    return _scripts(_argument(parts, 0), "", _argument(parts, 1))


def _msubsup(parts: list[etree._Element], _: etree._Element) -> str:
    return _scripts(_argument(parts, 0), _argument(parts, 1), _argument(parts, 2))


def _mover(parts: list[etree._Element], _: etree._Element) -> str:
    return _stacked(parts, under=-1, over=1)


def _munder(parts: list[etree._Element], _: etree._Element) -> str:
    return _stacked(parts, under=1, over=-1)


def _munderover(parts: list[etree._Element], _: etree._Element) -> str:
    return _stacked(parts, under=1, over=2)


def _stacked(parts: list[etree._Element], *, under: int, over: int) -> str:
    """Limits, accents, labelled arrows, or one expression set above or below another."""
    base = _argument(parts, 0)
    below = _argument(parts, under) if under > 0 else ""
    above = _argument(parts, over) if over > 0 else ""
    if base in LARGE:
        return _scripts(base, below, above)
    if base in ARROWS:
        return ARROWS[base] + (f"[{below}]" if below else "") + f"{{{above}}}"
    accent = _mark(parts, over)
    if accent in ACCENTS:
        command = ACCENTS[accent]
        wide = {r"\bar": r"\overline", r"\hat": r"\widehat", r"\vec": r"\overrightarrow"}
        if command in wide and not re.fullmatch(r"[^\\]'?|\\[a-zA-Z]+(\{[^{}]\})?", base):
            command = wide[command]
        base, above = f"{command}{{{base}}}", ""
    accent = _mark(parts, under)
    if accent and (accent in UNDER_ACCENTS or not accent.strip("_")):
        base, below = f"{UNDER_ACCENTS.get(accent, UNDER_ACCENTS['_'])}{{{base}}}", ""
    if base.startswith((r"\overbrace", r"\underbrace")):
        return _scripts(base, below, above)
    if above:
        base = rf"\overset{{{above}}}{{{base}}}"
    return rf"\underset{{{below}}}{{{base}}}" if below else base


def _mark(parts: list[etree._Element], index: int) -> str:
    return "".join(map(str, parts[index].itertext())).strip() if 0 < index < len(parts) else ""


def _mfrac(parts: list[etree._Element], element: etree._Element) -> str:
    above, below = _argument(parts, 0), _argument(parts, 1)
    if re.match(r"0+(?:\.0*)?(?:[a-z]+)?$", element.get("linethickness", "").strip()):
        return rf"{{{above} \atop {below}}}"
    if element.get("bevelled") == "true":
        return f"{_base(above)}/{_base(below)}"
    return rf"\frac{{{above}}}{{{below}}}"


def _msqrt(_: list[etree._Element], element: etree._Element) -> str:
    return rf"\sqrt{{{_row(element)}}}"


def _mroot(parts: list[etree._Element], _: etree._Element) -> str:
    index = _argument(parts, 1)
    if "]" in index:  # which would end it
        index = f"{{{index}}}"
    return rf"\sqrt[{index}]{{{_argument(parts, 0)}}}"


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
    inside = _row(element)
    for notation in element.get("notation", "").split():
        if notation in _NOTATIONS and inside:
            inside = f"{_NOTATIONS[notation]}{{{inside}}}"
    return inside


def _mmultiscripts(parts: list[etree._Element], _: etree._Element) -> str:
    """Scripts after the base come first in pairs (sub, sup), those before it follow the mark."""
    after: list[str] = []
    before: list[str] = []
    scripts = after
    for child in parts[1:]:
        if _name(child) == "mprescripts":
            scripts = before
        else:
            scripts.append(_join(list(_parts(child))))
    base = _argument(parts, 0)
    for index in range(0, len(after), 2):
        base = _scripts(base, after[index], "".join(after[index + 1 : index + 2]))
    for index in range(0, len(before), 2):
        lead = _scripts("", before[index], "".join(before[index + 1 : index + 2]))
        base = lead + base
    return base


def _table(element: etree._Element) -> str:
    rows = [
        [_row(cell) for cell in _children(row)] if _name(row) == "mtr" else [_row(row)]
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
