"""Read CSV and TSV files: the tables among their rows, in any common dialect and encoding."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from data.documents import Block, Document, Problem
from data.errors import BadInput
from data.readers.files import decode, fingerprint, format_of, read_text_bytes, source_of
from data.readers.formulas import normalise_formulas
from data.readers.sheet_regions import MAX_COLUMNS, MAX_ROWS, Grid, SheetTable, contents_of_grid
from data.readers.structure import Content, assemble, humanise
from data.tables import markdown_table

__all__ = ["DelimitedReader"]

_DELIMITERS = ",;\t|"
_SAMPLE_CHARACTERS = 16_384


class DelimitedReader:
    """Read `.csv` and `.tsv` files."""

    name = "delimited"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "delimited"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source, title = source_of(path, root), humanise(path.stem)
        yield Document(source, path, fingerprint(path), title, partial(_read, path, source, title))


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    text = decode(read_text_bytes(path, source), source)
    grid: Grid = []
    is_cut = False
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), _dialect(text)):
            is_cut = is_cut or len(grid) == MAX_ROWS or len(cells) > MAX_COLUMNS
            if len(grid) == MAX_ROWS:
                break
            grid.append([normalise_formulas(" ".join(c.split())) for c in cells[:MAX_COLUMNS]])
    except csv.Error as error:
        raise BadInput(f"{source}: no table in rows ({error}); save it as CSV again") from None
    width = max(map(len, grid), default=0)
    contents: list[Content] = []
    for content in contents_of_grid([[*row, *[""] * (width - len(row))] for row in grid]):
        if isinstance(content, SheetTable):
            table = content.table
            contents.append(Block(markdown_table(table), (title,), "table", table.caption))
        else:
            contents.append(Block(content.text, (title,)))
    if not contents:
        raise BadInput(f"{source}: no values in this file; nothing to index")
    if is_cut:
        message = f"only the first {MAX_ROWS:,} rows and {MAX_COLUMNS:,} columns are read; split it"
        contents.append(Problem("", message, "table"))
    yield from assemble(contents)


def _dialect(text: str) -> type[csv.Dialect]:
    """Return how the values are divided and quoted. A file without signs of it is plain CSV."""
    try:
        return csv.Sniffer().sniff(text[:_SAMPLE_CHARACTERS], _DELIMITERS)
    except csv.Error:
        return csv.excel
