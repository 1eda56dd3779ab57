"""Extract the text that Word shows in a paragraph, without deleted words and field codes."""

from __future__ import annotations

from collections.abc import Iterator

from docx.oxml.ns import qn
from lxml import etree

from data.readers.docx_styles import value_of
from data.readers.formulas import subscript, superscript
from data.readers.office import clean_text, formula_text
from data.readers.office_symbols import from_symbol_font, symbol
from data.readers.omml import latex_of
from data.readers.xml import local_name

__all__ = ["note_references", "text_of"]

_INVISIBLE_NAMES = (
    "del moveFrom instrText delText pPr rPr drawing pict object txbxContent rt rubyPr fldData"
)
_INVISIBLE = frozenset(_INVISIBLE_NAMES.split())
_CHARACTERS = {"br": "\v", "cr": "\v", "tab": "\t", "ptab": "\t", "noBreakHyphen": "-"}
_RAISED_HALF_POINTS = 4  # a smaller shift only aligns the run


def text_of(paragraph: etree._Element) -> str:
    """Return a paragraph's text; formulas stand in `\\(…\\)` or `\\[…\\]`."""
    return clean_text(_text(paragraph))


def note_references(paragraph: etree._Element) -> Iterator[tuple[str, str]]:
    """Yield the kind ("footnotes" or "endnotes") and the id of each note that is referred to."""
    for mark in paragraph.iter(qn("w:footnoteReference"), qn("w:endnoteReference")):
        yield local_name(mark).replace("Reference", "s"), mark.get(qn("w:id")) or ""


def _text(element: etree._Element) -> str:
    name = local_name(element)
    if name in _INVISIBLE:
        return ""
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if name == "t":
        return element.text or ""
    if name == "sym":
        code = element.get(qn("w:char")) or ""
        return symbol(element.get(qn("w:font")) or "", int(code, 16)) if code else ""
    if name == "oMathPara":
        latex = " ".join(latex_of(f) for f in element if local_name(f) == "oMath")
        return formula_text(latex, display=True)
    if name == "oMath":
        return formula_text(latex_of(element))
    text = "".join(_text(child) for child in element)
    return _styled(text, element.find("{*}rPr")) if name == "r" else text


def _styled(text: str, properties: etree._Element | None) -> str:
    """Return a run's text with raised and lowered characters marked, and symbols in Unicode."""
    fonts = properties.find("{*}rFonts") if properties is not None else None
    font = fonts.get(qn("w:ascii")) if fonts is not None else None
    text = from_symbol_font(text, font)
    alignment = value_of(properties, "vertAlign")
    shift = value_of(properties, "position") or "0"
    half_points = int(shift) if shift.lstrip("-").isdecimal() else 0
    if alignment == "superscript" or (not alignment and half_points >= _RAISED_HALF_POINTS):
        return superscript(text)
    if alignment == "subscript" or (not alignment and half_points <= -_RAISED_HALF_POINTS):
        return subscript(text)
    return text
