"""Tables of a page: those that hold data, as opposed to those that only arrange the page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from lxml.html import HtmlElement

from data.readers.page_pictures import pictures_of
from data.readers.page_text import HEADINGS, is_hidden, text_of
from data.readers.table_grid import Cell, grid_table
from data.tables import Table, markdown_table, row_statements

__all__ = ["captions_below", "is_layout", "rows_of", "table_of"]

_BLOCKS_OF_LAYOUT = ("figure", "pre", "main", "article", "nav", "form", "blockquote")


def table_of(element: HtmlElement, caption: str = "") -> Table:
    """Return the data table of a `table` element; `caption` stands in for a missing one."""
    own_caption = next((" ".join(text_of(c).split()) for c in element.iterchildren("caption")), "")
    rows = list(rows_of(element))
    head_rows = 0
    for row in rows:
        parent = row.getparent()
        if parent is None or parent.tag != "thead":
            break
        head_rows += 1
    cells = [[_cell(cell) for cell in _cells(row)] for row in rows]
    return grid_table(cells, own_caption or caption, head_rows)


def rows_of(table: HtmlElement) -> Iterator[HtmlElement]:
    """Yield the rows of a table, without those of tables inside it."""
    for row in table.iter("tr"):
        if next(row.iterancestors("table"), None) is table and not is_hidden(row):
            yield row


def _cells(row: HtmlElement) -> list[HtmlElement]:
    return [cell for cell in row if cell.tag in ("td", "th")]


def _cell(cell: HtmlElement) -> Cell:
    names_row = cell.tag == "th" and cell.get("scope") in ("row", "rowgroup")
    is_header = not names_row and (cell.tag == "th" or _is_bold(cell))
    column_span, row_span = (_span(cell.get(name)) for name in ("colspan", "rowspan"))
    return Cell(_cell_text(cell), is_header, column_span, row_span, names_row)


def _span(text: str | None) -> int:
    digits = (text or "1").strip()
    return int(digits) if digits.isdecimal() and len(digits) < 6 else 1


def _cell_text(cell: HtmlElement) -> str:
    """Return the text of a cell on one line; lists and tables inside it keep their parts apart."""
    nested = [t for t in cell.iter("table") if next(t.iterancestors("td", "th")) is cell]
    lines = _lines_around(cell, nested) if nested else text_of(cell).split("\n")
    is_list = bool(nested) or next(cell.iter("li"), None) is not None
    return ("; " if is_list else " ").join(line for line in lines if line)


def _lines_around(cell: HtmlElement, tables: list[HtmlElement]) -> list[str]:
    """Return the text of a cell outside its tables, and their rows as statements."""
    lines = [text_of(child) for child in cell if next(child.iter("table"), None) is None]
    lines = [" ".join((cell.text or "").split()), *(" ".join(line.split()) for line in lines)]
    for table in tables:
        contents = table_of(table)
        lines += [contents.caption, *row_statements(markdown_table(contents))]
        lines.append(" ".join((table.tail or "").split()))
    return lines


def _is_bold(cell: HtmlElement) -> bool:
    """Return whether all words of a cell are bold, as in tables of word processors."""
    text = "".join(text_of(cell).split())
    bold = "".join("".join(text_of(b).split()) for b in cell.iter("b", "strong"))
    return bool(text) and text == bold


def is_layout(table: HtmlElement) -> bool:
    """Return whether a table only arranges the page."""
    if table.get("role") in ("presentation", "none"):
        return True
    rows = [_cells(row) for row in rows_of(table)]
    if max((len(row) for row in rows), default=0) < 2:
        return True
    if any(cell.tag == "th" for row in rows for cell in row):
        return False
    if next(table.iterchildren("caption", "thead"), None) is not None:
        return False
    cells = [cell for row in rows for cell in row]
    return any(_arranges(cell) for cell in cells) or bool(captions_below(table))


def _arranges(cell: HtmlElement) -> bool:
    """Return whether a cell holds a part of a page, not a value."""
    if next(cell.iter("table", *_BLOCKS_OF_LAYOUT), None) is not None:
        return True
    heading = next(cell.iter(*HEADINGS), None)
    if heading is not None and text_of(heading) != text_of(cell):
        return True
    return next(pictures_of(cell), None) is not None and bool(text_of(cell))


def captions_below(table: HtmlElement) -> list[tuple[HtmlElement, HtmlElement]]:
    """Return the pairs of cells of a grid of pictures: a picture, and its words one row below."""
    rows = [_cells(row) for row in rows_of(table)]
    pairs: list[tuple[HtmlElement, HtmlElement]] = []
    for pictures, words in pairwise(rows):
        if len(pictures) == len(words) and all(map(_is_picture, pictures)):
            if any(_is_picture(cell) for cell in words):
                continue
            pairs += zip(pictures, words, strict=True)
    return pairs


def _is_picture(cell: HtmlElement) -> bool:
    return next(pictures_of(cell), None) is not None and not text_of(cell)
