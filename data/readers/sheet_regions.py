"""Find the tables of a sheet: blocks of cells with empty rows or columns between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from data.readers.office_tables import header_depth
from data.tables import Table

__all__ = ["MAX_COLUMNS", "MAX_ROWS", "Grid", "SheetTable", "SheetText", "contents_of_grid"]

MAX_ROWS = 20_000
MAX_COLUMNS = 1_000
Grid = list[list[str]]  # the texts of the cells, row by row; every row has all columns


@dataclass(frozen=True, slots=True)
class SheetTable:
    """A table of a sheet."""

    table: Table


@dataclass(frozen=True, slots=True)
class SheetText:
    """Texts of a sheet that form no table, one line each."""

    text: str


def contents_of_grid(
    grid: Grid, spacers: Collection[int] = frozenset()
) -> Iterator[SheetTable | SheetText]:
    """Yield the tables and texts among the cells, from top to bottom.

    `spacers` are the columns that only set others apart: empty, they divide no table.
    """
    columns = range(max(map(len, grid), default=0))
    for rows, block in _regions(grid, range(len(grid)), columns, spacers):
        cells = _without_empty_columns([[grid[r][c] for c in block] for r in rows])
        if all(len({text for text in row if text}) < 2 for row in cells):
            yield SheetText("\n".join(next(filter(None, row)) for row in cells if any(row)))
            continue
        caption, cells = _caption(cells)
        filled = tuple(map(tuple, cells))
        yield SheetTable(Table(filled, header_depth(filled, _height_of_corner(cells)), caption))


def _regions(
    grid: Grid, rows: Sequence[int], columns: Sequence[int], spacers: Collection[int]
) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Yield the rows and columns of each block; empty rows and columns divide blocks."""
    bands = _runs(rows, lambda row: any(grid[row][column] for column in columns))
    for band in bands:
        full = {column for column in columns if any(grid[row][column] for row in band)}
        blocks = _runs(columns, (full | set(spacers)).__contains__)
        blocks = [trimmed for block in blocks if (trimmed := [c for c in block if c in full])]
        if len(bands) == len(blocks) == 1:
            yield band, range(blocks[0][0], blocks[0][-1] + 1)
            continue
        for block in blocks:
            yield from _regions(grid, band, range(block[0], block[-1] + 1), spacers)


def _runs(numbers: Sequence[int], is_full: Callable[[int], bool]) -> list[list[int]]:
    """Split numbers into runs of neighbours for which `is_full` holds."""
    runs: list[list[int]] = [[]]
    for number in numbers:
        if is_full(number):
            runs[-1].append(number)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _without_empty_columns(cells: Grid) -> Grid:
    filled = [column for column in range(len(cells[0])) if any(row[column] for row in cells)]
    return [[row[column] for column in filled] for row in cells]


def _caption(cells: Grid) -> tuple[str, Grid]:
    """Return the title in a table's first row, and the table without it.

    A title stands alone in the first cell, or in one cell merged over the whole table.
    """
    filled = [text for text in cells[0] if text]
    is_title = len(set(filled)) == 1 and len(filled) in (1, len(cells[0])) and cells[0][0]
    if not is_title or len(cells) < 3:
        return "", cells
    return filled[0], cells[1:]


def _height_of_corner(cells: Grid) -> int:
    corner = cells[0][0]
    return next((n for n, row in enumerate(cells) if row[0] != corner), len(cells))
