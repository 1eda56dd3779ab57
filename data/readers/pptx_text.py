"""Extract the text of PowerPoint shapes, with formulas, raised characters and list numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lxml import etree

from data.readers.docx_numbering import letters, roman
from data.readers.formulas import subscript, superscript
from data.readers.office import clean_text, formula_text
from data.readers.office_symbols import from_symbol_font
from data.readers.omml import latex_of
from data.readers.xml import local_name

__all__ = ["body_text", "plain_text"]

_INVISIBLE = frozenset({"pPr", "rPr", "endParaRPr", "Fallback"})
_BULLETS = frozenset({"buNone", "buChar", "buBlip", "buAutoNum"})
_SCHEME = re.compile(
    r"(arabic|alphaLc|alphaUc|romanLc|romanUc)?.*?(Period|ParenR|ParenBoth|Plain)?"
)
_COUNTERS = {
    "alphaLc": letters,
    "alphaUc": lambda number: letters(number).upper(),
    "romanLc": roman,
    "romanUc": lambda number: roman(number).upper(),
}
_FRAMES = {"Period": "{}.", "ParenR": "{})", "ParenBoth": "({})", "Plain": "{}"}


def body_text(body: etree._Element | None) -> str:
    """Return the text of a text body, one line for each paragraph, numbered as on the slide."""
    if body is None:
        return ""
    numbers = _Numbers(body.find("{*}lstStyle"))
    lines: list[str] = []
    for paragraph in body.iterfind("{*}p"):
        text = clean_text(_text(paragraph))
        if text:
            label = numbers.label(paragraph)
            lines.append(f"{label} {text}" if label else text)
    return "\n".join(lines)


def plain_text(body: etree._Element | None) -> str:
    """Return the text of a text body on one line."""
    return " ".join(body_text(body).split())


@dataclass
class _Numbers:
    """The numbers of a text body's lists, which PowerPoint counts level by level."""

    defaults: etree._Element | None
    counts: dict[int, tuple[str, int]] = field(default_factory=dict)  # scheme and number by level

    def label(self, paragraph: etree._Element) -> str:
        """Return the next number of a paragraph's list; '' if it has none."""
        properties = paragraph.find("{*}pPr")
        level = int(properties.get("lvl") or 0) if properties is not None else 0
        self.counts = {depth: c for depth, c in self.counts.items() if depth <= level}
        bullet = self._bullet(properties, level)
        if bullet is None or local_name(bullet) != "buAutoNum":
            self.counts.pop(level, None)
            return ""
        scheme, start = bullet.get("type") or "", int(bullet.get("startAt") or 1)
        previous = self.counts.get(level)
        number = previous[1] + 1 if previous and previous[0] == scheme else start
        self.counts[level] = (scheme, number)
        match = _SCHEME.fullmatch(scheme)
        counter = _COUNTERS.get(match[1] or "", str) if match else str
        return _FRAMES.get((match[2] if match else "") or "", "{}.").format(counter(number))

    def _bullet(self, properties: etree._Element | None, level: int) -> etree._Element | None:
        inherited = (
            self.defaults.find(f"{{*}}lvl{level + 1}pPr") if self.defaults is not None else None
        )
        for source in (properties, inherited):
            for child in source if source is not None else ():
                if local_name(child) in _BULLETS:
                    return child
        return None


def _text(element: etree._Element) -> str:
    name = local_name(element)
    if name in _INVISIBLE:
        return ""
    if name == "t":
        return element.text or ""
    if name == "br":
        return "\v"
    if name == "oMathPara":
        latex = " ".join(latex_of(f) for f in element if local_name(f) == "oMath")
        return formula_text(latex, display=True)
    if name == "oMath":
        return formula_text(latex_of(element))
    text = "".join(_text(child) for child in element)
    return _styled(text, element.find("{*}rPr")) if name in ("r", "fld") else text


def _styled(text: str, properties: etree._Element | None) -> str:
    """Return a run's text with raised and lowered characters marked, and symbols in Unicode."""
    latin = properties.find("{*}latin") if properties is not None else None
    symbols = properties.find("{*}sym") if properties is not None else None
    text = from_symbol_font(
        text,
        latin.get("typeface") if latin is not None else None,
        (symbols.get("typeface") if symbols is not None else None) or "Symbol",
    )
    baseline = (properties.get("baseline") or "0" if properties is not None else "0").rstrip("%")
    if baseline.startswith("-"):
        return subscript(text)
    return superscript(text) if baseline.strip("0.") else text
