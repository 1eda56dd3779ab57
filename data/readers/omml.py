"""Convert Office formulas (OMML) to LaTeX, by way of equivalent MathML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from data.readers.mathml import to_latex
from data.readers.mathml_symbols import FUNCTIONS
from data.readers.xml import local_name

__all__ = ["latex_of"]

_TOKENS = re.compile(r"\d+(?:[.,]\d+)*|[A-Za-z]+|[^\W\d_]|\s+|.", re.DOTALL)
_LAYOUTS = {  # the MathML element of each OMML element, and its arguments in MathML's order
    "sSup": ("msup", ("e", "sup")),
    "sSub": ("msub", ("e", "sub")),
    "sSubSup": ("msubsup", ("e", "sub", "sup")),
    "limLow": ("munder", ("e", "lim")),
    "limUpp": ("mover", ("e", "lim")),
}
_FRACTIONS = {"noBar": {"linethickness": "0"}, "lin": {"bevelled": "true"}}
_FRACTIONS["skw"] = _FRACTIONS["lin"]
_SCRIPTS = {"^": "msup", "_": "msub"}  # typed as they are, before Word builds the formula up
_TYPED_FUNCTIONS = FUNCTIONS - {"Pr"}  # these letters are rather the product of two variables
# OMML writes accents as combining characters, MathML as separate characters.
_SEPARATE_ACCENTS = dict(
    zip(
        "\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u030a\u030c\u20d1\u20d7",
        "`´^~¯¯˘˙¨˚ˇ⇀→",
        strict=True,
    )
)
_DEFAULT_SIGNS = {"nary": "∫", "acc": "\u0302", "groupChr": "⏟"}
_YES = ("1", "on", "true", "")


def latex_of(formula: etree._Element) -> str:
    """Return the LaTeX of an `m:oMath` element, without delimiters; '' if it is empty."""
    return to_latex(_group("math", formula))


def _group(tag: str, element: etree._Element | None) -> etree._Element:
    """Return a MathML element `tag` with the converted children of an OMML element."""
    group = etree.Element(tag)
    children = element if element is not None else ()
    group.extend(_with_typed_scripts([e for child in children for e in _convert(child)]))
    return group


def _child(element: etree._Element, name: str) -> etree._Element | None:
    return next((c for c in element if local_name(c) == name), None)


def _setting(element: etree._Element, name: str) -> str | None:
    """Return the value of a property such as `chr` from the element's property group."""
    properties = next((c for c in element if local_name(c).endswith("Pr")), None)
    setting = _child(properties, name) if properties is not None else None
    return _value(setting) if setting is not None else None


def _value(setting: etree._Element) -> str:
    return next((str(v) for k, v in setting.attrib.items() if str(k).endswith("val")), "")


def _leaf(tag: str, text: str) -> etree._Element:
    leaf = etree.Element(tag)
    leaf.text = text
    return leaf


def _compound(tag: str, *children: etree._Element) -> etree._Element:
    compound = etree.Element(tag)
    compound.extend(children)
    return compound


def _convert(element: etree._Element) -> Iterator[etree._Element]:
    """Yield the MathML elements of one OMML element."""
    name = local_name(element)
    if name.endswith("Pr"):
        return
    if name in _LAYOUTS:
        tag, arguments = _LAYOUTS[name]
        yield _compound(tag, *(_group("mrow", _child(element, a)) for a in arguments))
    elif name == "f":
        fraction = _compound("mfrac", *(_group("mrow", _child(element, a)) for a in ("num", "den")))
        fraction.attrib.update(_FRACTIONS.get(_setting(element, "type") or "", {}))
        yield fraction
    elif name == "r":
        yield from _run(element)
    elif name == "fName":
        yield from _function_name(element)
    elif name == "rad":
        body, degree = _group("mrow", _child(element, "e")), _group("mrow", _child(element, "deg"))
        yield _compound("mroot", body, degree) if len(degree) else _compound("msqrt", body)
    elif name == "nary":
        yield _nary(element)
        yield _group("mrow", _child(element, "e"))
    elif name == "d":
        yield _delimited(element)
    elif name == "m":
        rows = (r for r in element if local_name(r) == "mr")
        yield _compound("mtable", *(_row(r) for r in rows))
    elif name == "eqArr":
        lines = (e for e in element if local_name(e) == "e")
        yield _compound("mtable", *(_compound("mtr", _group("mtd", e)) for e in lines))
    elif name in ("acc", "groupChr", "bar"):
        yield _accented(element, name)
    elif name == "sPre":
        base, sub, sup = (_group("mrow", _child(element, a)) for a in ("e", "sub", "sup"))
        yield _compound("mmultiscripts", base, etree.Element("mprescripts"), sub, sup)
    elif name == "borderBox":
        box = _group("menclose", _child(element, "e"))
        box.set("notation", "box")
        yield box
    elif name == "phant" and _setting(element, "show") in ("0", "off", "false"):
        return
    else:  # runs, functions, boxes and unknown elements: convert their children
        for child in element:
            yield from _convert(child)


