"""Extract the text of OpenDocument paragraphs, with raised characters, symbols and formulas."""

from __future__ import annotations

from lxml import etree

from data.errors import BadInput
from data.readers.formulas import subscript, superscript
from data.readers.mathml import to_latex
from data.readers.odf_package import OdfPackage, OdfStyles, attribute
from data.readers.office import clean_text, formula_text
from data.readers.office_symbols import from_symbol_font
from data.readers.xml import local_name

__all__ = ["OdfText"]

_INVISIBLE_NAMES = (
    "note annotation annotation-end tracked-changes ruby-text frame custom-shape g rect line "
    "polygon path connector list table bookmark-start script"
)
_INVISIBLE = frozenset(_INVISIBLE_NAMES.split())
_MAX_SPACES = 100
_FEWEST_PERCENT = 3  # a smaller shift only aligns a run


class OdfText:
    """Read paragraphs. The package resolves formulas, the styles tell raised characters."""

    def __init__(self, package: OdfPackage, styles: OdfStyles) -> None:
        self._package = package
        self._styles = styles

    def of(self, paragraph: etree._Element) -> str:
        """Return the text of a paragraph or heading."""
        return clean_text(self._inside(paragraph))

    def formula(self, frame: etree._Element) -> str:
        """Return the formula in a frame as LaTeX; '' if the frame holds none."""
        for child in frame.iterfind("{*}object"):
            root = next(child.iter("{*}math"), None)
            if root is None:
                path = attribute(child, "xlink:href")
                root = self._part(f"{path}/content.xml") if path else None
            if root is not None and local_name(root) == "math":
                return to_latex(root)
        return ""

    def _part(self, path: str) -> etree._Element | None:
        """Return the root of a part; None if it cannot be read, which the walker reports."""
        try:
            return self._package.xml(path)
        except BadInput:
            return None

    def _inside(self, element: etree._Element) -> str:
        return (element.text or "") + "".join(
            self._text(child) + (child.tail or "") for child in element
        )

    def _text(self, element: etree._Element) -> str:
        name = local_name(element)
        if name == "frame":
            return formula_text(self.formula(element))
        if name in _INVISIBLE:
            return ""
        if name == "s":
            count = attribute(element, "text:c") or "1"
            return " " * min(int(count) if count.isdecimal() else 1, _MAX_SPACES)
        if name == "tab":
            return "\t"
        if name == "line-break":
            return "\v"
        text = self._inside(element)
        return self._styled(text, attribute(element, "text:style-name")) if name == "span" else text

    def _styled(self, text: str, style: str) -> str:
        font = self._styles.property("text", style, "style:font-name")
        text = from_symbol_font(text, font.rstrip("0123456789") or None)
        position = self._styles.property("text", style, "style:text-position").split(" ")[0]
        percent = position.rstrip("%")
        if position == "super" or (percent.isdecimal() and int(percent) >= _FEWEST_PERCENT):
            return superscript(text)
        if position == "sub" or percent.startswith("-"):
            return subscript(text)
        return text
