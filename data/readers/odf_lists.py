"""Number the lists of OpenDocument files as LibreOffice shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lxml import etree

from data.readers.docx_numbering import BULLET, letters, roman
from data.readers.odf_package import OdfStyles, attribute
from data.readers.xml import local_name

__all__ = ["OdfLists"]

_FORMATS: dict[str, Callable[[int], str]] = {
    "a": letters,
    "A": lambda number: letters(number).upper(),
    "i": roman,
    "I": lambda number: roman(number).upper(),
}


class OdfLists:
    """Yield the items of lists with their numbers. Lists may go on where others ended."""

    def __init__(self, styles: OdfStyles) -> None:
        self._styles = styles
        self._last: dict[str, int] = {}  # the last number of each list, by id and by style

    def items(
        self, element: etree._Element, style: str = "", level: int = 1
    ) -> Iterator[tuple[str, int, etree._Element]]:
        """Yield the label, the level and the element of each paragraph, heading or table inside.

        The label is '' for the second paragraph of an item. `style` is the style of the outer list.
        """
        style = attribute(element, "text:style-name") or style
        number = self._begin(element, style, level)
        for item in element:
            if local_name(item) not in ("list-item", "list-header"):
                continue
            start = attribute(item, "text:start-value")
            number = int(start) if start.isdecimal() else number
            is_marked = local_name(item) == "list-header"
            for child in item:
                if local_name(child) == "list":
                    yield from self.items(child, style, level + 1)
                    continue
                own = attribute(child, "text:style-name")
                label = "" if is_marked else self._label(style, own, level, number)
                yield label, level, child
                number += not is_marked
                is_marked = True
        for key in (f"{style}/{level}", attribute(element, "xml:id")):
            self._last[key] = number - 1

    def _begin(self, element: etree._Element, style: str, level: int) -> int:
        mark = self._styles.list_level(style, level)
        start = attribute(mark, "text:start-value")
        continued = attribute(element, "text:continue-list")
        if continued in self._last and continued:
            return self._last[continued] + 1
        if attribute(element, "text:continue-numbering") == "true":
            return self._last.get(f"{style}/{level}", 0) + 1
        return int(start) if start.isdecimal() else 1

    def _label(self, style: str, paragraph_style: str, level: int, number: int) -> str:
        style = style or self._styles.list_of_paragraph(paragraph_style)
        mark = self._styles.list_level(style, level)
        if mark is None or local_name(mark) != "list-level-style-number":
            return BULLET
        number_format = attribute(mark, "style:num-format")
        if not number_format:
            return ""
        prefix, suffix = attribute(mark, "style:num-prefix"), attribute(mark, "style:num-suffix")
        counted = _FORMATS.get(number_format, str)(number)
        return f"{prefix}{counted}{suffix}".strip()
