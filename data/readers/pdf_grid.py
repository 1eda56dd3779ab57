"""Read a table whose cells are framed by rules: rows, columns and merged cells.

Pure functions over lines and rectangles, as in `pdf_layout`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_hyphens import join_lines
from data.readers.pdf_layout import Line

__all__ = ["Grid", "cells_of_grid", "find_grid"]

_SNAP = 3.0  # points between edges that count as one
_THIN = 2.5  # points: a thicker rectangle has two edges
_MAX_CUT_SHARE = 0.15  # of the lines that an edge between columns may run through
_MIN_EDGE_SHARE = 0.3  # of the table's side that an edge of the grid covers


class Grid(NamedTuple):
    """The edges of a table's columns and rows, and the rules that lie on them."""

    lefts: list[float]  # ascending, with the right edge of the table as the last
    tops: list[float]  # ascending, with the bottom edge of the table as the last
    horizontal: list[Rectangle]
    vertical: list[Rectangle]


def find_grid(box: Rectangle, lines: Sequence[Line], rules: Sequence[Rectangle]) -> Grid | None:
    """Return the grid of the rules in `box`; None without rules between rows and columns."""
    horizontal = [edge for rule in rules for edge in _horizontal_edges(rule)]
    vertical = [edge for rule in rules for edge in _vertical_edges(rule)]
    tops = _edges(((e.top, e.width) for e in horizontal), box.top, box.bottom, box.width)
    lefts = _edges(((e.left, e.height) for e in vertical), box.left, box.right, box.height)
    lefts = [left for left in lefts if not _cuts_text(left, lines)]
    if len(lefts) < 3 or len(tops) < 3:
        return None
    # rows that no rule divides are rows of their own, if each has its own first cell
    inner: list[float] = []
    for top, bottom in pairwise(tops):
        inner += _undivided_rows([ln for ln in lines if top < _middle(ln) < bottom], lefts[1])
    return Grid(lefts, sorted([*tops, *inner]), horizontal, vertical)


def cells_of_grid(grid: Grid, lines: Sequence[Line]) -> tuple[tuple[str, ...], ...]:
    """Return the rows of a grid. The text of a merged cell stands in all cells that it covers."""
    width, height = len(grid.lefts) - 1, len(grid.tops) - 1
    contents: dict[tuple[int, int], list[Line]] = defaultdict(list)
    pieces = [piece for line in lines for piece in _split_at_edges(line, grid.lefts[1:-1])]
    for line in sorted(pieces, key=lambda line: (line.baseline, line.box.left)):
        row = min(max(bisect_right(grid.tops, _middle(line)) - 1, 0), height - 1)
        column = min(max(bisect_right(grid.lefts, line.box.left + 1) - 1, 0), width - 1)
        contents[row, column].append(line)
    area_of = _merged_areas(grid)
    texts: dict[int, list[Line]] = defaultdict(list)
    for cell, cell_lines in contents.items():
        texts[area_of[cell]] += cell_lines
    written = {area: _cell_text(cell_lines) for area, cell_lines in texts.items()}
    rows = tuple(
        tuple(written.get(area_of[row, column], "") for column in range(width))
        for row in range(height)
    )
    rows = tuple(row for row in rows if any(row))
    filled = [c for c in range(width) if any(row[c] for row in rows)]
    return tuple(tuple(row[c] for c in filled) for row in rows)


def _split_at_edges(line: Line, edges: Sequence[float]) -> list[Line]:
    """Split a line whose words stand in several columns, as the marks in narrow cells do."""
    if not line.upright or not line.words:
        return [line]
    if any(box.left < edge - 1 and box.right > edge + 1 for _, box in line.words for edge in edges):
        return [line]  # a word runs over an edge: the cell is merged
    groups: dict[int, list[tuple[str, Rectangle]]] = defaultdict(list)
    for text, box in line.words:
        groups[bisect_right(edges, (box.left + box.right) / 2)].append((text, box))
    if len(groups) < 2:
        return [line]
    return [_piece(line, words) for words in groups.values()]


