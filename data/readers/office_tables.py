"""Find the header of a table that does not mark it, as most tables of Office files do not."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["header_depth"]

_VALUE = re.compile(r"[^\w\s]*\s?\d[\d.,\s]*(?:\s?[^\W\d_%°/]{0,3}[%°/²³]?[^\W\d_]{0,3})")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")
_LONGEST_NAME = 100  # characters; a longer text is no name of a column


def header_depth(rows: Sequence[Sequence[str]], corner_rows: int = 1) -> int:
    """Return how many rows name the columns.

    It is 0 if the first row already holds values: a quantity beside its label, the number of an
    item, or a text too long for a name. `corner_rows` is the height of the top left cell. A header
    with groups of columns is as deep as this cell.
    """
    if len(rows) < 2 or not any(rows[0]) or any(len(text) > _LONGEST_NAME for text in rows[0]):
        return 0
    corner, *names = rows[0]
    if _VALUE.fullmatch(corner):  # the number of an item
        return 0
    values = [name for name in names if _VALUE.fullmatch(name)]
    if values and corner and not all(_YEAR.fullmatch(value) for value in values):
        return 0
    has_groups = any(a and a == b for a, b in zip(rows[0], rows[0][1:], strict=False))
    return min(corner_rows, len(rows) - 1) if has_groups else 1
