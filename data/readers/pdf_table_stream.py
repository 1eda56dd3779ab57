"""Turn the tables of a PDF into blocks; each page of a long table has caption and header."""

from __future__ import annotations

from data.documents import Block
from data.readers.pdf_captions import label_anchor, parse_caption
from data.readers.pdf_layout import Paragraph
from data.readers.pdf_tables import PdfTable
from data.readers.structure import Anchors
from data.records import Box
from data.tables import Table, markdown_table

__all__ = ["TableStream"]


class TableStream:
    """Remembers the last table of a document, because the next page may continue it."""

    def __init__(self, anchors: Anchors) -> None:
        self._anchors = anchors
        self._last: Table | None = None
        self._last_page = 0

    def block(
        self,
        pdf_table: PdfTable,
        caption: Paragraph | None,
        is_first_of_page: bool,
        section: tuple[str, ...],
        box: Box,
    ) -> Block:
        """Return the block of a table. `is_first_of_page`: nothing stands above it on its page."""
        page = box[0]
        table = Table(pdf_table.rows, pdf_table.header_rows, caption.text if caption else "")
        if is_first_of_page and page == self._last_page + 1 and not caption:
            table = self._continued(table)
        self._last, self._last_page = table, page
        label = parse_caption(caption.text) if caption else None
        return Block(
            text=markdown_table(table),
            section=section,
            role="table",
            title=table.caption,
            anchor=self._anchors.claim(label_anchor(*label)) if label else "",
            page=page,
            boxes=(box,),
        )

    def _continued(self, table: Table) -> Table:
        """Return the table with the caption and header of the last one, if it continues that."""
        last = self._last
        if last is None or len(last.rows[0]) != len(table.rows[0]):
            return table
        header = last.rows[: last.header_rows]
        if table.rows[: table.header_rows] == header:
            return Table(table.rows, table.header_rows, last.caption)
        if table.header_rows:
            return table  # a table of its own
        return Table((*header, *table.rows), last.header_rows, last.caption)
