"""Lay out the cells of a table: merged cells filled, header rows recognised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data.tables import Table

__all__ = ["Cell", "grid_table", "has_header_row", "looks_like_number"]

_MAX_COLUMNS = 400
_MAX_CELLS = 400_000
_NUMBER = re.compile(r"[-+−±≈<>~$€£¥]?\s*\d[\d\s.,'’]*(?:[eE×^/–-][\d\s.,^×−+-]+)?\s*[%°‰]?")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as the author wrote it. A `row_span` of 0 reaches to the last row."""

    text: str
    is_header: bool = False
    column_span: int = 1
    row_span: int = 1
    names_row: bool = False


@dataclass(slots=True)
class _Slot:
    text: str
    is_header: bool
    is_own: bool  # whether the cell begins in this slot
    is_own_row: bool  # whether the cell begins in this row


def grid_table(rows: Sequence[Sequence[Cell]], caption: str = "", head_rows: int = 0) -> Table:
    """Return the table of the cells; `head_rows` is the number of rows in its `thead`.

    The text of a merged cell stands in every row and column that it covers, so that each row can be
    read alone. A cell over the whole width is a title of the table if it stands in the header, else
    of the rows below it: it stands once. A row that only begins cells which the next row continues
    has no contents of its own and is left out.
    """
    slots = _fill(rows)
    width = max((len(row) for row in slots), default=0)
    columns = [n for n in range(width) if any(n < len(r) and _is_own(r[n]) for r in slots)]
    grid = [[row[n] if n < len(row) else None for n in columns] for row in slots]
    body_start = _body_start(grid, head_rows)
    lines: list[tuple[str, ...]] = []
    titles = [caption] if caption else []
    header_rows = 0
    for index, row in enumerate(grid):
        texts = [slot.text if slot else "" for slot in row]
        if _is_one_cell(row) and index < body_start and texts[0]:
            titles.append(texts[0])
            continue
        if _is_one_cell(row):
            texts[1:] = [""] * (len(texts) - 1)
        elif index + 1 < len(grid) and _adds_nothing(row, grid[index + 1]):
            continue
        if any(texts):
            lines.append(tuple(texts))
            header_rows += index < body_start
    is_marked = any(cell.is_header or cell.names_row for row in rows for cell in row)
    if not header_rows and not is_marked and has_header_row(lines):
        header_rows = 1
    header_rows = header_rows if header_rows < len(lines) else 0
    return Table(tuple(lines), header_rows, "\n".join(titles))


def has_header_row(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row names the columns: it is all words above a column of numbers.

    Two columns do not show it: they may be pairs of a name and a value.
    """
    if (
        len(rows) < 3
        or len(rows[0]) < 3
        or not all(rows[0])
        or any(map(looks_like_number, rows[0]))
    ):
        return False
    columns = zip(*(row for row in rows[1:] if len(row) == len(rows[0])), strict=True)
    return any(all(looks_like_number(t) for t in c if t) and any(c) for c in list(columns)[1:])


def looks_like_number(text: str) -> bool:
    """Return whether a cell holds a number, perhaps with a sign, a power or a currency."""
    return _NUMBER.fullmatch(text.strip()) is not None


def _is_own(slot: _Slot | None) -> bool:
    return slot is not None and slot.is_own


def _fill(rows: Sequence[Sequence[Cell]]) -> list[list[_Slot | None]]:
    """Place the cells as a browser does, with the text of a merged cell in all its slots."""
    grid: list[list[_Slot | None]] = [[] for _ in rows]
    count = 0
    for row, cells in enumerate(rows):
        column = 0
        for cell in cells:
            while column < len(grid[row]) and grid[row][column] is not None:
                column += 1
            width = max(min(cell.column_span, _MAX_COLUMNS - column), 1)
            height = min(cell.row_span or len(rows), len(rows) - row)
            count += width * height
            if count > _MAX_CELLS:  # not a real table: nothing is merged any more
                width, height = 1, 1
            for y in range(row, row + height):
                line = grid[y]
                line += [None] * (column + width - len(line))
                for x in range(column, column + width):
                    is_first = (x, y) == (column, row)
                    line[x] = line[x] or _Slot(cell.text, cell.is_header, is_first, y == row)
            column += width
    return grid


def _body_start(grid: Sequence[Sequence[_Slot | None]], head_rows: int) -> int:
    """Return the index of the first row of the body."""
    start = head_rows
    while start < len(grid) and _is_header(grid[start]):
        start += 1
    return start


def _is_header(row: Iterable[_Slot | None]) -> bool:
    slots = [slot for slot in row if slot and slot.text]
    has_header = any(slot.is_header and slot.is_own_row for slot in slots)
    return has_header and all(slot.is_header for slot in slots)


def _is_one_cell(row: Sequence[_Slot | None]) -> bool:
    """Return whether one cell, which begins here, covers a row of several columns."""
    starts = [slot for slot in row if slot and slot.is_own]
    return len(row) > 1 and len(starts) == 1 and row[0] is starts[0] and None not in row[1:]


def _adds_nothing(row: Sequence[_Slot | None], following: Sequence[_Slot | None]) -> bool:
    """Return whether a row holds only cells that the next row continues."""
    texts = [(n, slot.text) for n, slot in enumerate(row) if slot and slot.text]
    continued = [following[n] for n, _ in texts]
    pairs = zip(texts, continued, strict=True)
    return bool(texts) and all(s and not s.is_own_row and s.text == t for (_, t), s in pairs)
