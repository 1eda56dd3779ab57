"""Tables of pages: headers, merged cells, tables inside tables, and tables that arrange a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.readers.table_grid import Cell, grid_table, has_header_row
from tests.data.readers.reading import blocks, figures, png, read_text, texts


def table(folder: Path, rows: str) -> str:
    (text,) = texts(read_text(folder, "a.html", f"<h1>T</h1><table>{rows}</table>"))
    return text


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        ("<thead><tr><td>A<td>B</thead><tr><td>1<td>2", "| A | B |"),
        ("<tr><th>A<th>B<tr><td>1<td>2", "| A | B |"),
        ("<tr><td><b>A</b><td><b>B</b><tr><td>1<td>2", "| A | B |"),
        ("<tr><td></td><th>B<tr><th>a<td>2", "|  | B |"),
        ("<tr><td>x<td>y<tr><td>1<td>2", "|  |  |"),
        ("<tr><th scope=row>Mass<td>18<tr><th scope=row>Charge<td>2", "|  |  |"),
        (
            "<tr><td>Name<td>Mass<td>Use<tr><td>a<td>1<td>x<tr><td>b<td>2<td>y",
            "| Name | Mass | Use |",
        ),
    ],
)
def test_the_header_is_known(tmp_path: Path, rows: str, header: str) -> None:
    assert table(tmp_path, rows).split("\n")[0] == header


def test_pairs_of_a_name_and_a_number_have_no_header(tmp_path: Path) -> None:
    rows = "<tr><td>Symbol<td>H<tr><td>Mass<td>1.008<tr><td>Number<td>1"
    assert table(tmp_path, rows).split("\n")[0] == "|  |  |"


def test_a_cell_over_the_whole_width_is_a_title(tmp_path: Path) -> None:
    rows = (
        "<tr><th colspan=2>Gases of the air<tr><th>Gas<th>Share<tr><td colspan=2>Main gases"
        "<tr><td>Nitrogen<td>78 %"
    )
    assert table(tmp_path, rows) == (
        "Gases of the air\n| Gas | Share |\n| --- | --- |\n| Main gases |  |\n| Nitrogen | 78 % |"
    )


def test_a_row_that_only_begins_merged_cells_is_left_out(tmp_path: Path) -> None:
    head = "<tr><th>Year<th>Month<th>Cost"
    rows = f"{head}<tr><th rowspan=3>2025</th><tr><td>May<td>$5<tr><td>June<td>$6"
    assert table(tmp_path, rows).split("\n")[2:] == ["| 2025 | May | $5 |", "| 2025 | June | $6 |"]


def test_a_table_inside_a_cell_keeps_its_rows(tmp_path: Path) -> None:
    inner = "<table><tr><th>Type<th>Sound<tr><td>Short<td>quak<tr><td>Long<td>quaaack</table>"
    rows = f"<tr><th>Action<th>How<tr><td>Swim<td>gently<tr><td>Quack<td>{inner}"
    last = table(tmp_path, rows).split("\n")[-1]
    assert last == "| Quack | Short: Sound quak; Long: Sound quaaack |"


def test_items_in_a_cell_stay_apart(tmp_path: Path) -> None:
    rows = "<tr><th>Bird<th>Home<tr><td>Teal<td><ul><li>Pond<li>Marsh</ul>"
    assert table(tmp_path, rows).endswith("| Teal | Pond; Marsh |")


def test_a_figure_gives_its_caption_to_its_table(tmp_path: Path) -> None:
    page = (
        "<h1>T</h1><figure><table><tr><th>A<th>B<tr><td>1<td>2</table>"
        "<figcaption>Table 3. Ones</figcaption></figure>"
    )
    (block,) = blocks(read_text(tmp_path, "a.html", page))
    assert (block.role, block.title) == ("table", "Table 3. Ones")
    assert block.text.startswith("Table 3. Ones\n| A | B |")


def test_tables_that_arrange_the_page_are_read_cell_by_cell(tmp_path: Path) -> None:
    page = "<h1>T</h1><table role=presentation><tr><td>One</td><td>Two</td></tr></table>"
    assert texts(read_text(tmp_path, "a.html", page)) == ["One", "Two"]


def test_words_below_pictures_in_a_grid_are_their_captions(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png())
    page = (
        "<h1>T</h1><table><tr><td><img src=a.png></td><td><img src=b.png></td></tr>"
        "<tr><td>Figure 1. A crest</td><td>Figure 2. A trough</td></tr></table>"
    )
    contents = read_text(tmp_path, "a.html", page)
    assert [(f.number, f.caption) for f in figures(contents)] == [
        ("1", "A crest"),
        ("2", "A trough"),
    ]
    assert texts(contents) == []


def test_endless_spans_are_bounded() -> None:
    rows = [[Cell("x", column_span=1000, row_span=60_000), Cell("y")]] * 2_000
    grid = grid_table(rows)
    assert len(grid.rows) <= 2_000
    assert {"x", "y"} <= {text for row in grid.rows for text in row}


def test_a_header_of_words_stands_above_a_column_of_numbers() -> None:
    assert has_header_row([("Gas", "M", "Use"), ("He", "4.0", "balloons"), ("Ne", "20.2", "light")])
    assert not has_header_row(
        [("He", "4.0", "balloons"), ("Ne", "20.2", "light"), ("Ar", "40", "")]
    )
    assert not has_header_row([("Gas", "Use", "Home"), ("He", "balloons", "sun"), ("Ne", "a", "b")])
