"""From lines of type to text: reading order, paragraphs, hyphens.

Pure functions over boxes. A box is in points, origin at the top left of the page as it is shown, y
downwards. Nothing here knows PDFium, so every rule can be tested with a few hand-made lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import NamedTuple, Protocol, TypeVar

__all__ = [
    "Box",
    "Line",
    "Paragraph",
    "continues",
    "join_text",
    "may_continue",
    "paragraphs",
    "reading_order",
]

_BULLET = re.compile(r"^[•‣▪●○◦∙·–—*-]\s|^\(?(\d{1,2}|[a-z])[.)]\s")
_ENDS = (".", "!", "?", ":", "”", '"')


class Box(NamedTuple):
    """A rectangle on the page: points, origin top left."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)

    def union(self, other: Box) -> Box:
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def cut(self, other: Box) -> Box:
        """The part inside `other`; its area is 0 where they do not overlap."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def grown(self, by: float) -> Box:
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def touches(self, other: Box) -> bool:
        return (
            self.left <= other.right
            and other.left <= self.right
            and self.top <= other.bottom
            and other.top <= self.bottom
        )

    def holds(self, other: Box) -> bool:
        """Whether the middle of `other` lies inside."""
        x, y = (other.left + other.right) / 2, (other.top + other.bottom) / 2
        return self.left <= x <= self.right and self.top <= y <= self.bottom


@dataclass(frozen=True)
class Line:
    """A run of type on one baseline. `upright` is False for type that is turned on the page."""

    text: str
    box: Box
    baseline: float
    size: float
    font: str = ""
    bold: bool = False
    upright: bool = True

    @property
    def is_prose(self) -> bool:
        """Whether it reads like running text and not like a label or a cell."""
        return self.upright and len(self.text) >= 30 and self.text.count(" ") >= 4


@dataclass(frozen=True)
class Paragraph:
    lines: tuple[Line, ...]

    @cached_property
    def text(self) -> str:
        return join_text(line.text for line in self.lines)

    @cached_property
    def box(self) -> Box:
        box = self.lines[0].box
        for line in self.lines[1:]:
            box = box.union(line.box)
        return box

    @property
    def size(self) -> float:
        return self.lines[0].size

    @property
    def bold(self) -> bool:
        return all(line.bold for line in self.lines)


class _Boxed(Protocol):
    @property
    def box(self) -> Box: ...


T = TypeVar("T", bound=_Boxed)


def reading_order(elements: Sequence[T], size: float = 10.0) -> list[list[T]]:
    """Group `elements` into columns, in reading order; each column runs from top to bottom.

    A gutter is a vertical gap with at least three lines of type on both sides. What lies across it
    (a title, a wide figure) parts the page into bands; in each band the left side comes first, and
    each side is searched for gutters again. `size` is the body type size in points.
    """
    bands = _best_bands(elements, max(6.0, 0.7 * size))
    if bands is None:
        return [_top_down(elements)] if elements else []
    ordered: list[list[T]] = []
    for left, right in bands:
        ordered += reading_order(left, size)
        ordered += reading_order(right, size)
    return ordered


def _top_down(elements: Sequence[T]) -> list[T]:
    """From top to bottom; what shares a row (cells, parts of a line) from left to right."""
    rows: list[list[T]] = []
    for element in sorted(elements, key=lambda e: (e.box.top + e.box.bottom) / 2):
        middle = (element.box.top + element.box.bottom) / 2
        first = rows[-1][0].box if rows else None
        if first and first.top <= middle <= first.bottom and element.box.height < 40:
            rows[-1].append(element)
        else:
            rows.append([element])
    return [e for row in rows for e in sorted(row, key=lambda e: e.box.left)]


def _best_bands(elements: Sequence[T], gap: float) -> list[tuple[list[T], list[T]]] | None:
    """The bands beside the gutter that orders most elements, or None where there is no gutter.

    A band that has no two columns is given as (everything, nothing).
    """
    best: list[tuple[list[T], list[T]]] | None = None
    best_count = 0
    by_top = sorted(elements, key=lambda e: e.box.top)
    for x in sorted({round(e.box.right) + 1 for e in elements}):
        bands, count = _bands(by_top, x, x + gap - 2)
        if count > best_count:
            best, best_count = bands, count
    return best


def _bands(
    by_top: Sequence[T], low: float, high: float
) -> tuple[list[tuple[list[T], list[T]]], int]:
    bands: list[tuple[list[T], list[T]]] = []
    plain: list[T] = []  # elements of neighbouring bands without columns
    left: list[T] = []
    right: list[T] = []
    count = 0

    def close() -> None:
        nonlocal plain, left, right, count
        if _is_column(left) and _is_column(right):
            if plain:
                bands.append((plain, []))
            bands.append((left, right))
            count += len(left) + len(right)
            plain = []
        else:
            plain = plain + left + right
        left, right = [], []

    for element in by_top:
        if element.box.right <= low:
            left.append(element)
        elif element.box.left >= high:
            right.append(element)
        else:
            close()
            plain.append(element)
    close()
    if plain:
        bands.append((plain, []))
    return bands, count


def _is_column(elements: Sequence[_Boxed]) -> bool:
    """Whether the elements fill a column as running text does, and cells of a table do not."""
    if len(elements) < 3:
        return False
    width = max(e.box.right for e in elements) - min(e.box.left for e in elements)
    return width > 60 and median(e.box.width for e in elements) >= 0.3 * width


def paragraphs(
    column: Sequence[Line], right: float, starts: re.Pattern[str] | None = None
) -> list[Paragraph]:
    """Cut lines of a column into paragraphs; a line that matches `starts` begins one,
    unless the sentence before it goes on in the same type.

    `right` is the right edge of the column: a line that stops well before it may be a last one.
    """
    if not column:
        return []
    steps = [
        b.baseline - a.baseline
        for a, b in pairwise(column)
        if 0.8 * a.size < b.baseline - a.baseline < 2.2 * a.size
    ]
    usual = median(line.size for line in column)
    leading = (median(steps) if steps else 1.2 * usual) / usual  # in sizes: titles keep it too
    groups: list[list[Line]] = [[column[0]]]
    for last, line in pairwise(column):
        label = starts.match(line.text) if starts else None
        # "… as shown in / Figure 2." is a sentence that goes on, whatever its last line looks like
        alike = (line.size, line.font) == (last.size, last.font)
        goes_on = alike and (
            not last.text.endswith(_ENDS) or (label and label.end() + 1 >= len(line.text))
        )
        if _begins(groups[-1], line, right, leading) or (label and not goes_on):
            groups.append([line])
        else:
            groups[-1].append(line)
    return [Paragraph(tuple(group)) for group in groups]


def _begins(group: Sequence[Line], line: Line, right: float, leading: float) -> bool:
    """Whether `line` begins a new paragraph after the lines of `group`."""
    last = group[-1]
    step = line.baseline - last.baseline
    if abs(step) < 0.5 * line.size:
        return False  # another part of the same row
    if abs(line.size - last.size) > 0.08 * last.size or line.bold != last.bold:
        return True
    if step < 0 or step > max(1.3 * leading, 1.25) * line.size:
        return True
    if _BULLET.match(line.text):
        return True
    short = right - last.box.right > 0.15 * (right - group[0].box.left)
    if short and last.text.endswith(_ENDS):
        return True
    hanging = len(group) == 1 and _BULLET.match(last.text)
    indent = line.box.left - last.box.left
    return not hanging and 0.7 * line.size < indent < 4 * line.size


def join_text(texts: Iterable[str]) -> str:
    """Join lines with spaces; a word that was broken by a hyphen is made whole again.

    A hyphen after a lower-case letter and before one was put there by the line break; any other
    (`Navier-Stokes`, `3-dimensional`) belongs to the word.
    """
    joined = ""
    for text in texts:
        text = text.strip()
        if not joined:
            joined = text
        elif joined[-1] in "-\u00ad\u2010" and joined[-2:-1].isalpha() and text[:1].isalpha():
            soft = joined[-1] == "\u00ad" or (joined[-2].islower() and text[0].islower())
            joined = (joined[:-1] if soft else joined) + text
        elif text:
            joined += " " + text
    return joined.replace("\u00ad", "")


def may_continue(text: str) -> bool:
    """Whether a paragraph has no end yet, so that the next column or page may go on with it."""
    return bool(text) and not text.endswith(_ENDS)


def continues(before: str, after: str) -> bool:
    """Whether the text `after` a column or page break goes on with the paragraph `before` it."""
    if not after or not may_continue(before):
        return False
    return after[0].islower() or before[-1] in ",;-\u00ad\u2010"
