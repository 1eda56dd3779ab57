"""Turn lines of type into text: reading order, paragraphs and hyphenation.

All functions here are pure and do not use PDFium, so that tests need only a few hand-made lines.
Coordinates are in points, with the origin at the top left of the displayed page and y downwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import Protocol, TypeVar

from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_hyphens import join_lines

__all__ = [
    "Line",
    "Paragraph",
    "continues",
    "is_unfinished",
    "order_columns",
    "split_paragraphs",
]

_BULLET = re.compile(r"^[•‣▪●○◦∙·–—*-]\s|^\(?(\d{1,2}|[a-z])[.)]\s")
_SENTENCE_ENDS = (".", "!", "?", ":", "”", '"')
_MAX_CODE_STEP = 2.8  # between two lines of a listing, in sizes of the type: one empty line


@dataclass(frozen=True)
class Line:
    """A line of type on one baseline.

    `font_size` is in points. `turn` is the clockwise quarter turn of the type in degrees, -1 for
    any other angle. `box` and `baseline` are in the frame in which the line reads from left to
    right; `turned_box` is the place of turned type on the page.
    `words` are the words with their boxes, in file order.
    """

    text: str
    box: Rectangle
    baseline: float
    font_size: float
    font: str = ""
    bold: bool = False
    fixed_pitch: bool = False
    turn: int = 0
    turned_box: Rectangle | None = None
    words: tuple[tuple[str, Rectangle], ...] = ()

    @property
    def page_box(self) -> Rectangle:
        """The place of the line on the page."""
        return self.turned_box or self.box

    @property
    def upright(self) -> bool:
        """Whether the line runs from left to right on the page."""
        return self.turn == 0

    @property
    def is_prose(self) -> bool:
        """Whether the line looks like running text, not like a label or a table cell."""
        return self.upright and len(self.text) >= 30 and self.text.count(" ") >= 4


@dataclass(frozen=True)
class Paragraph:
    """Consecutive lines that form one paragraph, heading, caption or program listing.

    `vocabulary` holds words of the document, which decide about hyphens at line ends.
    """

    lines: tuple[Line, ...]
    vocabulary: Set[str] = frozenset()

    @cached_property
    def text(self) -> str:
        """The lines as one text, with words that were hyphenated at line ends joined again.

        A program listing keeps its lines and their indents.
        """
        if self.is_code:
            return "\n".join(_indented(self.lines))
        return join_lines((line.text for line in self.lines), self.vocabulary)

    @property
    def is_code(self) -> bool:
        """Whether the paragraph is a program listing: two or more lines in fixed-pitch type."""
        return len(self.lines) > 1 and all(line.fixed_pitch for line in self.lines)

    @cached_property
    def box(self) -> Rectangle:
        """The smallest rectangle around all lines."""
        box = self.lines[0].box
        for line in self.lines[1:]:
            box = box.union(line.box)
        return box

    @property
    def page_box(self) -> Rectangle:
        """The place of the paragraph on the page."""
        box = self.lines[0].page_box
        for line in self.lines[1:]:
            box = box.union(line.page_box)
        return box

    @property
    def font_size(self) -> float:
        """The size of the first line's type, in points."""
        return self.lines[0].font_size

    @property
    def bold(self) -> bool:
        """Whether all lines are bold."""
        return all(line.bold for line in self.lines)


def _indented(lines: Sequence[Line]) -> list[str]:
    """Return the lines of a listing, each behind the spaces of its indent."""
    widths = [line.box.width / len(line.text) for line in lines if line.text]
    left = min(line.box.left for line in lines)
    width = median(widths) if widths else 1.0
    return [" " * round((line.box.left - left) / max(width, 0.1)) + line.text for line in lines]


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
    column: Sequence[Line],
    right: float,
    label_pattern: re.Pattern[str] | None = None,
    vocabulary: Set[str] = frozenset(),
) -> list[Paragraph]:
    """Split the lines of a column into paragraphs.

    `right` is the right edge of the column: a line that ends well before it may end a paragraph. A
    line that matches `label_pattern` (such as "Figure 2.") begins a paragraph, unless it continues
    the sentence before it in the same type. `vocabulary` decides about hyphens (`pdf_hyphens`).
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
    return [Paragraph(tuple(group), vocabulary) for group in groups]


def _begins_paragraph(group: Sequence[Line], line: Line, right: float, leading: float) -> bool:
    """Return whether `line` begins a new paragraph after the lines of `group`."""
    previous = group[-1]
    step = line.baseline - previous.baseline
    if abs(step) < 0.5 * line.font_size:
        return False  # still the same row
    if line.fixed_pitch and previous.fixed_pitch:
        return step < 0 or step > _MAX_CODE_STEP * line.font_size
    if line.fixed_pitch != previous.fixed_pitch:
        return True
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


def is_unfinished(text: str) -> bool:
    """Return whether a paragraph seems cut off, so that the next column or page may continue it."""
    return bool(text) and not text.endswith(_SENTENCE_ENDS)


def continues(text: str, next_text: str) -> bool:
    """Return whether `next_text`, after a column or page break, continues the paragraph `text`."""
    if not next_text or not is_unfinished(text):
        return False
    return next_text[0].islower() or text[-1] in ",;-\u00ad\u2010"
