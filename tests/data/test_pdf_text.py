"""Type, words and tables of PDFs that the tests draw: what must not be lost or changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from data.chunking import ItemDraft, chunk
from data.documents import Block, Document, Figure
from data.page_boxes import sentence_boxes
from data.readers.pdf import PdfReader
from data.readers.pdf_layout import Line
from data.readers.pdf_page import PageContent
from data.readers.pdf_scan import is_gibberish
from data.readers.structure import Content

pytest.importorskip("reportlab", reason="reportlab draws the PDFs of these tests")

from reportlab.pdfgen.canvas import Canvas

from data.readers.pdf_geometry import Rectangle

WIDTH, HEIGHT = 600.0, 800.0


@pytest.fixture
def canvas(tmp_path: Path) -> Canvas:
    return Canvas(str(tmp_path / "a.pdf"), pagesize=(WIDTH, HEIGHT))


def write(
    canvas: Canvas, text: str, left: float, top: float, size: float = 10, font: str = "Times-Roman"
) -> None:
    canvas.setFont(font, size)
    canvas.drawString(left, HEIGHT - top, text)


def document(canvas: Canvas) -> Document:
    canvas.save()
    path = Path(canvas._filename)
    (only,) = PdfReader(ocr=None).documents(path, path.parent)
    return only


def read(canvas: Canvas) -> list[Content]:
    return list(document(canvas).read())


def blocks(contents: Sequence[Content]) -> list[Block]:
    return [content for content in contents if isinstance(content, Block)]


def all_words(contents: Sequence[Content]) -> str:
    parts: list[str] = []
    for content in contents:
        if isinstance(content, Block):
            parts += [*content.section, content.text]
        elif isinstance(content, Figure):
            parts += [*content.section, content.caption, content.text]
    return "\n".join(parts)


def test_a_stacked_fraction_is_a_fraction_on_the_line_of_its_formula(canvas: Canvas) -> None:
    write(canvas, "The speed is the path over the time that it takes:", 60, 100)
    write(canvas, "v =", 100, 130)
    canvas.line(120, HEIGHT - 127, 141, HEIGHT - 127)
    write(canvas, "s + a", 121, 123)
    write(canvas, "2t", 126, 136)
    write(canvas, "= 5 m/s", 146, 130)
    assert "v = \\(\\frac{s + a}{2t}\\) = 5 m/s" in all_words(read(canvas))


def test_an_underlined_word_is_no_fraction(canvas: Canvas) -> None:
    write(canvas, "Read the chapter on", 60, 100)
    write(canvas, "cells", 145, 100)
    canvas.line(145, HEIGHT - 102, 166, HEIGHT - 102)
    write(canvas, "before the next lesson begins here and", 60, 112)
    assert "frac" not in all_words(read(canvas))


def test_a_drop_cap_belongs_to_the_first_line_beside_it(canvas: Canvas) -> None:
    write(canvas, "W", 60, 280, size=36)
    write(
        canvas, "hen the rain falls on the hills it runs down in small streams to the sea,", 96, 265
    )
    write(
        canvas,
        "and on its way it carries sand and clay, which then settle in the bays and",
        96,
        277,
    )
    write(canvas, "make new land for people who farm there.", 60, 289)
    (block,) = blocks(read(canvas))
    assert block.text.startswith("When the rain falls")
    assert block.text.endswith("in the bays and make new land for people who farm there.")


def test_letters_that_are_spaced_out_form_words(canvas: Canvas) -> None:
    left = 60.0
    for word in ("CELLS", "LIVE"):
        for letter in word:
            write(canvas, letter, left, 100, size=16)
            left += 20
        left += 16
    write(canvas, "A cell takes in food and gives off waste, and then it divides.", 60, 130)
    assert "CELLS LIVE" in all_words(read(canvas))


def test_columns_of_two_lines_are_kept_apart(canvas: Canvas) -> None:
    for row, (left, right) in enumerate(
        (
            ("Roots take up water and salts from", "Leaves take in carbon dioxide from"),
            ("the soil and hold the plant firmly", "the air and give off oxygen by day"),
            ("in the ground through the winter.", "while the sun is shining on them."),
        )
    ):
        write(canvas, left, 50, 100 + 12 * row)
        write(canvas, right, 320, 100 + 12 * row)
    text = " ".join(block.text for block in blocks(read(canvas)))
    assert "from the soil and hold the plant firmly in the ground" in text


def test_labels_inside_a_drawing_are_the_text_of_the_figure(canvas: Canvas) -> None:
    canvas.circle(200, 500, 90)
    canvas.circle(200, 500, 40)
    write(canvas, "nucleus", 185, 300, size=8)
    write(canvas, "cytoplasm", 185, 240, size=8)
    write(canvas, "Figure 1. A cell of an onion.", 130, 405, size=8)
    onion = document(canvas)
    (figure,) = (content for content in onion.read() if isinstance(content, Figure))
    assert set(figure.text.splitlines()) == {"nucleus", "cytoplasm"}
    (draft,) = (d for d in chunk(onion, "c") if isinstance(d, ItemDraft))
    assert set(draft.item.labels.splitlines()) == {"nucleus", "cytoplasm"}


def test_sentences_on_a_picture_of_the_whole_page_are_passages(canvas: Canvas) -> None:
    canvas.setFillColorRGB(0.8, 0.9, 1)
    canvas.roundRect(20, 20, 560, 640, 30, fill=1)
    canvas.setFillColorRGB(0, 0, 0)
    lines = ("Plants breathe at night as well", "and use up a part of the sugar", "made by day.")
    for row, line in enumerate(lines):
        write(canvas, line, 80, 300 + 22 * row, size=18)
    assert "use up a part of the sugar" in all_words(blocks(read(canvas)))


def test_headings_without_text_are_kept(canvas: Canvas) -> None:
    for row, heading in enumerate(("Mitosis", "Meiosis", "Crossing over")):
        write(canvas, heading, 60, 100 + 60 * row, size=20)
    write(canvas, "The cell divides twice and four cells with half the set arise.", 60, 400)
    words = all_words(read(canvas))
    assert all(heading in words for heading in ("Mitosis", "Meiosis", "Crossing over"))


def test_rows_without_rules_are_a_table_with_its_header(canvas: Canvas) -> None:
    write(canvas, "Table 2. Boiling points.", 60, 100)
    rows = (("Halogen", "Colour", "Boils at (K)"), ("Chlorine", "green", "239"),
            ("Bromine", "brown", "332"), ("Iodine", "violet", "457"))  # fmt: skip
    for number, row in enumerate(rows):
        for cell, left in zip(row, (60, 180, 300), strict=True):
            write(canvas, cell, left, 120 + 14 * number)
    (table,) = (block for block in blocks(read(canvas)) if block.role == "table")
    assert table.anchor == "table-2"
    assert table.text.splitlines()[1:] == [
        "| Halogen | Colour | Boils at (K) |",
        "| --- | --- | --- |",
        "| Chlorine | green | 239 |",
        "| Bromine | brown | 332 |",
        "| Iodine | violet | 457 |",
    ]


def _grid(canvas: Canvas, lefts: Sequence[float], tops: Sequence[float]) -> None:
    canvas.grid(list(lefts), [HEIGHT - top for top in tops])


def test_a_merged_cell_stands_in_every_row_that_it_covers(canvas: Canvas) -> None:
    for top in (100, 120, 160):
        canvas.line(60, HEIGHT - top, 360, HEIGHT - top)
    canvas.line(160, HEIGHT - 140, 360, HEIGHT - 140)  # not through the merged cell
    for left in (60, 160, 260, 360):
        canvas.line(left, HEIGHT - 100, left, HEIGHT - 160)
    for text, left, top in (
        ("Group", 65, 114), ("Element", 165, 114), ("Symbol", 265, 114), ("Halogens", 65, 144),
        ("Chlorine", 165, 134), ("Cl", 265, 134), ("Bromine", 165, 154), ("Br", 265, 154),
    ):  # fmt: skip
        write(canvas, text, left, top)
    (table,) = (block for block in blocks(read(canvas)) if block.role == "table")
    assert table.text.splitlines()[2:] == [
        "| Halogens | Chlorine | Cl |",
        "| Halogens | Bromine | Br |",
    ]


def test_a_table_that_goes_on_overleaf_repeats_caption_and_header(canvas: Canvas) -> None:
    write(canvas, "Table 3. Metals.", 60, 90)
    pages = (
        (("Metal", "Density"), ("Iron", "7.9"), ("Zinc", "7.1")),
        (("Lead", "11.3"), ("Tin", "7.3")),
    )
    for rows in pages:
        _grid(canvas, (60, 200, 340), [100 + 20 * n for n in range(len(rows) + 1)])
        for number, row in enumerate(rows):
            for cell, left in zip(row, (65, 205), strict=True):
                write(canvas, cell, left, 114 + 20 * number)
        canvas.showPage()
    first, second = (block for block in blocks(read(canvas)) if block.role == "table")
    assert second.text.splitlines() == [
        "Table 3. Metals.",
        "| Metal | Density |",
        "| --- | --- |",
        "| Lead | 11.3 |",
        "| Tin | 7.3 |",
    ]
    assert (first.page, second.page) == (1, 2)


def test_a_filled_form_field_is_read_with_its_name(canvas: Canvas) -> None:
    write(canvas, "Name of the student who did the experiment:", 60, 100)
    canvas.acroForm.textfield(name="student", value="Ada Byron", x=60, y=600, width=200, height=20)
    assert "student: Ada Byron" in [block.text for block in blocks(read(canvas))]


def test_each_passage_has_the_page_and_the_boxes_of_its_own_text(canvas: Canvas) -> None:
    for page in ("first", "second"):
        for row in range(12):
            write(
                canvas,
                f"On the {page} page line {row} is as long as a line of a book is.",
                60,
                100 + 30 * row,
            )
        canvas.showPage()
    drafts = [draft for draft in chunk(document(canvas), "c") if isinstance(draft, ItemDraft)]
    assert len(drafts) > 1
    for draft in drafts:
        boxes = draft.item.boxes
        assert boxes
        assert draft.item.page == boxes[0][0]
        assert len(boxes) == draft.item.text.count("On the")
        on_second = [box for box in boxes if box[0] == 2]
        assert len(on_second) == draft.item.text.count("second")


def test_the_boxes_of_a_sentence_are_its_lines(canvas: Canvas) -> None:
    write(canvas, "A lens bends light. A convex lens makes the rays of the sun", 60, 100)
    write(canvas, "meet in one point, which we call its focus. Others do not.", 60, 112)
    path = Path(document(canvas).path)
    sentence = "A convex lens makes the rays of the sun meet in one point, which we call its focus."
    first, second = sentence_boxes(path, 1, sentence)
    assert first[0] == second[0] == 1
    assert first[1] > 0.2  # behind the sentence before it
    assert second[1] == pytest.approx(60 / WIDTH, abs=0.01)
    assert first[2] < 100 / HEIGHT < first[4] < second[4]
    assert sentence_boxes(path, 1, "Nothing like this stands on the page.") == ()


def test_letters_at_random_are_gibberish_and_words_are_not() -> None:
    def content(text: str, unmapped: float = 0.0) -> PageContent:
        box = Rectangle(0, 0, WIDTH, HEIGHT)
        return PageContent(box, [Line(text, box, 10, 10)], hidden=False, unmapped_share=unmapped)

    shifted = "0LWRFKRQGULD PDNH PRVW RI WKH HQHUJB RI D FHOO DQG IROG WKHLU LQQHU PHPEUDQHV"
    plain = "Mitochondria make most of the energy of a cell and fold their inner membranes"
    german = "Die Mitochondrien erzeugen den größten Teil der Energie einer Zelle durch Atmung"
    assert is_gibberish(content(shifted))
    assert not is_gibberish(content(plain))
    assert not is_gibberish(content(german))
    assert is_gibberish(content(plain, unmapped=0.9))
