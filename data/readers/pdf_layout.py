"""Turn lines of type into text: reading order, paragraphs and hyphenation.

All functions here are pure and do not use PDFium, so that tests need only a few hand-made lines.
Coordinates are in points, with the origin at the top left of the displayed page and y downwards.
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
    "Line",
    "Paragraph",
    "Rectangle",
    "continues",
    "is_unfinished",
    "join_lines",
    "order_columns",
    "split_paragraphs",
]

_BULLET = re.compile(r"^[•‣▪●○◦∙·–—*-]\s|^\(?(\d{1,2}|[a-z])[.)]\s")
_SENTENCE_ENDS = (".", "!", "?", ":", "”", '"')


class Rectangle(NamedTuple):
    """A rectangle on the page, in points from the top left."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """The width in points; negative if the rectangle is empty."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """The height in points; negative if the rectangle is empty."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """The area in square points; 0 if the rectangle is empty."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def union(self, other: Rectangle) -> Rectangle:
        """Return the smallest rectangle around both."""
        return Rectangle(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def intersection(self, other: Rectangle) -> Rectangle:
        """Return the part inside `other`; its area is 0 if they do not overlap."""
        return Rectangle(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def expanded(self, margin: float) -> Rectangle:
        """Return the rectangle with `margin` points more on each side."""
        return Rectangle(
            self.left - margin, self.top - margin, self.right + margin, self.bottom + margin
        )

    def touches(self, other: Rectangle) -> bool:
        """Return whether the two rectangles overlap or share an edge."""
        return (
            self.left <= other.right
            and other.left <= self.right
            and self.top <= other.bottom
            and other.top <= self.bottom
        )

    def contains_centre(self, other: Rectangle) -> bool:
        """Return whether the centre of `other` lies inside."""
        x, y = (other.left + other.right) / 2, (other.top + other.bottom) / 2
        return self.left <= x <= self.right and self.top <= y <= self.bottom


@dataclass(frozen=True)
class Line:
    """A line of type on one baseline.

    `font_size` is in points. `upright` is False for type that is rotated on the page.
    """

    text: str
    box: Rectangle
    baseline: float
    font_size: float
    font: str = ""
    bold: bool = False
    upright: bool = True

    @property
    def is_prose(self) -> bool:
        """Whether the line looks like running text, not like a label or a table cell."""
        return self.upright and len(self.text) >= 30 and self.text.count(" ") >= 4


@dataclass(frozen=True)
class Paragraph:
    """Consecutive lines that form one paragraph, heading or caption."""

    lines: tuple[Line, ...]

    @cached_property
    def text(self) -> str:
        """The lines as one text, with words that were hyphenated at line ends joined again."""
        return join_lines(line.text for line in self.lines)

    @cached_property
    def box(self) -> Rectangle:
        """The smallest rectangle around all lines."""
        box = self.lines[0].box
        for line in self.lines[1:]:
            box = box.union(line.box)
        return box

    @property
    def font_size(self) -> float:
        """The size of the first line's type, in points."""
        return self.lines[0].font_size

    @property
    def bold(self) -> bool:
        """Whether all lines are bold."""
        return all(line.bold for line in self.lines)


class _HasBox(Protocol):
    @property
    def box(self) -> Rectangle: ...


T = TypeVar("T", bound=_HasBox)


def order_columns(elements: Sequence[T], font_size: float = 10.0) -> list[list[T]]:
    """Group elements into columns in reading order; each column runs from top to bottom.

    A gutter is a vertical gap with at least three lines of type on both sides. Elements that cross
    it (a title, a wide figure) divide the page into bands. In each band the left side comes first.
    Each side is then searched for further gutters. `font_size` is the size of body type in points.
    """
    bands = _best_bands(elements, max(6.0, 0.7 * font_size))
    if bands is None:
        return [_order_rows(elements)] if elements else []
    columns: list[list[T]] = []
    for left, right in bands:
        columns += order_columns(left, font_size)
        columns += order_columns(right, font_size)
    return columns


def _order_rows(elements: Sequence[T]) -> list[T]:
    """Order elements in rows from top to bottom, and in each row from left to right."""
    rows: list[list[T]] = []
    for element in sorted(elements, key=lambda e: (e.box.top + e.box.bottom) / 2):
        middle = (element.box.top + element.box.bottom) / 2
        first = rows[-1][0].box if rows else None
        if first and first.top <= middle <= first.bottom and element.box.height < 40:
            rows[-1].append(element)
        else:
            rows.append([element])
    return [e for row in rows for e in sorted(row, key=lambda e: e.box.left)]


def _best_bands(elements: Sequence[T], gutter_width: float) -> list[tuple[list[T], list[T]]] | None:
    """Return the bands (left, right) at the gutter with the most elements in its columns.

    A band without two columns is (all elements, []). Return None if there is no gutter.
    """
    best: list[tuple[list[T], list[T]]] | None = None
    best_count = 0
    by_top = sorted(elements, key=lambda e: e.box.top)
    for x in sorted({round(e.box.right) + 1 for e in elements}):
        bands, count = _split_bands(by_top, x, x + gutter_width - 2)
        if count > best_count:
            best, best_count = bands, count
    return best


def _split_bands(
    by_top: Sequence[T], gutter_left: float, gutter_right: float
) -> tuple[list[tuple[list[T], list[T]]], int]:
    """Return the bands at one gutter, and the number of elements in their columns."""
    bands: list[tuple[list[T], list[T]]] = []
    without_columns: list[T] = []
    left: list[T] = []
    right: list[T] = []
    count = 0

    def close_band() -> None:
        nonlocal without_columns, left, right, count
        if _is_column(left) and _is_column(right):
            if without_columns:
                bands.append((without_columns, []))
            bands.append((left, right))
            count += len(left) + len(right)
            without_columns = []
        else:
            without_columns = without_columns + left + right
        left, right = [], []

    for element in by_top:
        if element.box.right <= gutter_left:
            left.append(element)
        elif element.box.left >= gutter_right:
            right.append(element)
        else:
            close_band()
            without_columns.append(element)
    close_band()
    if without_columns:
        bands.append((without_columns, []))
    return bands, count


def _is_column(elements: Sequence[_HasBox]) -> bool:
    """Return whether elements fill a column as running text does, unlike the cells of a table."""
    if len(elements) < 3:
        return False
    width = max(e.box.right for e in elements) - min(e.box.left for e in elements)
    return width > 60 and median(e.box.width for e in elements) >= 0.3 * width


def split_paragraphs(
    column: Sequence[Line], right: float, label_pattern: re.Pattern[str] | None = None
) -> list[Paragraph]:
    """Split the lines of a column into paragraphs.

    `right` is the right edge of the column: a line that ends well before it may end a paragraph. A
    line that matches `label_pattern` (such as "Figure 2.") begins a paragraph, unless it continues
    the sentence before it in the same type.
    """
    if not column:
        return []
    steps = [
        b.baseline - a.baseline
        for a, b in pairwise(column)
        if 0.8 * a.font_size < b.baseline - a.baseline < 2.2 * a.font_size
    ]
    usual_size = median(line.font_size for line in column)
    usual_step = median(steps) if steps else 1.2 * usual_size
    leading = usual_step / usual_size  # relative to the type size, so that it also fits titles
    groups: list[list[Line]] = [[column[0]]]
    for previous, line in pairwise(column):
        label = label_pattern.match(line.text) if label_pattern else None
        # "… as shown in" and "Figure 2." on the next line are one sentence
        same_type = (line.font_size, line.font) == (previous.font_size, previous.font)
        is_bare_label = label and label.end() + 1 >= len(line.text)
        goes_on = same_type and (not previous.text.endswith(_SENTENCE_ENDS) or is_bare_label)
        if _begins_paragraph(groups[-1], line, right, leading) or (label and not goes_on):
            groups.append([line])
        else:
            groups[-1].append(line)
    return [Paragraph(tuple(group)) for group in groups]


def _begins_paragraph(group: Sequence[Line], line: Line, right: float, leading: float) -> bool:
    """Return whether `line` begins a new paragraph after the lines of `group`."""
    previous = group[-1]
    step = line.baseline - previous.baseline
    if abs(step) < 0.5 * line.font_size:
        return False  # still the same row
    is_other_size = abs(line.font_size - previous.font_size) > 0.08 * previous.font_size
    if is_other_size or line.bold != previous.bold:
        return True
    if step < 0 or step > max(1.3 * leading, 1.25) * line.font_size:
        return True
    if _BULLET.match(line.text):
        return True
    is_short = right - previous.box.right > 0.15 * (right - group[0].box.left)
    if is_short and previous.text.endswith(_SENTENCE_ENDS):
        return True
    has_hanging_indent = len(group) == 1 and _BULLET.match(previous.text)
    indent = line.box.left - previous.box.left
    return not has_hanging_indent and 0.7 * line.font_size < indent < 4 * line.font_size


def join_lines(lines: Iterable[str]) -> str:
    """Join lines with spaces, and words that a hyphen splits over two lines.

    A hyphen between two lower-case letters comes from the line break and is removed; any other
    (`Navier-Stokes`, `3-dimensional`) is part of the word.
    """
    joined = ""
    for line in lines:
        line = line.strip()
        if not joined:
            joined = line
        elif joined[-1] in "-\u00ad\u2010" and joined[-2:-1].isalpha() and line[:1].isalpha():
            is_soft = joined[-1] == "\u00ad" or (joined[-2].islower() and line[0].islower())
            joined = (joined[:-1] if is_soft else joined) + line
        elif line:
            joined += " " + line
    return joined.replace("\u00ad", "")


def is_unfinished(text: str) -> bool:
    """Return whether a paragraph seems cut off, so that the next column or page may continue it."""
    return bool(text) and not text.endswith(_SENTENCE_ENDS)


def continues(text: str, next_text: str) -> bool:
    """Return whether `next_text`, after a column or page break, continues the paragraph `text`."""
    if not next_text or not is_unfinished(text):
        return False
    return next_text[0].islower() or text[-1] in ",;-\u00ad\u2010"
