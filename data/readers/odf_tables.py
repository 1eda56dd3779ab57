"""Read the tables of OpenDocument files: repeated and merged cells, sheets and chart values."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lxml import etree

from data.readers.odf_package import attribute
from data.readers.office_charts import Chart
from data.readers.office_tables import header_depth
from data.readers.sheet_regions import MAX_COLUMNS, MAX_ROWS, Grid
from data.readers.xml import local_name
from data.tables import Table

__all__ = ["cells_of", "chart_of", "grid_of", "table_of"]

_ROW_GROUPS = ("table-header-rows", "table-rows", "table-row-group")
_CELLS = ("table-cell", "covered-table-cell")
_KINDS = {"circle": "pie", "filled-radar": "radar"}


def table_of(
    element: etree._Element, text_of: Callable[[etree._Element], str], caption: str = ""
) -> Table | None:
    """Return a table with each merged cell's text in all its places; None if it has no text."""
    grid = grid_of(element, text_of)
    if not any(map(any, grid)):
        return None
    marked = sum(_repetitions(row, "rows") for row in element.iterfind(".//{*}table-header-rows/*"))
    first = next(cells_of(element), None)
    corner = attribute(first, "table:number-rows-spanned")
    depth = header_depth(grid, int(corner) if corner.isdecimal() else 1)
    filled = tuple(map(tuple, grid))
    return Table(filled, min(marked, len(grid) - 1) or depth, caption)


def grid_of(element: etree._Element, text_of: Callable[[etree._Element], str]) -> Grid:
    """Return the texts of a table's cells; empty rows and columns at the end are left out."""
    rows: Grid = []
    spans: list[tuple[int, int, int, int, str]] = []  # top, left, height, width and text
    for row in _rows(element):
        texts: list[str] = []
        for cell in row:
            if local_name(cell) not in _CELLS:
                continue
            text = " ".join(text_of(cell).split())
            height, width = (
                int(attribute(cell, f"table:number-{name}-spanned") or 1)
                for name in ("rows", "columns")
            )
            if text and (height, width) != (1, 1):
                spans.append((len(rows), len(texts), height, width, text))
            count = _repetitions(cell, "columns")
            texts += [text] * min(count, MAX_COLUMNS - len(texts))
        while texts and not texts[-1]:
            texts.pop()
        rows += [list(texts) for _ in range(min(_repetitions(row, "rows"), MAX_ROWS - len(rows)))]
        if len(rows) >= MAX_ROWS:
            break
    while (
        rows and not rows[-1] and not any(top + high >= len(rows) for top, _, high, _, _ in spans)
    ):
        rows.pop()
    return _filled(rows, spans)


def cells_of(element: etree._Element) -> Iterator[etree._Element]:
    """Yield the cells of a table in order. Cells of tables inside it are left out."""
    for row in _rows(element):
        yield from (cell for cell in row if local_name(cell) == "table-cell")


def chart_of(root: etree._Element, text_of: Callable[[etree._Element], str]) -> Chart | None:
    """Return the chart of an embedded chart document; None if it holds no values."""
    chart = next((c for c in root.iter("{*}chart") if attribute(c, "chart:class")), None)
    local = next((t for t in root.iter("{*}table")), None)
    table = table_of(local, text_of) if local is not None else None
    if chart is None or table is None:
        return None
    kind = attribute(chart, "chart:class").removeprefix("chart:")
    title = chart.find("{*}title")
    words = " ".join(text_of(title).split()) if title is not None else ""
    return Chart(_KINDS.get(kind, kind), words, table)


def _rows(element: etree._Element) -> Iterator[etree._Element]:
    for child in element:
        if local_name(child) == "table-row":
            yield child
        elif local_name(child) in _ROW_GROUPS:
            yield from _rows(child)


def _repetitions(element: etree._Element, name: str) -> int:
    count = attribute(element, f"table:number-{name}-repeated") or "1"
    return int(count) if count.isdecimal() else 1


def _filled(rows: Grid, spans: list[tuple[int, int, int, int, str]]) -> Grid:
    width = max(
        [len(row) for row in rows]
        + [min(left + wide, MAX_COLUMNS) for _, left, _, wide, _ in spans],
        default=0,
    )
    grid = [[*row, *[""] * (width - len(row))] for row in rows]
    for top, left, height, wide, text in spans:
        for row in grid[top : top + height]:
            row[left : left + wide] = [text] * len(row[left : left + wide])
    return grid
