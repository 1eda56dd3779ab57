"""Put recognised lines of text into reading order: rows of labels, paragraphs of a page.

Distances are measured in heights of a line, so that the scale of the picture does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "TextLine",
    "group_rows",
    "has_letter_or_digit",
    "join_hyphenated",
    "join_paragraphs",
    "straighten",
]

_PARAGRAPH_GAP = 0.8  # between two lines, in line heights
_WIDEST_GAP_SHARE = 0.9  # gaps of this share of the widest gap count as widest too
_COLUMN_GAP = 1.0  # width of the gap between columns, in line heights
_MIN_COLUMN_WIDTH = 0.2  # of the block's width: list numbers are not a column
_MAX_TILT_DEGREES = 20.0
_MIN_WIDTH_FOR_TILT = 3.0  # width of a line, in its own heights


@dataclass(frozen=True, eq=False)
class TextLine:
    """A recognised line of text; `corners` (4, 2) are x and y, clockwise from the top left.

    `score` in [0, 1] is the mean probability of its characters.
    """

    text: str
    corners: NDArray[np.float64]
    score: float = 1.0

    @cached_property
    def left(self) -> float:
        """The x of the leftmost corner."""
        return float(self.corners[:, 0].min())

    @cached_property
    def right(self) -> float:
        """The x of the rightmost corner."""
        return float(self.corners[:, 0].max())

    @cached_property
    def top(self) -> float:
        """The y of the highest corner; y grows downwards."""
        return float(self.corners[:, 1].min())

    @cached_property
    def bottom(self) -> float:
        """The y of the lowest corner; y grows downwards."""
        return float(self.corners[:, 1].max())

    @cached_property
    def middle(self) -> float:
        """The y halfway between top and bottom."""
        return (self.top + self.bottom) / 2

    @property
    def height(self) -> float:
        """The distance from top to bottom; a tilted line is higher than its letters."""
        return self.bottom - self.top


def has_letter_or_digit(text: str) -> bool:
    """Whether `text` holds at least one letter or digit."""
    return any(c.isalnum() for c in text)


def straighten(lines: Sequence[TextLine]) -> list[TextLine]:
    """Rotate all lines to undo their common tilt: the median tilt of the clearly wide lines.

    A tilt of more than 20 degrees is left as it is.
    """
    angles = []
    for line in lines:
        along, across = line.corners[1] - line.corners[0], line.corners[3] - line.corners[0]
        if np.hypot(*along) > _MIN_WIDTH_FOR_TILT * np.hypot(*across):
            angles.append(float(np.arctan2(along[1], along[0])))
    if not angles or abs(tilt := median(angles)) > np.radians(_MAX_TILT_DEGREES):
        return list(lines)
    cos, sin = np.cos(tilt), np.sin(tilt)
    rotation = np.array([[cos, -sin], [sin, cos]])  # row vectors, so this rotates by -tilt
    return [TextLine(line.text, line.corners @ rotation, line.score) for line in lines]


def group_rows(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Group lines that stand side by side: rows from top to bottom, each from left to right."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: line.middle):
        if rows and _is_in_row(rows[-1], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.left) for row in rows]


def _is_in_row(row: Sequence[TextLine], line: TextLine) -> bool:
    """Return whether a line is level with the whole row: rising steps do not form one row."""
    middle = sum(other.middle for other in row) / len(row)
    return abs(line.middle - middle) < 0.5 * min(line.height, row[0].height)


def join_hyphenated(lines: Sequence[TextLine]) -> list[str]:
    """Return the texts in order, joining words that are hyphenated over two lines of a label."""
    joined: set[int] = set()
    texts = []
    for i, line in enumerate(lines):
        if i in joined:
            continue
        text = line.text
        if _ends_with_hyphen(text):
            candidates = range(i + 1, len(lines))
            continuation = next((j for j in candidates if _continues(line, lines[j])), None)
            if continuation is not None:
                joined.add(continuation)
                text = _join(text, lines[continuation].text)
        texts.append(text)
    return texts


def join_paragraphs(lines: Sequence[TextLine]) -> list[str]:
    """Return the paragraphs of a page: columns from left to right, blocks from top to bottom."""
    if not lines:
        return []
    height = median(line.height for line in lines)
    paragraphs = []
    for block in _blocks(list(lines), height):
        text = ""
        for row in group_rows(block):
            row_text = " ".join(line.text for line in row)
            text = _join(text, row_text) if text else row_text
        if has_letter_or_digit(text):
            paragraphs.append(text)
    return paragraphs


def _blocks(lines: list[TextLine], height: float) -> list[list[TextLine]]:
    """Split a page by an XY-cut (Nagy and Seth, 1984): into columns first, then into strips."""
    blocks, stack = [], [lines]  # no recursion: a picture of 1,000 specks would exhaust it
    while stack:
        block = stack.pop()
        smaller = _columns(block, height) or _strips(block, height)
        if len(smaller) > 1:
            stack += reversed(smaller)
        else:
            blocks.append(block)
    return blocks


def _columns(lines: list[TextLine], height: float) -> list[list[TextLine]]:
    """Cut at the first vertical gap; return no columns if there is no gap."""
    ordered = sorted(lines, key=lambda line: line.left)
    left, right = ordered[0].left, max(line.right for line in lines)
    end = ordered[0].right
    for i, line in enumerate(ordered[1:], start=1):
        narrower = min(end - left, right - line.left)
        is_column = narrower >= _MIN_COLUMN_WIDTH * (right - left)
        if is_column and line.left - end >= _COLUMN_GAP * height:
            return [ordered[:i], ordered[i:]]
        end = max(end, line.right)
    return []


def _strips(lines: list[TextLine], height: float) -> list[list[TextLine]]:
    """Cut at the widest gaps only, so that a title is cut off before paragraphs are separated."""
    ordered = sorted(lines, key=lambda line: line.top)
    end, gaps = ordered[0].bottom, [0.0]
    for line in ordered[1:]:
        gaps.append(line.top - end)
        end = max(end, line.bottom)
    min_gap = max(_PARAGRAPH_GAP * height, _WIDEST_GAP_SHARE * max(gaps))
    cuts = [i for i, gap in enumerate(gaps) if gap >= min_gap]
    return [ordered[i:j] for i, j in pairwise([0, *cuts, len(ordered)])]


def _ends_with_hyphen(text: str) -> bool:
    return len(text) > 1 and text.endswith("-") and text[-2].isalpha()


def _continues(line: TextLine, other: TextLine) -> bool:
    """Whether `other` is the next line of the label that `line` belongs to."""
    overlap = min(line.right, other.right) - max(line.left, other.left)
    is_next = -0.5 * line.height < other.top - line.bottom < line.height
    return other.text[:1].islower() and overlap > 0 and is_next


def _join(first: str, second: str) -> str:
    if _ends_with_hyphen(first) and second[:1].islower():
        return first[:-1] + second
    return f"{first} {second}"
