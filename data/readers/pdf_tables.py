"""Read the tables of a page: grids of rules, stacks of rules, and rows of aligned cells.

Pure functions over lines and rectangles, as in `pdf_layout`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from data.readers.pdf_captions import CAPTION
from data.readers.pdf_figures import Graphic
from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_grid import Grid, cells_of_grid, find_grid
from data.readers.pdf_hyphens import join_lines
from data.readers.pdf_layout import Line, order_columns

__all__ = ["PdfTable", "find_tables"]

_GRID_WEIGHT, _RULES_WEIGHT = 1.6, 1.2  # of a candidate's lines, against alignment alone
_MIN_ROWS, _MIN_COLUMNS = 3, 2  # of a table without rules
_MAX_SINGLE_LINES = 2  # between two rows with several cells
_MAX_ROW_STEP = 2.6  # between the baselines of rows, in sizes of the type
_MAX_CELL_WORDS = 6  # in the median cell of a table without rules
_MIN_UPRIGHT_SHARE = 0.6  # of the lines in a table; headers of narrow columns may be turned
_MAX_PROSE_CELLS = 0.03  # share of prose among cells, for each word allowed in the median cell
_MAX_RULED_CELL_WORDS = 10  # in the median cell of a table with rules between some rows
_MAX_RUNNING_TEXT = 0.35  # share of cells that begin with a small letter
_NUMBER = re.compile(r"[-−–+(~<>≈±$€£]?\s?\d[\d.,\s]*\)?\s?%?|[-−–—]|n/?a", re.IGNORECASE)
_YEAR = re.compile(r"(19|20)\d\d\W?")
_LONE_SIGN = re.compile(r"[$€£(%)]{1,2}|\)\s?%?")


@dataclass(frozen=True, eq=False)
class PdfTable:
    """A table with one text per cell; the cells of merged areas are filled.

    `box` is in the frame of the lines. The first `header_rows` rows name the columns.
    """

    box: Rectangle
    lines: tuple[Line, ...]
    rows: tuple[tuple[str, ...], ...]
    header_rows: int

    @property
    def page_box(self) -> Rectangle:
        """The place of the table on the page."""
        box = self.lines[0].page_box
        for line in self.lines[1:]:
            box = box.union(line.page_box)
        return box


def find_tables(
    graphics: Sequence[Graphic], lines: Sequence[Line], areas: Sequence[Rectangle]
) -> list[PdfTable]:
    """Return the tables among the lines; `areas` hold rules around rows of cells.

    Where candidates share lines, the one with the most lines is read. Rules count more than
    alignment.
    """
    rules = [g.box for g in graphics if g.kind in ("rule", "rect")]
    upright = [line for line in lines if line.upright]
    size = median(line.font_size for line in upright) if upright else 0.0
    columns = order_columns(upright, size) if upright else []
    candidates = [(1.0, table) for column in columns for table in _aligned_tables(column)]
    for area in areas:
        inside = [line for line in lines if area.contains_centre(line.box)]
        level_text = [line for line in inside if line.upright]
        if len(level_text) < _MIN_UPRIGHT_SHARE * len(inside):
            continue  # a table that is set sideways is read in its own frame
        near = [rule for rule in rules if area.touches(rule)]
        grid = find_grid(area, level_text, near)
        table = _table_of_grid(grid, inside) if grid else None
        if table:
            candidates.append((_GRID_WEIGHT, replace(table, box=area.union(table.box))))
            continue
        level = [rule for rule in near if rule.width > 5 * rule.height]
        table = _table_of_rows(level_text, level)
        if table and not _is_running_text(_rows(level_text), level_text, _MAX_RULED_CELL_WORDS):
            candidates.append((_RULES_WEIGHT, replace(table, box=area.union(table.box))))
    candidates.sort(key=lambda candidate: -candidate[0] * len(candidate[1].lines))
    tables: list[PdfTable] = []
    used: set[int] = set()
    for _, table in candidates:
        ids = {id(line) for line in table.lines}
        if not ids & used:
            tables.append(table)
            used |= ids
    return tables


def _aligned_tables(lines: Sequence[Line]) -> list[PdfTable]:
    """Return the tables without rules: rows of short cells that stand below each other."""
    tables = []
    for rows in _runs_of_rows(_rows(lines)):
        cells = [line for row in rows for line in row]
        if _is_running_text(rows, cells):
            continue
        table = _table_of_rows(cells, [])
        if table and _is_filled(table):
            own = [line for line in lines if table.box.contains_centre(line.box)]
            tables.append(replace(table, lines=tuple(own)))
    return tables


def _table_of_grid(grid: Grid, lines: Sequence[Line]) -> PdfTable | None:
    rows = cells_of_grid(grid, lines)
    if len(rows) < 2 or len(rows[0]) < _MIN_COLUMNS:
        return None
    first_row = [line for line in lines if line.box.bottom <= grid.tops[1] + 2]
    has_bold_header = bool(first_row) and all(line.bold for line in first_row)
    header_rows = 1 if has_bold_header or not _is_data_row(rows[0]) else 0
    return PdfTable(_union(lines), tuple(lines), rows, header_rows)


def _table_of_rows(lines: Sequence[Line], rules: Sequence[Rectangle]) -> PdfTable | None:
    """Return the table that aligned lines form: one row for each baseline."""
    rows = _rows(lines)
    columns = _columns(rows)
    if len(rows) < 2 or len(columns) < _MIN_COLUMNS:
        return None
    table = [_cells(row, columns) for row in rows]
    steps = [b[0].baseline - a[0].baseline for a, b in pairwise(rows)]
    separated = [
        any(a[0].baseline < r.top < b[0].baseline for r in rules) for a, b in pairwise(rows)
    ]
    merged, bold, heads = [list(table[0])], [all(c.bold for c in rows[0])], [0]
    for index, cells in enumerate(table[1:], 1):
        is_tight = steps[index - 1] < 0.9 * median(steps) + 0.1 or not cells[0]
        tight_step = steps[index - 1] < 1.45 * rows[index][0].font_size
        goes_on = is_tight and tight_step and not separated[index - 1] and not cells[0]
        if goes_on and not any(_NUMBER.fullmatch(c) for c in cells if c):
            merged[-1] = [
                join_lines(filter(None, pair)) for pair in zip(merged[-1], cells, strict=True)
            ]
        else:
            merged.append(list(cells))
            bold.append(all(c.bold for c in rows[index]))
            heads.append(index)
    header_rows = _count_header_rows(merged, bold, heads, separated)
    # the rows of a header are mostly one name, wrapped over lines
    header = [
        " ".join(dict.fromkeys(filter(None, c))) for c in zip(*merged[:header_rows], strict=True)
    ]
    body = [tuple(row) for row in merged[header_rows:]]
    result = (tuple(header), *body) if header else tuple(body)
    return PdfTable(_union(lines), tuple(lines), result, min(header_rows, 1))


def _count_header_rows(
    rows: Sequence[Sequence[str]],
    bold: Sequence[bool],
    heads: Sequence[int],
    separated: Sequence[bool],
) -> int:
    """Return the number of header rows: those above the first rule, or without numbers."""
    for count in (1, 2, 3):
        if count < len(rows) and separated[heads[count] - 1] and sum(separated) <= len(rows) // 2:
            return count if not _is_data_row(rows[count - 1]) else 0
    count = 0
    while count < min(3, len(rows) - 1) and (not rows[count][0] or bold[count]):
        if _is_data_row(rows[count]):
            break
        count += 1
    if count == 0 and not _is_data_row(rows[0]) and any(_is_data_row(row) for row in rows[1:]):
        return 1
    return count


def _is_data_row(cells: Sequence[str]) -> bool:
    """Return whether a row holds values: a number that is not a year, behind the first cell."""
    values = [cell for cell in cells[1:] if cell]
    return any(_NUMBER.fullmatch(v) and not _YEAR.fullmatch(v) for v in values)


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    """Group lines by baseline: rows from top to bottom, each from left to right."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.baseline):
        if rows and line.baseline - rows[-1][0].baseline < 0.4 * line.font_size:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [_join_lone_signs(sorted(row, key=lambda line: line.box.left)) for row in rows]


