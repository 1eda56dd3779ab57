"""Read the cells of an Excel sheet as text and find the tables among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from openpyxl.cell import Cell
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from data.readers.office import clean_text
from data.readers.office_numbers import format_cell
from data.readers.sheet_regions import (
    MAX_COLUMNS,
    MAX_ROWS,
    Grid,
    SheetTable,
    SheetText,
    contents_of_grid,
)

__all__ = ["contents_of_sheet"]

_SPACER_WIDTH = 4.0  # characters; an empty column this narrow divides no table


def contents_of_sheet(sheet: Worksheet) -> Iterator[SheetTable | SheetText | Literal["cut off"]]:
    """Yield the tables and texts of a sheet, from top to bottom."""
    grid = _grid(sheet)
    spacers = {c for c in range(max(map(len, grid), default=0)) if _is_spacer(sheet, c)}
    yield from contents_of_grid(grid, spacers)
    if any(_is_beyond_limit(cell) for cell in sheet._cells.values()):
        yield "cut off"


def _grid(sheet: Worksheet) -> Grid:
    """Return the texts of all cells; a merged cell's text stands in all its places."""
    last_row, last_column = min(sheet.max_row, MAX_ROWS), min(sheet.max_column, MAX_COLUMNS)
    grid = [[""] * last_column for _ in range(last_row)]
    for (row, column), cell in sheet._cells.items():  # only cells that exist, however far apart
        if cell.value is not None and row <= last_row and column <= last_column:
            text = clean_text(format_cell(cell.value, cell.number_format).replace("\n", "\v"))
            grid[row - 1][column - 1] = " ".join(text.split())
    for area in sheet.merged_cells.ranges:
        if area.min_row <= last_row and area.min_col <= last_column:
            text = grid[area.min_row - 1][area.min_col - 1]
            for row in grid[area.min_row - 1 : area.max_row] if text else ():
                width = len(row[area.min_col - 1 : area.max_col])
                row[area.min_col - 1 : area.max_col] = [text] * width
    return grid


def _is_beyond_limit(cell: Cell) -> bool:
    return cell.value is not None and (cell.row > MAX_ROWS or cell.column > MAX_COLUMNS)


def _is_spacer(sheet: Worksheet, column: int) -> bool:
    dimension = sheet.column_dimensions.get(get_column_letter(column + 1))
    width = dimension.width if dimension is not None else None
    return width is not None and 0 < width < _SPACER_WIDTH