def _piece(line: Line, words: Sequence[tuple[str, Rectangle]]) -> Line:
    box = words[0][1]
    for _, other in words[1:]:
        box = box.union(other)
    return replace(line, text=" ".join(text for text, _ in words), box=box, words=tuple(words))


def _cell_text(lines: Sequence[Line]) -> str:
    ordered = sorted(lines, key=lambda line: (round(line.baseline), line.box.left))
    return join_lines(line.text for line in ordered)


def _merged_areas(grid: Grid) -> dict[tuple[int, int], int]:
    """Return the area of each cell: cells without a rule between them are one area."""
    width, height = len(grid.lefts) - 1, len(grid.tops) - 1
    area_of = {(r, c): r * width + c for r in range(height) for c in range(width)}

    def merge(a: tuple[int, int], b: tuple[int, int]) -> None:
        old, new = area_of[b], area_of[a]
        for cell, area in area_of.items():
            if area == old:
                area_of[cell] = new

    ruled_tops = {
        top: [e for e in grid.horizontal if abs(e.top - top) <= _SNAP] for top in grid.tops
    }
    ruled_lefts = {x: [e for e in grid.vertical if abs(e.left - x) <= _SNAP] for x in grid.lefts}
    for row in range(height):
        middle_y = (grid.tops[row] + grid.tops[row + 1]) / 2
        for column in range(width):
            middle_x = (grid.lefts[column] + grid.lefts[column + 1]) / 2
            above = ruled_tops[grid.tops[row]]
            if row and above and not any(e.left <= middle_x <= e.right for e in above):
                merge((row - 1, column), (row, column))
            left_rules = ruled_lefts[grid.lefts[column]]
            if column and left_rules and not any(e.top <= middle_y <= e.bottom for e in left_rules):
                merge((row, column - 1), (row, column))
    return area_of


def _undivided_rows(lines: Sequence[Line], first_right: float) -> list[float]:
    """Return the edges between rows of a band that no rules divide."""
    baselines: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        baselines[round(line.baseline / 2)].append(line)
    rows = [baselines[key] for key in sorted(baselines)]
    with_label = [row for row in rows if any(line.box.left < first_right for line in row)]
    full = [row for row in with_label if len(row) > 1]
    if len(full) < 3 or len(full) < 0.6 * len(rows):
        return []
    return [min(line.box.top for line in row) for row in with_label[1:]]


def _horizontal_edges(rule: Rectangle) -> list[Rectangle]:
    left, top, right, bottom = rule
    if rule.height < _THIN:
        return [rule] if rule.width > rule.height else []
    return [Rectangle(left, top, right, top), Rectangle(left, bottom, right, bottom)]


def _vertical_edges(rule: Rectangle) -> list[Rectangle]:
    left, top, right, bottom = rule
    if rule.width < _THIN:
        return [rule] if rule.height > rule.width else []
    return [Rectangle(left, top, left, bottom), Rectangle(right, top, right, bottom)]


def _edges(
    rules: Iterable[tuple[float, float]], first: float, last: float, side: float
) -> list[float]:
    """Return the positions of edges that cover enough of the table's side, outer ones included."""
    clusters: list[list[float]] = []  # position, covered length
    for position, length in sorted([*rules, (first, side), (last, side)]):
        if clusters and position - clusters[-1][0] <= _SNAP:
            clusters[-1][1] += length
        else:
            clusters.append([position, length])
    return [position for position, length in clusters if length >= _MIN_EDGE_SHARE * side]


def _cuts_text(left: float, lines: Sequence[Line]) -> bool:
    """Return whether an edge runs through more lines of type than merged cells explain."""
    cut = sum(line.box.left < left - 2 and line.box.right > left + 2 for line in lines)
    return cut > max(1, _MAX_CUT_SHARE * len(lines))


def _middle(line: Line) -> float:
    return (line.box.top + line.box.bottom) / 2