def _join_lone_signs(row: Sequence[Line]) -> list[Line]:
    """Join signs such as `$` and `)%` with the number beside them."""
    joined: list[Line] = []
    for line in row:
        previous = joined[-1] if joined else None
        if previous and (
            previous.text in ("$", "€", "£", "(")
            or (_LONE_SIGN.fullmatch(line.text) and line.text[0] in ")%")
        ):
            joined[-1] = replace(
                previous, text=previous.text + line.text, box=previous.box.union(line.box)
            )
        else:
            joined.append(line)
    return joined


def _columns(rows: Sequence[Sequence[Line]]) -> list[tuple[float, float]]:
    """Return the left and right edges of the columns: what the cells of full rows cover.

    Cells that would join two columns, such as a heading over both, do not count.
    """
    by_count = sorted(rows, key=lambda row: -len(row))
    columns: list[tuple[float, float]] = []
    for row in by_count:
        for line in row:
            left, right = line.box.left, line.box.right
            touched = [c for c in columns if c[0] < right + 1 and left - 1 < c[1]]
            if len(touched) > 1:
                continue
            if touched:
                columns.remove(touched[0])
                left, right = min(left, touched[0][0]), max(right, touched[0][1])
            columns.append((left, right))
    return sorted(columns)


def _cells(row: Sequence[Line], columns: Sequence[tuple[float, float]]) -> list[str]:
    """Return one text for each column; a text over several columns stands in each of them."""
    cells = [""] * len(columns)
    for line in row:
        touched = [
            index
            for index, (left, right) in enumerate(columns)
            if left < line.box.right - 1 and line.box.left + 1 < right
        ]
        if not touched:
            middle = (line.box.left + line.box.right) / 2
            touched = [min(range(len(columns)), key=lambda i: abs(sum(columns[i]) / 2 - middle))]
        if touched[0] == 0 and len(touched) > 1:
            touched = touched[:1]  # a long row label, or a heading of rows
        for index in touched:
            cells[index] = f"{cells[index]} {line.text}".strip()
    return cells


