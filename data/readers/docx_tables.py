"""Read Word tables: fill merged cells and find the header rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from docx.oxml.ns import qn
from lxml import etree

from data.readers.docx_styles import value_of
from data.readers.office_tables import header_depth
from data.readers.xml import local_name
from data.tables import Table

__all__ = ["cells_of", "table_of"]

_MAX_COLUMNS = 1024  # Word allows 63


@dataclass(frozen=True, slots=True)
class _Cell:
    element: etree._Element
    is_continued: bool  # whether it continues the cell above


def cells_of(table: etree._Element) -> list[etree._Element]:
    """Return the cells of a table in order, each once. Cells of tables inside it are left out."""
    rows = (row for row in table if local_name(row) == "tr")
    return [cell for row in rows for cell in row if local_name(cell) == "tc"]


def table_of(
    table: etree._Element, text_of: Callable[[etree._Element], str], caption: str
) -> Table | None:
    """Return a table with each merged cell's text in all its places; None if it has no text."""
    rows = [row for row in table if local_name(row) == "tr"]
    grid = [list(_columns(row)) for row in rows]
    width = max((len(row) for row in grid), default=0)
    owners: list[list[etree._Element | None]] = []
    for row_cells in grid:
        above = owners[-1] if owners else [None] * width
        owner = [
            above[i] if cell is not None and cell.is_continued else cell and cell.element
            for i, cell in enumerate(row_cells)
        ]
        owners.append([*owner, *[None] * (width - len(owner))])
    cells = {cell for row in owners for cell in row if cell is not None}
    texts = {cell: " ".join(text_of(cell).split()) for cell in cells}
    filled = tuple(tuple("" if c is None else texts[c] for c in row) for row in owners)
    if not any(map(any, filled)):
        return None
    marked = 0
    while marked < len(rows) - 1 and rows[marked].find("{*}trPr/{*}tblHeader") is not None:
        marked += 1
    corner = owners[0][0]
    corner_rows = next((n for n, row in enumerate(owners) if row[0] is not corner), len(owners))
    return Table(filled, marked or header_depth(filled, corner_rows), caption)


def _columns(row: etree._Element) -> Iterator[_Cell | None]:
    """Yield the cell of each column of a row; None for the columns that the row leaves out."""
    before = value_of(row.find("{*}trPr"), "gridBefore") or "0"
    yield from [None] * min(int(before) if before.isdecimal() else 0, _MAX_COLUMNS)
    for cell in row:
        if local_name(cell) == "tc":
            properties = cell.find("{*}tcPr")
            span = value_of(properties, "gridSpan") or "1"
            merge = properties.find("{*}vMerge") if properties is not None else None
            is_continued = merge is not None and merge.get(qn("w:val"), "continue") == "continue"
            columns = min(int(span) if span.isdecimal() else 1, _MAX_COLUMNS)
            yield from [_Cell(cell, is_continued)] * columns
