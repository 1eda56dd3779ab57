"""The styles of a Word file: which paragraphs are headings, captions or items of a list."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

__all__ = ["WordStyles", "value_of"]

_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_BODY_LEVEL = 9  # the outline level of text that is no heading
_MAX_CHAIN = 20  # styles that are based on each other; a longer chain is a circle


def value_of(element: etree._Element | None, path: str) -> str | None:
    """Return the `w:val` of the first element at `path` ("numPr/ilvl"); None if there is none."""
    steps = "/".join(f"{{*}}{step}" for step in path.split("/"))
    setting = element.find(steps) if element is not None else None
    if setting is None:
        return None
    return next((str(v) for k, v in setting.attrib.items() if str(k).endswith("}val")), "")


class WordStyles:
    """The paragraph styles of a file, each based on another one."""

    def __init__(self, root: etree._Element | None) -> None:
        elements = list(root.iterfind("{*}style")) if root is not None else []
        self._by_id = {_attribute(style, "styleId"): style for style in elements}
        self._default = next(
            (
                s
                for s in elements
                if _attribute(s, "type") == "paragraph"
                and _attribute(s, "default") in ("1", "true")
            ),
            None,
        )

    def names(self, paragraph: etree._Element) -> list[str]:
        """Return the names of a paragraph's style and of those that it is based on."""
        return [(value_of(style, "name") or "").casefold() for style in self._chain(paragraph)]

    def heading_level(self, paragraph: etree._Element) -> int | None:
        """Return 1 for the highest headings; None for a paragraph that is no heading."""
        own = value_of(paragraph.find("{*}pPr"), "outlineLvl")
        levels = [own] if own is not None else []
        for style in self._chain(paragraph):
            if heading := _HEADING.fullmatch(value_of(style, "name") or ""):
                return int(heading[1])
            level = value_of(style, "pPr/outlineLvl")
            levels += [level] if level is not None else []
        outline = next((int(x) for x in levels if x.isdecimal()), _BODY_LEVEL)
        return outline + 1 if outline < _BODY_LEVEL else None

    def numbering(self, paragraph: etree._Element) -> tuple[str, int] | None:
        """Return the list and the level of a paragraph, its own or its style's; None if neither."""
        number, level = None, None
        for properties in (
            paragraph.find("{*}pPr"),
            *(style.find("{*}pPr") for style in self._chain(paragraph)),
        ):
            number = number or value_of(properties, "numPr/numId")
            level = level or value_of(properties, "numPr/ilvl")
        if not number or number == "0":
            return None
        return number, int(level) if level and level.isdecimal() else 0

    def style_id(self, paragraph: etree._Element) -> str:
        """Return the id of a paragraph's style; '' for the default style."""
        return value_of(paragraph.find("{*}pPr"), "pStyle") or ""

    def list_of_style(self, style_id: str) -> str | None:
        """Return the list that a numbering style stands for."""
        return value_of(self._by_id.get(style_id), "pPr/numPr/numId")

    def _chain(self, paragraph: etree._Element) -> Iterator[etree._Element]:
        style = self._by_id.get(self.style_id(paragraph), self._default)
        for _ in range(_MAX_CHAIN):
            if style is None:
                return
            yield style
            style = self._by_id.get(value_of(style, "basedOn") or "")


def _attribute(element: etree._Element, name: str) -> str:
    return next((str(v) for k, v in element.attrib.items() if str(k).endswith("}" + name)), "")