def _run(run: etree._Element) -> Iterator[etree._Element]:
    """Convert a run; one that Word sets upright as normal text keeps its spaces."""
    text = "".join(t.text or "" for t in run.iterfind("{*}t"))
    properties = _child(run, "rPr")
    normal = _child(properties, "nor") if properties is not None else None
    if normal is not None and _value(normal) in _YES and len(text.strip()) > 1:
        yield _leaf("mtext", text)
    else:
        yield from _tokens(text, whole_words=_setting(run, "sty") == "p")


def _function_name(name: etree._Element) -> Iterator[etree._Element]:
    """Convert the name of a function: its letters are one word, whatever runs they stand in."""
    if all(local_name(child) in ("r", "ctrlPr") for child in name):
        yield from _tokens("".join(map(str, name.itertext())), whole_words=True)
        return
    for child in name:  # `lim` with what stands below it
        for element in child.iter("{*}r"):
            style = etree.SubElement(etree.SubElement(element, "rPr"), "sty")
            style.set("val", "p")
        yield from _convert(child)


def _tokens(text: str, whole_words: bool) -> Iterator[etree._Element]:
    """Yield numbers, variables and operators. Letters are variables unless they name a function."""
    for token in _TOKENS.findall(text):
        if token[0].isdigit():
            yield _leaf("mn", token)
        elif len(token) > 1 and token.isalpha() and (whole_words or token in _TYPED_FUNCTIONS):
            yield _leaf("mi", token)
        elif token.isalpha():
            yield from (_leaf("mi", letter) for letter in token)
        else:
            yield _leaf("mtext" if token.isspace() else "mo", token)


def _with_typed_scripts(tokens: list[etree._Element]) -> list[etree._Element]:
    """Turn `x ^ 2` and `v _ 0` into scripts."""
    built: list[etree._Element] = []
    while tokens:
        token = tokens.pop(0)
        script = _SCRIPTS.get(token.text or "") if token.tag == "mo" else None
        if script and built and tokens and "mo" not in (built[-1].tag, tokens[0].tag):
            token = _compound(script, built.pop(), tokens.pop(0))
        built.append(token)
    return built


def _nary(element: etree._Element) -> etree._Element:
    sign = _leaf("mo", _setting(element, "chr") or _DEFAULT_SIGNS["nary"])
    below, above = (
        _group("mrow", None if _is_hidden(element, limit) else _child(element, limit))
        for limit in ("sub", "sup")
    )
    if len(below) and len(above):
        return _compound("munderover", sign, below, above)
    if len(below):
        return _compound("munder", sign, below)
    return _compound("mover", sign, above) if len(above) else sign


def _is_hidden(nary: etree._Element, limit: str) -> bool:
    return (_setting(nary, f"{limit}Hide") or "0") in ("1", "on", "true")


def _delimited(element: etree._Element) -> etree._Element:
    """Convert a bracketed list. No setting means a round bracket, an empty one no bracket."""
    opening, closing = _setting(element, "begChr"), _setting(element, "endChr")
    separator = _setting(element, "sepChr")
    row = etree.Element("mrow")
    if opening != "":
        row.append(_leaf("mo", opening or "("))
    for count, child in enumerate(e for e in element if local_name(e) == "e"):
        if count:
            row.append(_leaf("mo", separator or "|"))
        row.append(_group("mrow", child))
    if closing != "":
        row.append(_leaf("mo", closing or ")"))
    return row


def _row(row: etree._Element) -> etree._Element:
    return _compound("mtr", *(_group("mtd", e) for e in row if local_name(e) == "e"))


def _accented(element: etree._Element, name: str) -> etree._Element:
    body = _group("mrow", _child(element, "e"))
    if name == "bar":
        is_below = _setting(element, "pos") == "bot"
        tag, sign = ("munder", "_") if is_below else ("mover", "¯")
        return _compound(tag, body, _leaf("mo", sign))
    sign = _setting(element, "chr") or _DEFAULT_SIGNS[name]
    is_above = name == "acc" or _setting(element, "pos") == "top"
    tag = "mover" if is_above else "munder"
    return _compound(tag, body, _leaf("mo", _SEPARATE_ACCENTS.get(sign, sign)))
