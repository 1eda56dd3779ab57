"""From boxes of recognised text to reading order: rows of labels, paragraphs of a page.

Distances are measured in the median height of a line, so that the picture's scale plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "is_word", "paragraphs", "rows", "straighten", "unhyphenated"]

_PARAGRAPH_GAP = 0.8  # of a line's height between two lines
_COLUMN_GAP = 1.0  # of a line's height, all the way down
_NARROWEST_COLUMN = 0.2  # of the block's width: the numbers of a list are no column
_LARGEST_TILT = 20.0  # degrees


@dataclass(frozen=True, eq=False)
class Box:
    """A line of text; `corners` (4, 2) are x and y, clockwise from the top left of the text."""

    text: str
    corners: NDArray[np.float64]

    @cached_property
    def left(self) -> float:
        return float(self.corners[:, 0].min())

    @cached_property
    def right(self) -> float:
        return float(self.corners[:, 0].max())

    @cached_property
    def top(self) -> float:
        return float(self.corners[:, 1].min())

    @cached_property
    def bottom(self) -> float:
        return float(self.corners[:, 1].max())

    @cached_property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


def is_word(text: str) -> bool:
    """Whether `text` holds at least one letter or digit."""
    return any(c.isalnum() for c in text)


def straighten(boxes: Sequence[Box]) -> list[Box]:
    """Turn all boxes by their common tilt, the median over those that are clearly wide."""
    angles = []
    for box in boxes:
        along, across = box.corners[1] - box.corners[0], box.corners[3] - box.corners[0]
        if np.hypot(*along) > 3 * np.hypot(*across):
            angles.append(float(np.arctan2(along[1], along[0])))
    if not angles or abs(tilt := median(angles)) > np.radians(_LARGEST_TILT):
        return list(boxes)
    cos, sin = np.cos(tilt), np.sin(tilt)
    turn = np.array([[cos, -sin], [sin, cos]])  # row vectors, so this is a turn by -tilt
    return [Box(box.text, box.corners @ turn) for box in boxes]


def rows(boxes: Sequence[Box]) -> list[list[Box]]:
    """Boxes that stand side by side, top to bottom; each row from left to right."""
    found: list[list[Box]] = []
    for box in sorted(boxes, key=lambda b: b.middle):
        if found and _same_row(found[-1], box):
            found[-1].append(box)
        else:
            found.append([box])
    return [sorted(row, key=lambda b: b.left) for row in found]


def _same_row(row: Sequence[Box], box: Box) -> bool:
    """By the row's own middle, not its last box: a flight of steps is no row."""
    middle = sum(b.middle for b in row) / len(row)
    return abs(box.middle - middle) < 0.5 * min(box.bottom - box.top, row[0].bottom - row[0].top)


def unhyphenated(boxes: Sequence[Box]) -> list[str]:
    """The texts in the order given, a word that is split over two lines of a label joined."""
    taken: set[int] = set()
    texts = []
    for i, box in enumerate(boxes):
        if i in taken:
            continue
        text = box.text
        if _is_split(text):
            below = [j for j in range(i + 1, len(boxes)) if _continues(box, boxes[j])]
            if below:
                taken.add(below[0])
                text = _joined(text, boxes[below[0]].text)
        texts.append(text)
    return texts


def paragraphs(boxes: Sequence[Box]) -> list[str]:
    """The paragraphs of a page in reading order: columns left to right, blocks top to bottom."""
    if not boxes:
        return []
    height = median(box.bottom - box.top for box in boxes)
    texts = []
    for block in _blocks(list(boxes), height):
        text = ""
        for row in rows(block):
            line = " ".join(box.text for box in row)
            text = _joined(text, line) if text else line
        if is_word(text):
            texts.append(text)
    return texts


def _blocks(boxes: list[Box], height: float) -> list[list[Box]]:
    """An XY-cut (Nagy and Seth, 1984): columns first, then the widest gaps from side to side."""
    blocks, waiting = [], [boxes]  # a stack: a picture of 1,000 specks must not end the recursion
    while waiting:
        block = waiting.pop()
        parts = _columns(block, height) or _strips(block, height)
        if len(parts) > 1:
            waiting += reversed(parts)
        else:
            blocks.append(block)
    return blocks


def _columns(boxes: list[Box], height: float) -> list[list[Box]]:
    """Two parts, cut at the first gap from top to bottom; none where there is no such gap."""
    ordered = sorted(boxes, key=lambda b: b.left)
    left, right = ordered[0].left, max(b.right for b in boxes)
    end = ordered[0].right
    for i, box in enumerate(ordered[1:], start=1):
        narrower = min(end - left, right - box.left)
        wide_enough = narrower >= _NARROWEST_COLUMN * (right - left)
        if wide_enough and box.left - end >= _COLUMN_GAP * height:
            return [ordered[:i], ordered[i:]]
        end = max(end, box.right)
    return []


def _strips(boxes: list[Box], height: float) -> list[list[Box]]:
    """The parts between gaps about as wide as the widest: a title leaves before paragraphs part."""
    ordered = sorted(boxes, key=lambda b: b.top)
    end, gaps = ordered[0].bottom, [0.0]
    for box in ordered[1:]:
        gaps.append(box.top - end)
        end = max(end, box.bottom)
    least = max(_PARAGRAPH_GAP * height, 0.9 * max(gaps))
    cuts = [i for i, gap in enumerate(gaps) if gap >= least]
    return [ordered[i:j] for i, j in pairwise([0, *cuts, len(ordered)])]


def _is_split(text: str) -> bool:
    return len(text) > 1 and text.endswith("-") and text[-2].isalpha()


def _continues(box: Box, other: Box) -> bool:
    """Whether `other` is the next line of the label that ends in `box`."""
    height = box.bottom - box.top
    overlap = min(box.right, other.right) - max(box.left, other.left)
    near = -0.5 * height < other.top - box.bottom < height
    return other.text[:1].islower() and overlap > 0 and near


def _joined(first: str, second: str) -> str:
    if _is_split(first) and second[:1].islower():
        return first[:-1] + second
    return f"{first} {second}"
