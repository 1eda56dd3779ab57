"""The Excel reader on workbooks that the tests write with openpyxl."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from openpyxl import Workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.drawing.image import Image as SheetImage
from PIL import Image

from data.documents import Block, Figure, Problem
from data.errors import BadInput
from data.readers.office_numbers import format_number
from data.readers.office_tables import header_depth
from data.readers.sheet_regions import SheetTable, SheetText, contents_of_grid
from data.readers.structure import Content
from data.readers.xlsx import XlsxReader
from data.tables import parse_table, row_statements


def read(folder: Path, build: Callable[[Workbook], object]) -> list[Content]:
    workbook = Workbook()
    build(workbook)
    path = folder / "metals.xlsx"
    workbook.save(path)
    return read_file(path)


def read_file(path: Path) -> list[Content]:
    (document,) = XlsxReader().documents(path, path.parent)
    return list(document.read())


def texts(contents: list[Content]) -> list[str]:
    return [c.text for c in contents if isinstance(c, Block)]


def fill(sheet: object, rows: list[list[object]], top: int = 1, left: int = 1) -> None:
    for row, values in enumerate(rows, start=top):
        for column, value in enumerate(values, start=left):
            sheet.cell(row, column, value)  # type: ignore[attr-defined]


def test_each_sheet_is_a_section_with_its_tables(tmp_path: Path) -> None:
    def build(workbook: Workbook) -> None:
        sheet = workbook.active
        sheet.title = "Metals"
        fill(sheet, [["Melting points"], ["Metal", "K"], ["Iron", 1811], ["Tin", 505.08]])
        sheet.merge_cells("A1:B1")
        fill(sheet, [["Read the safety sheet first."]], top=7)
        other = workbook.create_sheet("Answers")
        other.sheet_state = "hidden"
        fill(other, [["Metal", "Is magnetic"], ["Iron", True]])

    blocks = [c for c in read(tmp_path, build) if isinstance(c, Block)]
    assert [(b.section, b.role, b.audience) for b in blocks] == [
        (("Metals", "Metals"), "table", "student"),
        (("Metals", "Metals"), "text", "student"),
        (("Metals", "Answers"), "table", "teacher"),
    ]
    assert blocks[0].title == "Melting points"
    assert row_statements(blocks[0].text) == ["Iron: K 1811", "Tin: K 505.08"]
    assert blocks[1].text == "Read the safety sheet first."
    assert row_statements(blocks[2].text) == ["Iron: Is magnetic TRUE"]


def test_merged_cells_are_filled_and_two_tables_stay_apart(tmp_path: Path) -> None:
    def build(workbook: Workbook) -> None:
        fill(workbook.active, [["metal", "density", None], [None, "cold", "hot"], ["iron", 8, 7]])
        workbook.active.merge_cells("A1:A2")
        workbook.active.merge_cells("B1:C1")
        fill(workbook.active, [["x", "y"], [1, 2], [2, 4]], left=5)

    first, second = (parse_table(text) for text in texts(read(tmp_path, build)))
    assert first is not None
    assert first.column_names == ("metal", "density, cold", "density, hot")
    assert first.body == (("iron", "8", "7"),)
    assert second is not None
    assert second.rows == (("x", "y"), ("1", "2"), ("2", "4"))


def test_an_empty_narrow_column_divides_no_table(tmp_path: Path) -> None:
    def build(workbook: Workbook) -> None:
        fill(workbook.active, [["metal", None, "K"], ["iron", None, 1811]])
        workbook.active.column_dimensions["B"].width = 1.5

    (text,) = texts(read(tmp_path, build))
    assert row_statements(text) == ["iron: K 1811"]


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (0.125, "0%", "12.5%"),
        (3, '0.00" kg"', "3 kg"),
        (5, '"n = "0', "n = 5"),
        (4.3, "General", "4.3"),
        (0.1 + 0.2, "General", "0.3"),
        (45292, "yyyy-mm-dd", "2024-01-01"),
        (45292.5, "yyyy-mm-dd hh:mm", "2024-01-01 12:00:00"),
        (1.5e-9, "0.00E+00", "1.5e-09"),
        (7, r"0\ \°\C", "7 °C"),
        (5, "[$€-407] #,##0.00", "€5"),
        (5, '_-* #,##0.00\\ "m"_-', "5 m"),
        (5, "[Red]0.0", "5"),
    ],
)
def test_numbers_keep_their_units(value: float, code: str, text: str) -> None:
    assert format_number(value, code) == text


def test_dates_are_written_as_dates(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["day", "rain"],
        [datetime(2024, 1, 2), 5],
        [datetime(2024, 1, 3), 0],
    ]
    (text,) = texts(read(tmp_path, lambda workbook: fill(workbook.active, rows)))
    assert row_statements(text) == ["2024-01-02: rain 5", "2024-01-03: rain 0"]


def test_charts_pictures_and_comments_are_read(tmp_path: Path) -> None:
    def build(workbook: Workbook) -> None:
        sheet = workbook.active
        sheet.title = "Rain"
        fill(sheet, [["city", "mm"], ["Bergen", 2250], ["Cairo", 25]])
        chart = BarChart()
        chart.title = "Yearly rain"
        chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
        chart.set_categories(Reference(sheet, min_col=1, min_row=2, max_row=3))
        sheet.add_chart(chart, "E1")
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
        sheet.add_image(SheetImage(buffer), "E20")
        sheet["B2"].comment = Comment("The wettest city of Europe.", "Ann")

    contents = read(tmp_path, build)
    table, chart, note = texts(contents)
    assert row_statements(table) == ["Bergen: mm 2250", "Cairo: mm 25"]
    # openpyxl stores no values with a chart: they come from the cells
    assert chart.startswith("Yearly rain (bar chart)\n")
    assert row_statements(chart) == ["Bergen: mm 2250", "Cairo: mm 25"]
    assert note == "Comment on B2 (Ann): The wettest city of Europe."
    drawn, picture = (c for c in contents if isinstance(c, Figure))
    assert (drawn.picture, drawn.alt) == (None, "Yearly rain (bar chart)")
    assert picture.picture


def test_formulas_without_results_are_a_problem(tmp_path: Path) -> None:
    rows: list[list[object]] = [["a", "b"], [1, "=A2*2"], [2, "=A3*2"]]
    contents = read(tmp_path, lambda workbook: fill(workbook.active, rows))
    (problem,) = [c for c in contents if isinstance(c, Problem)]
    assert problem.kind == "table"
    assert "formulas without a stored result (2)" in problem.message


def test_damaged_styles_cost_only_themselves(tmp_path: Path) -> None:
    read(tmp_path, lambda workbook: fill(workbook.active, [["a", "b"], [1, datetime(2024, 1, 2)]]))
    damaged = tmp_path / "damaged.xlsx"
    with zipfile.ZipFile(tmp_path / "metals.xlsx") as old, zipfile.ZipFile(damaged, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "xl/styles.xml":
                data = data.replace(b"patternFill", b"noFill")
            new.writestr(name, data)
    contents = read_file(damaged)
    assert [row_statements(text) for text in texts(contents)] == [["1: b 45293"]]
    (problem,) = [c for c in contents if isinstance(c, Problem)]
    assert problem.message.startswith("the styles are damaged")


@pytest.mark.parametrize(
    ("rows", "corner_rows", "depth"),
    [
        ([["metal", "K"], ["iron", "1811"]], 1, 1),
        ([["Etna", "3357 m"], ["Fuji", "3776 m"]], 1, 0),
        ([["Country", "2019", "2020"], ["Norway", "5", "6"]], 1, 1),
        ([["", "5 °C", "20 °C"], ["water", "1", "2"]], 1, 1),
        ([["a", "b", "b"], ["a", "c", "d"], ["x", "1", "2"]], 2, 2),
        ([["1.1", "Voltage"], ["1.2", "Current"]], 1, 0),
        ([["only", "row"]], 1, 0),
        ([["word " * 30, "b"], ["c", "d"]], 1, 0),
    ],
)
def test_the_depth_of_a_header(rows: list[list[str]], corner_rows: int, depth: int) -> None:
    assert header_depth(rows, corner_rows) == depth


def test_words_in_a_diagonal_or_a_column_are_no_table() -> None:
    diagonal, column = [["a", ""], ["", "b"]], [["x"], ["y"]]
    assert list(contents_of_grid(diagonal)) == [SheetText("a\nb")]
    assert list(contents_of_grid(column)) == [SheetText("x\ny")]
    gap = [["a", "b"], ["", ""], ["c", "d"]]
    assert [type(c) for c in contents_of_grid(gap)] == [SheetTable, SheetTable]
    assert list(contents_of_grid([])) == []


def test_rows_beyond_the_limit_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.readers.xlsx_tables.MAX_ROWS", 3)
    rows: list[list[object]] = [["a", "b"], *([n, n] for n in range(5))]
    contents = read(tmp_path, lambda workbook: fill(workbook.active, rows))
    assert len(row_statements(texts(contents)[0])) == 2
    assert [c.kind for c in contents if isinstance(c, Problem)] == ["table"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"words", "not a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "with a password"),
    ],
)
def test_bad_files(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(data)
    assert XlsxReader().claims(path)
    with pytest.raises(BadInput, match=rf"^a.xlsx: .*{reason}"):
        read_file(path)


@pytest.mark.parametrize(
    ("member", "data", "reason"),
    [
        ("xl/workbook.xml", b"<workbook", "damaged Excel file|not well-formed"),
        ("xl/worksheets/sheet1.xml", b"<!DOCTYPE a><a/>", "declares a document type"),
        ("xl/media/b.bin", b"\0" * 5_000_000, "more than 200 times"),
    ],
)
def test_hostile_parts_are_bad_input(tmp_path: Path, member: str, data: bytes, reason: str) -> None:
    read(tmp_path, lambda workbook: fill(workbook.active, [["a", "b"], [1, 2]]))
    hostile = tmp_path / "hostile.xlsx"
    with (
        zipfile.ZipFile(tmp_path / "metals.xlsx") as old,
        zipfile.ZipFile(hostile, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            if name != member:
                new.writestr(name, old.read(name))
        new.writestr(member, data)
    with pytest.raises(BadInput, match=reason):
        read_file(hostile)


def test_an_empty_workbook_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing to index"):
        read(tmp_path, lambda workbook: None)
