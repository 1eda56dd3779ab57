"""Tables of LaTeX as HTML: rows, merged cells, and the lines that set the header apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pylatexenc.latexwalker import (
    LatexCharsNode,
    LatexCommentNode,
    LatexMacroNode,
    LatexSpecialsNode,
)

__all__ = ["table_html"]

_LINES = frozenset(
    {"hline", "toprule", "bottomrule", "cline", "cmidrule", "endhead", "addlinespace"}
)
_HEADER_ENDS = frozenset({"midrule", "endhead", "endfirsthead"})

Convert = Callable[[Sequence[Any]], str]


@dataclass
class _Rows:
    rows: list[list[list[Any]]] = field(default_factory=lambda: [[[]]])
    line_positions: list[int] = field(default_factory=list)  # the number of rows above each line
    header_rows: int = 0

    def end_row(self) -> None:
        self.rows.append([[]])

    def count(self) -> int:
        return len([row for row in self.rows if any(_visible(cell) for cell in row)])


def table_html(nodes: Sequence[Any], convert: Convert) -> str:
    """Return the HTML of a `tabular` environment's contents.

    The rows above the first `\\midrule` are the header, or the first row if `\\hline` stands above
    and below it.
    """
    table = _Rows()
    caption = ""
    for node in nodes or ():
        if isinstance(node, LatexSpecialsNode) and node.specials_chars == "&":
            table.rows[-1].append([])
        elif isinstance(node, LatexMacroNode) and node.macroname in ("\\", "tabularnewline"):
            table.end_row()
        elif isinstance(node, LatexMacroNode) and node.macroname in _HEADER_ENDS:
            table.header_rows = table.header_rows or table.count()
        elif isinstance(node, LatexMacroNode) and node.macroname in _LINES:
            table.line_positions.append(table.count())
        elif isinstance(node, LatexMacroNode) and node.macroname == "caption":
            caption = f"<caption>{convert(node.nodeargd.argnlist[-1:])}</caption>"
        else:
            table.rows[-1][-1].append(node)
    rows = [row for row in table.rows if any(_visible(cell) for cell in row)]
    header_rows = table.header_rows or int({0, 1} <= set(table.line_positions) and len(rows) > 2)
    return f"<table>{caption}{_rows_html(rows, header_rows, convert)}</table>"


def _visible(cell: Sequence[Any]) -> list[Any]:
    return [
        node
        for node in cell
        if not isinstance(node, LatexCommentNode)
        and not (isinstance(node, LatexCharsNode) and not node.chars.strip())
    ]


def _rows_html(rows: Sequence[list[list[Any]]], header_rows: int, convert: Convert) -> str:
    """Return the rows; an empty cell that only leaves room for a merged one above is left out."""
    lines: list[str] = []
    covered: dict[int, int] = {}  # by column: how many more rows a merged cell takes
    for index, row in enumerate(rows):
        cells: list[str] = []
        column = 0
        for cell in row:
            width, height, contents = _spans(cell)
            if covered.get(column, 0) > 0 and not _visible(cell):
                covered[column] -= 1
            else:
                tag = "th" if index < header_rows else "td"
                span = f' colspan="{width}" rowspan="{height}"'
                cells.append(f"<{tag}{span}>{convert(contents)}</{tag}>")
                covered |= dict.fromkeys(range(column, column + width), height - 1)
            column += width
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "".join(lines)


def _spans(cell: list[Any]) -> tuple[int, int, Sequence[Any]]:
    """Return how many columns and rows a cell takes, and its contents."""
    width, height = 1, 1
    contents: Sequence[Any] = cell
    nodes = _visible(cell)
    while len(nodes) == 1 and isinstance(nodes[0], LatexMacroNode):
        macro = nodes[0]
        if macro.macroname not in ("multicolumn", "multirow"):
            break
        arguments = [a for a in macro.nodeargd.argnlist if a is not None]
        digits = str(arguments[0].latex_verbatim()).strip("{} ")
        count = int(digits) if digits.isdecimal() and len(digits) < 4 else 1
        width, height = (count, height) if macro.macroname == "multicolumn" else (width, count)
        contents = [arguments[-1]]
        nodes = _visible(getattr(arguments[-1], "nodelist", None) or [])
    return width, height, contents
