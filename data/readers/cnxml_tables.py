"""Tables of CNXML, which follow the CALS model: named columns, spans by name, rows of `thead`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lxml import etree

from data.readers.table_grid import Cell, grid_table
from data.readers.xml import local_name
from data.tables import Table

__all__ = ["cnxml_table"]

EntryText = Callable[[etree._Element], str]


def cnxml_table(element: etree._Element, entry_text: EntryText, caption: str = "") -> Table:
    """Return the table of a `table` element. `entry_text` returns the text of a cell."""
    heads: list[list[Cell]] = []
    bodies: list[list[Cell]] = []
    feet: list[list[Cell]] = []
    columns: dict[str, int] = {}
    spans: dict[str, tuple[str, str]] = {}
    for part in _parts(element):
        name = local_name(part)
        if name == "colspec":
            number = part.get("colnum", "")
            position = int(number) if number.isdecimal() else len(columns) + 1
            columns[part.get("colname", f"c{position}")] = position
        elif name == "spanspec":
            spans[part.get("spanname", "")] = (part.get("namest", ""), part.get("nameend", ""))
        else:
            cells = [
                _cell(entry, columns, spans, entry_text)
                for entry in part
                if local_name(entry) in ("entry", "entrytbl")
            ]
            group = local_name(part.getparent())
            {"thead": heads, "tfoot": feet}.get(group, bodies).append(cells)
    return grid_table([*heads, *bodies, *feet], caption, len(heads))


def _parts(table: etree._Element) -> Iterator[etree._Element]:
    """Yield the columns, spans and rows of a table, without those of tables inside it."""
    for child in table:
        name = local_name(child)
        if name in ("colspec", "spanspec", "row"):
            yield child
        elif name in ("tgroup", "thead", "tbody", "tfoot"):
            yield from _parts(child)


def _cell(
    entry: etree._Element,
    columns: dict[str, int],
    spans: dict[str, tuple[str, str]],
    entry_text: EntryText,
) -> Cell:
    first, last = spans.get(entry.get("spanname", ""), ("", ""))
    start = columns.get(entry.get("namest", first), 0)
    end = columns.get(entry.get("nameend", last), 0)
    more_rows = entry.get("morerows", "0")
    return Cell(
        " ".join(entry_text(entry).split()),
        column_span=max(end - start + 1, 1) if start and end else 1,
        row_span=1 + (int(more_rows) if more_rows.isdecimal() and len(more_rows) < 5 else 0),
    )
