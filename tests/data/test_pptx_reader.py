"""The PowerPoint reader on files that the tests write with python-pptx."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pptx
import pytest
from PIL import Image
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.pptx import PptxReader


def red() -> io.BytesIO:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    buffer.seek(0)
    return buffer


def document(path: Path) -> Document:
    (only,) = PptxReader().documents(path, path.parent)
    return only


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    slides = pptx.Presentation()
    slides.core_properties.author = "A. Teacher"
    first = slides.slides.add_slide(slides.slide_layouts[1])
    first.shapes.title.text = "Levers"
    first.placeholders[1].text = "A lever turns.\nSee Figure 1."
    width, height = slides.slide_width, slides.slide_height
    picture = first.shapes.add_picture(red(), width // 4, height // 4, width // 2, height // 2)
    picture._element.nvPicPr.cNvPr.set("descr", "A bar on a pivot")
    first.shapes.add_textbox(0, 0, width, 100).text_frame.text = "Figure 1. A lever."
    first.notes_slide.notes_text_frame.text = "Ask who has used one."
    second = slides.slides.add_slide(slides.slide_layouts[5])
    second.shapes.title.text = "Data"
    table = second.shapes.add_table(2, 2, 0, 0, Inches(2), Inches(2)).table
    for cell, text in zip(table.iter_cells(), ("arm", "force", "1 m", "2 N"), strict=True):
        cell.text = text
    data = CategoryChartData()
    data.categories = ["a"]
    data.add_series("s", [1])
    kind = XL_CHART_TYPE.BAR_CLUSTERED
    second.shapes.add_chart(kind, 0, 0, Inches(1), Inches(1), data)
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 10, 10).text_frame.text = "Inside a group"
    second._element.set("show", "0")
    path = tmp_path / "simple_machines.pptx"
    slides.save(str(path))
    return path


def test_slides_are_sections_and_pages(deck: Path) -> None:
    machines = document(deck)
    assert (machines.title, machines.attribution) == ("Simple machines", "A. Teacher")
    contents = list(machines.read())
    assert [(b.role, b.audience, b.page, b.text) for b in contents if isinstance(b, Block)] == [
        ("text", "student", 1, "A lever turns.\nSee Figure 1."),
        ("note", "teacher", 1, "Ask who has used one."),
        ("table", "teacher", 2, "| arm | force |\n| --- | --- |\n| 1 m | 2 N |"),
        ("table", "teacher", 2, "s (bar chart)\n|  | s |\n| --- | --- |\n| a | 1 |"),
        ("text", "teacher", 2, "Inside a group"),
    ]
    assert {c.section for c in contents if isinstance(c, Block) and c.page == 1} == {
        ("Simple machines", "Levers")
    }


def test_pictures_have_a_caption_an_alt_text_and_a_bounding_box(deck: Path) -> None:
    contents = list(document(deck).read())
    figure = next(c for c in contents if isinstance(c, Figure))
    assert (figure.anchor, figure.caption) == ("figure-1", "A lever.")
    assert figure.alt == "A bar on a pivot"
    assert figure.picture == red().getvalue()
    assert figure.bbox == pytest.approx((0.25, 0.25, 0.75, 0.75), abs=0.001)
    assert next(c for c in contents if isinstance(c, Block)).refs == ("figure-1",)


def test_a_chart_is_a_figure_of_its_slide(deck: Path) -> None:
    contents = list(document(deck).read())
    chart = [c for c in contents if isinstance(c, Figure)][-1]
    assert (chart.page, chart.alt, chart.picture) == (2, "s (bar chart)", None)
    assert [c for c in contents if isinstance(c, Problem)] == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"words", "not a zip archive"),
        (b"\xd0\xcf\x11\xe0", "with a password"),
    ],
)
def test_bad_files(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.pptx"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=rf"^a.pptx: .*{reason}"):
        list(document(path).read())


def test_another_office_format_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "a.pptx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<a/>")
    with pytest.raises(BadInput, match="not a PowerPoint file"):
        list(document(path).read())


def test_a_missing_slide_is_a_problem_and_the_others_are_read(deck: Path) -> None:
    copy = deck.with_name("cut.pptx")
    with zipfile.ZipFile(deck) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            if name != "ppt/slides/slide1.xml":
                new.writestr(name, old.read(name))
    contents = list(document(copy).read())
    (problem,) = [c for c in contents if isinstance(c, Problem)]
    assert problem.page == 1
    assert problem.message.startswith("slide 1 cannot be read")
    assert "Inside a group" in [c.text for c in contents if isinstance(c, Block)]


def test_a_file_without_its_main_part_is_damaged(deck: Path) -> None:
    copy = deck.with_name("cut.pptx")
    with zipfile.ZipFile(deck) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            data = b"<p:presentation" if name == "ppt/presentation.xml" else old.read(name)
            new.writestr(name, data)
    with pytest.raises(BadInput, match="damaged PowerPoint file"):
        list(document(copy).read())


def test_a_presentation_without_text_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "a.pptx"
    pptx.Presentation().save(str(path))
    with pytest.raises(BadInput, match="nothing to index"):
        list(document(path).read())
