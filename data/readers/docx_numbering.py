"""Count the lists of a Word file as Word does, so that items keep their numbers: 1., a), iv."""

from __future__ import annotations

import re
from collections.abc import Callable

from docx.oxml.ns import qn
from lxml import etree

from data.readers.docx_styles import WordStyles, value_of

__all__ = ["BULLET", "Numbering", "letters", "roman"]

BULLET = "-"
_LEVELS = 9
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_PLACEHOLDER = re.compile(r"%([1-9])")


def roman(number: int) -> str:
    """Return a number from 1 to 3999 in small Roman numerals; another one in digits."""
    if not 0 < number < 4000:
        return str(number)
    text = ""
    for value, numeral in _ROMAN:
        count, number = divmod(number, value)
        text += numeral * count
    return text


def letters(number: int) -> str:
    """Return a number as Word letters its lists: a … z, aa, bb …; 0 and less in digits."""
    if number < 1:
        return str(number)
    repeats, index = divmod(number - 1, 26)
    return chr(ord("a") + index) * (repeats + 1)


_FORMATS: dict[str, Callable[[int], str]] = {
    "lowerRoman": roman,
    "upperRoman": lambda number: roman(number).upper(),
    "lowerLetter": letters,
    "upperLetter": lambda number: letters(number).upper(),
    "decimalZero": lambda number: f"{number:02}",
    "none": lambda _: "",
}


class Numbering:
    """The lists of a file and how far each is counted. Lists of one kind share their count."""

    def __init__(self, root: etree._Element | None, styles: WordStyles) -> None:
        lists = root.iterfind("{*}num") if root is not None else ()
        kinds = root.iterfind("{*}abstractNum") if root is not None else ()
        self._styles = styles
        self._lists = {str(n.get(qn("w:numId"))): n for n in lists}
        self._kinds = {str(k.get(qn("w:abstractNumId"))): k for k in kinds}
        self._counts: dict[str, list[int | None]] = {}
        self._begun: set[str] = set()

    def label(self, paragraph: etree._Element) -> tuple[str, int] | None:
        """Return a paragraph's next label and its level, and count it; None outside lists.

        The label is `BULLET` for a list without numbers. A label without any text is ''.
        """
        place = self._styles.numbering(paragraph)
        if place is None or place[0] not in self._lists:
            return None
        number, level = place
        kind_id = self._kind_of(number)
        level = self._level_of_style(kind_id, self._styles.style_id(paragraph), level)
        counts = self._counts.setdefault(kind_id, [None] * _LEVELS)
        if number not in self._begun:
            self._begun.add(number)
            self._restart(number, counts)
        count = counts[level]
        counts[level] = self._start(number, level) if count is None else count + 1
        for deeper in range(level + 1, _LEVELS):
            if value_of(self._definition(number, deeper), "lvlRestart") != "0":
                counts[deeper] = None
        return self._text(number, level, counts), level

    def _text(self, number: str, level: int, counts: list[int | None]) -> str:
        definition = self._definition(number, level)
        if value_of(definition, "numFmt") == "bullet":
            return BULLET
        is_plain = definition is not None and definition.find("{*}isLgl") is not None

        def write(match: re.Match[str]) -> str:
            place = int(match[1]) - 1
            count = counts[place]
            kind = value_of(self._definition(number, place), "numFmt") or "decimal"
            count = self._start(number, place) if count is None else count
            return str(count) if is_plain and kind != "none" else _FORMATS.get(kind, str)(count)

        text = value_of(definition, "lvlText")
        return _PLACEHOLDER.sub(write, f"%{level + 1}." if text is None else text).strip()

    def _restart(self, number: str, counts: list[int | None]) -> None:
        for override in self._lists[number].iterfind("{*}lvlOverride"):
            start = value_of(override, "startOverride")
            level = override.get(qn("w:ilvl")) or ""
            if start and level.isdecimal() and int(level) < _LEVELS:
                counts[int(level)] = int(start) - 1

    def _start(self, number: str, level: int) -> int:
        start = value_of(self._definition(number, level), "start") or "1"
        return int(start) if start.lstrip("-").isdecimal() else 1

    def _kind_of(self, number: str) -> str:
        kind_id = value_of(self._lists[number], "abstractNumId") or ""
        link = value_of(self._kinds.get(kind_id), "numStyleLink")
        linked = self._lists.get(self._styles.list_of_style(link) or "") if link else None
        return (value_of(linked, "abstractNumId") or kind_id) if linked is not None else kind_id

    def _definition(self, number: str, level: int) -> etree._Element | None:
        key = str(level)
        for override in self._lists[number].iterfind("{*}lvlOverride"):
            if override.get(qn("w:ilvl")) == key and override.find("{*}lvl") is not None:
                return override.find("{*}lvl")
        kind = self._kinds.get(self._kind_of(number))
        levels = kind.iterfind("{*}lvl") if kind is not None else ()
        return next((lvl for lvl in levels if lvl.get(qn("w:ilvl")) == key), None)

    def _level_of_style(self, kind_id: str, style_id: str, level: int) -> int:
        """Return the level that a list ties to a style, as headings do; else the paragraph's."""
        kind = self._kinds.get(kind_id)
        for definition in kind.iterfind("{*}lvl") if kind is not None and style_id else ():
            if value_of(definition, "pStyle") == style_id:
                tied = definition.get(qn("w:ilvl")) or ""
                level = int(tied) if tied.isdecimal() else level
        return min(level, _LEVELS - 1)
