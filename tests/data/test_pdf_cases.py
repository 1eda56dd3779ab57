"""The PDF reader on files that other tools read wrongly: exponents, hyphens, tables, scans."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from data.documents import Block, Figure, Problem
from data.ocr import LabelReader
from data.readers.pdf import PdfReader
from data.readers.structure import Content

FOLDER = Path(__file__).parent / "pdf"


def read(name: str, reader: PdfReader | None = None) -> list[Content]:
    (document,) = (reader or PdfReader()).documents(FOLDER / name, FOLDER)
    return list(document.read())


def text_of(name: str) -> str:
    return "\n".join(content.text for content in read(name) if isinstance(content, Block))


def table_of(name: str) -> Block:
    (table,) = (c for c in read(name) if isinstance(c, Block) and c.role == "table")
    return table


def figures_of(name: str) -> list[Figure]:
    return [content for content in read(name) if isinstance(content, Figure)]


def test_raised_type_is_an_exponent_and_lowered_digits_stay_on_the_line() -> None:
    text = text_of("exponents.pdf")
    for quantity in ("3.00 × 10^8 m/s", "10^30 kg", "10^−19 C", "mv^2/2", "25 m^2", "10^3 m^3"):
        assert quantity in text
    assert "H2O" in text
    assert "SO_4^{2-}" in text


def test_a_hyphen_at_the_end_of_a_line_stays_if_it_belongs_to_the_word() -> None:
    text = text_of("hyphens.pdf")
    for word in ("n-tridecanal", "p-xylene", "long-term", "self-adhesive", "photosynthesis"):
        assert word in text
    assert text.count("n-tridecanal") == 2


def test_a_font_without_a_mapping_to_characters_is_read_by_ocr() -> None:
    text = text_of("cells.pdf")
    assert "electron transport chain works" in text
    assert "KDLQ" not in text


def test_without_ocr_a_font_without_a_mapping_is_a_problem_and_no_text() -> None:
    (problem,) = read("cells.pdf", PdfReader(ocr=None))
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.page, problem.anchor) == ("text", 1, "p1")


def test_a_table_set_sideways_is_read_with_its_caption() -> None:
    table = table_of("sideways.pdf")
    assert table.anchor == "table-4.1"
    caption, header, _, osmium, tungsten, lithium = table.text.splitlines()
    assert caption == "Table 4.1 Densities of metals at 20 degrees Celsius"
    assert header == "| Metal | Density (kg/m3) | Melting point |"
    assert osmium == "| Osmium | 22 590 | 3033 C |"
    assert tungsten == "| Tungsten | 19 250 | 3422 C |"
    assert lithium == "| Lithium | 534 | 180 C |"
    ((page, left, top, right, bottom),) = table.boxes
    assert page == 1
    assert right - left < bottom - top  # it stands sideways on the page


def test_an_empty_cell_stays_empty_and_a_cell_of_two_lines_is_one_cell() -> None:
    rows = table_of("vitamins.pdf").text.splitlines()
    assert rows[0] == "| Vitamin | Disease of adults | Disease of children | Source |"
    assert rows[2] == (
        "| A | night blindness and dry skin of the whole body |  "
        "| carrots, liver and butter from summer milk |"
    )
    assert rows[3] == "| C |  | scurvy of infants | lemons |"


@pytest.mark.parametrize("name", ["above", "above-gap10", "above-gap16", "above-gap24"])
def test_captions_above_go_to_the_picture_below_them(name: str) -> None:
    figures = figures_of(f"{name}.pdf")
    assert [figure.number for figure in figures] == ["4", "5", "6"]
    assert [figure.caption.split()[3] for figure in figures] == ["oak", "beech", "birch"]
    tops = [figure.bbox[1] for figure in figures if figure.bbox]
    assert tops == sorted(tops)
    beech = figures[1].picture
    assert isinstance(beech, bytes)
    with Image.open(io.BytesIO(beech)) as picture:
        assert LabelReader().read(picture.convert("RGB")) == "BEECH"


def test_captions_below_and_one_caption_under_two_pictures() -> None:
    assert [f.number for f in figures_of("below.pdf")] == ["1", "2", "3"]
    both, onion = figures_of("beside.pdf")
    assert (both.number, onion.number) == ("7", "8")
    assert both.bbox is not None
    assert both.bbox[2] - both.bbox[0] > 0.7  # both pictures


def test_a_sentence_goes_on_over_the_page_and_footnotes_follow_it() -> None:
    first, *notes = [c for c in read("footnote.pdf") if isinstance(c, Block)]
    assert "tells the guard cells to lose potassium and water, so that" in first.text
    assert [box[0] for box in first.boxes] == [1, 2]
    assert [note.text[:9] for note in notes] == ["1 Stomata", "2 Grasses"]
    assert {note.page for note in notes} == {1}


def test_an_attached_file_is_a_problem_that_names_it() -> None:
    (problem,) = (content for content in read("portfolio.pdf") if isinstance(content, Problem))
    assert problem.kind == "attachment"
    assert "tides.pdf" in problem.message


@pytest.mark.parametrize("name", ["scan.pdf", "scan-sideways.pdf"])
def test_a_scan_becomes_passages_upright_and_sideways(name: str) -> None:
    figure, *blocks = read(name)
    assert isinstance(figure, Figure)
    assert figure.alt == ""  # nothing to quote but the text itself
    text = " ".join(block.text for block in blocks if isinstance(block, Block))
    assert "Champollion read the hieroglyphs in 1822 by comparing the names of kings" in text
    assert all(isinstance(block, Block) and block.boxes for block in blocks)


def test_a_scan_without_ocr_is_kept_as_a_picture_and_reported() -> None:
    problem, figure = read("scan.pdf", PdfReader(ocr=None))
    assert isinstance(problem, Problem)
    assert problem.kind == "text"
    assert isinstance(figure, Figure)
    assert figure.alt.startswith("Scanned page 1 of ")


def test_a_listing_keeps_its_lines_and_indents() -> None:
    listing = next(c for c in read("code.pdf") if isinstance(c, Block) and "def " in c.text)
    assert listing.text.splitlines() == [
        "def bubble_sort(a):",
        "    for i in range(len(a)):",
        "        for j in range(len(a) - 1):",
        "            if a[j] > a[j + 1]:",
        "                a[j], a[j + 1] = a[j + 1], a[j]",
        "    return a",
    ]
