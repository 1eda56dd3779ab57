"""Read CSV and TSV files as tables. The separator and the header are recognised."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from data.documents import Block, Document, Problem
from data.errors import BadInput
from data.readers.files import decode, fingerprint, format_of, read_text_bytes, source_of
from data.readers.structure import Content, humanise
from data.readers.table_grid import looks_like_number
from data.tables import Table, markdown_table

__all__ = ["DelimitedReader"]

MAX_ROWS = 5_000  # a longer table is a recording, not a page of a textbook
_SAMPLE_CHARACTERS = 16_384
_SEPARATORS = ",;\t|"


class DelimitedReader:
    """Read `.csv` and `.tsv` files."""

    name = "delimited"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "csv"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source, title = source_of(path, root), humanise(path.stem)
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read)


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    text = decode(read_text_bytes(path, source), source)
    try:
        rows = [tuple(cell.strip() for cell in row) for row in _rows(text, path.suffix.lower())]
    except csv.Error as error:
        raise BadInput(f"{source}: not a table with separators ({error}); save it again") from None
    captions: list[str] = []
    rows = [row for row in rows if any(row)]
    while rows and _is_caption(rows[0], rows):
        captions.append(" ".join(filter(None, rows.pop(0))).lstrip("# "))
    width = max((len(row) for row in rows), default=0)
    if not width:
        raise BadInput(f"{source}: no rows in this table; nothing to index")
    padded = tuple((*row, *[""] * (width - len(row))) for row in rows[: MAX_ROWS + 1])
    table = Table(padded, int(_has_header(padded)), "\n".join(captions))
    yield Block(markdown_table(table), (title,), "table", title=captions[0] if captions else title)
    if len(rows) > MAX_ROWS + 1:
        message = f"only the first {MAX_ROWS:,} of {len(rows):,} rows are read; split the table"
        yield Problem(f"row-{MAX_ROWS + 1}", message, "table")


def _rows(text: str, suffix: str) -> Iterable[list[str]]:
    if suffix == ".tsv":
        return csv.reader(text.splitlines(keepends=True), delimiter="\t")
    try:
        dialect: type[csv.Dialect] | str = csv.Sniffer().sniff(
            text[:_SAMPLE_CHARACTERS], _SEPARATORS
        )
    except csv.Error:
        dialect = "excel"
    return csv.reader(text.splitlines(keepends=True), dialect)


def _is_caption(row: tuple[str, ...], rows: list[tuple[str, ...]]) -> bool:
    """Return whether a row is a remark above the table: a comment, or one cell of several."""
    is_narrow = len([cell for cell in row if cell]) == 1 and max(map(len, rows)) > 1
    return len(rows) > 1 and (row[0].startswith("#") or (is_narrow and bool(row[0])))


def _has_header(rows: tuple[tuple[str, ...], ...]) -> bool:
    """Return whether the first row names the columns: words, all different, above other rows."""
    names = [name for name in rows[0] if name]
    are_names = len(set(names)) == len(names) and not any(map(looks_like_number, names))
    return len(rows) > 1 and len(names) >= len(rows[0]) - 1 and are_names