def _runs_of_rows(rows: Sequence[Sequence[Line]]) -> list[list[Sequence[Line]]]:
    """Return the runs of close rows with several cells; single lines may stand between them."""
    runs: list[list[Sequence[Line]]] = []
    run: list[Sequence[Line]] = []
    singles: list[Sequence[Line]] = []

    def close() -> None:
        if sum(len(row) > 1 for row in run) >= _MIN_ROWS:
            runs.append(list(run))
        run.clear()
        singles.clear()

    previous: Sequence[Line] | None = None
    for row in rows:
        size = row[0].font_size
        is_near = previous is not None and (
            row[0].baseline - previous[0].baseline <= _MAX_ROW_STEP * size
        )
        is_single = len(row) == 1
        is_text = is_single and (row[0].is_prose or bool(CAPTION.match(row[0].text)))
        if not is_near or is_text or (is_single and len(singles) >= _MAX_SINGLE_LINES):
            close()
        if not is_single:
            run += [*singles, row]
            singles.clear()
        elif run:
            singles.append(row)
        previous = row
    close()
    return runs


def _is_running_text(
    rows: Sequence[Sequence[Line]], cells: Sequence[Line], max_words: int = _MAX_CELL_WORDS
) -> bool:
    """Return whether the cells are lines of text in columns, or labels around a drawing."""
    words = [len(cell.text.split()) for cell in cells]
    if median(words) > max_words or sum(
        c.is_prose for c in cells
    ) > _MAX_PROSE_CELLS * max_words * len(cells):
        return True
    lower = sum(cell.text[:1].islower() for cell in cells)
    numbers = sum(any(map(str.isdigit, cell.text)) for cell in cells)
    has_columns = median(len(row) for row in rows if len(row) > 1) > _MIN_COLUMNS
    if not has_columns and numbers < 0.3 * len(cells):
        return True
    return lower > _MAX_RUNNING_TEXT * len(cells)


def _is_filled(table: PdfTable) -> bool:
    """Return whether most cells hold one text: the columns are columns indeed."""
    filled = sum(bool(cell) for row in table.rows for cell in row)
    return filled >= 0.45 * len(table.rows) * len(table.rows[0])


def _union(lines: Sequence[Line]) -> Rectangle:
    box = lines[0].box
    for line in lines[1:]:
        box = box.union(line.box)
    return box
