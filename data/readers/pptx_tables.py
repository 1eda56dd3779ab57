"""Read PowerPoint tables: fill merged cells and find the header."""

from __future__ import annotations

from lxml import etree

from data.readers.office_tables import header_depth
from data.readers.pptx_text import plain_text
from data.tables import Table

__all__ = ["table_of"]

_YES = ("1", "true")


def table_of(element: etree._Element) -> Table | None:
    """Return a table with each merged cell's text in all its places; None if it has no text."""
    rows: list[list[str]] = []
    corner_rows = 1
    for row in element.iterfind("{*}tr"):
        texts: list[str] = []
        for column, cell in enumerate(row.iterfind("{*}tc")):
            if cell.get("hMerge") in _YES and texts:
                texts.append(texts[-1])
            elif cell.get("vMerge") in _YES and rows and column < len(rows[-1]):
                texts.append(rows[-1][column])
            else:
                texts.append(plain_text(cell.find("{*}txBody")))
                if not rows and not column:
                    corner_rows = int(cell.get("rowSpan") or 1)
        rows.append(texts)
    if not any(map(any, rows)):
        return None
    width = max(map(len, rows))
    filled = tuple((*row, *[""] * (width - len(row))) for row in rows)
    depth = header_depth(filled, corner_rows)
    properties = element.find("{*}tblPr")
    if properties is not None and properties.get("firstRow") in _YES and len(filled) > 1:
        depth = depth or 1
    return Table(filled, depth)
