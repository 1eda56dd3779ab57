"""Tables as text: a Markdown table for display, and one statement per row for search and answers.

A reader makes a `Table` and stores `markdown_table(table)` in a block of role "table". Everything
downstream works from that text: `split_table` cuts a long table between rows and repeats its
caption and header; `row_statements` reads each row with the names of its columns, so that a label
and its value always come from one row ("Bromine: boiling point (K) 332"). `text_parts` finds the
tables of a longer text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = [
    "Table",
    "markdown_table",
    "parse_table",
    "row_sentences",
    "row_statement",
    "row_statements",
    "split_table",
    "statement_text",
    "text_parts",
    "with_full_stop",
]

_SEPARATOR = re.compile(r"\|(?: ?:?-{3,}:? ?\|)+")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its merged cells filled: every row has one text for each column.

    The first `header_rows` rows name the columns. It is 0 if the table has no header.
    """

    rows: tuple[tuple[str, ...], ...]
    header_rows: int = 1
    caption: str = ""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns; the rows of a deep header are joined: "Density, at 20 °C"."""
        header = self.rows[: self.header_rows]
        return tuple(
            ", ".join(dict.fromkeys(filter(None, column))) for column in zip(*header, strict=True)
        )

    @property
    def body(self) -> tuple[tuple[str, ...], ...]:
        """The rows below the header."""
        return self.rows[self.header_rows :]


def markdown_table(table: Table) -> str:
    """Return the caption and the table in Markdown. A deep header becomes one row.

    The header row is empty if the table has no header. Cells are one line each; `|` is escaped.
    """
    width = max((len(row) for row in table.rows), default=0)
    header = table.column_names if table.header_rows else ("",) * width
    lines = [_line(header, width), "|" + " --- |" * width]
    lines += [_line(row, width) for row in table.body if any(row)]
    return "\n".join([table.caption, *lines] if table.caption else lines)


def parse_table(text: str) -> Table | None:
    """Return the table that `markdown_table` wrote, or None if the text holds no such table."""
    lines = text.split("\n")
    border = next((n for n, line in enumerate(lines) if _SEPARATOR.fullmatch(line)), 0)
    if not border:
        return None
    header = _cells(lines[border - 1])
    has_header = any(header)
    rows = [_cells(line) for line in lines[border + 1 :] if line.startswith("|")]
    rows = [header, *rows] if has_header else rows
    width = max(map(len, rows), default=0)  # tables that people typed may have rows of any length
    padded = tuple(row + ("",) * (width - len(row)) for row in rows)
    return Table(padded, int(has_header), "\n".join(lines[: border - 1]))


def split_table(text: str, limit: int) -> list[str]:
    """Split a Markdown table between rows into pieces of at most `limit` characters.

    Every piece repeats the caption and the header. A row longer than the limit stays whole.
    """
    lines = text.split("\n")
    border = next((n for n, line in enumerate(lines) if _SEPARATOR.fullmatch(line)), 0)
    head, rows = lines[: border + 1], lines[border + 1 :]
    pieces: list[list[str]] = []
    size = limit + 1
    for row in rows:
        if size + len(row) > limit:
            pieces.append(list(head))
            size = sum(len(line) + 1 for line in head)
        pieces[-1].append(row)
        size += len(row) + 1
    return ["\n".join(piece) for piece in pieces] or [text]


def row_statements(text: str) -> list[str]:
    """Return one statement for each row of a Markdown table; an empty list for other text.

    | Halogen | Boiling point (K) |        Bromine: Boiling point (K) 332
    | Bromine | 332 |
    """
    table = parse_table(text)
    return _statements(table) if table else []


def row_statement(names: Sequence[str], row: Sequence[str]) -> str:
    """Return one row as a statement: its first cell, then the others with the column's name.

    `names` may be empty. A cell that was merged over the whole row is stated once.
    """
    label, *values = row
    if set(values) <= {label} and any(letter.isalpha() for letter in label):
        return label
    named = list(_named_values(names, values)) if names else [value for value in values if value]
    return ": ".join(filter(None, [label, "; ".join(named)]))


def text_parts(text: str) -> Iterator[str | Table]:
    """Yield the lines of a text in order, and each table among them as a `Table` of its rows.

    The caption of a table is a line of the text like any other.
    """
    lines = text.split("\n")
    start = 0
    while start < len(lines):
        table, end = _table_at(lines, start)
        yield table or lines[start]
        start = end


def statement_text(text: str) -> str:
    """Return a text in which each row of a table is a sentence on a line of its own."""
    lines = []
    for part in text_parts(text):
        lines += list(row_sentences(part).values()) if isinstance(part, Table) else [part]
    return "\n".join(lines)


def row_sentences(table: Table) -> dict[int, str]:
    """Return the statement of each row that has one, with a full stop, by its index in `body`."""
    statements = (row_statement(table.column_names, row) for row in table.body)
    return {n: with_full_stop(s) for n, s in enumerate(statements) if s}


def with_full_stop(statement: str) -> str:
    """Return a statement that ends as a sentence does."""
    return statement if statement.endswith((".", "!", "?")) else f"{statement}."


def _table_at(lines: Sequence[str], start: int) -> tuple[Table | None, int]:
    """Return the table whose header is at `start`, if there is one, and the line behind it."""
    border = start + 1
    is_table = lines[start].startswith("|") and border < len(lines)
    if not is_table or not _SEPARATOR.fullmatch(lines[border]):
        return None, border
    end = border + 1
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    return parse_table("\n".join(lines[start:end])), end


def _statements(table: Table) -> list[str]:
    return [s for row in table.body if (s := row_statement(table.column_names, row))]


def _named_values(names: Sequence[str], values: Sequence[str]) -> Iterator[str]:
    for name, value in zip(names[1:], values, strict=False):
        if value:
            yield f"{name} {value}".strip()


def _line(cells: Sequence[str], width: int) -> str:
    padded = [*cells, *[""] * (width - len(cells))]
    return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in padded) + " |"


def _cells(line: str) -> tuple[str, ...]:
    inner = _CELL_BORDER.split(line.strip())[1:-1]
    return tuple(cell.strip().replace("\\|", "|") for cell in inner)
