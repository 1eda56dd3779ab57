"""Small inputs that other readers fail on, each with the value that is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.documents import Document
from data.pictures import open_picture
from data.readers import scan
from data.tables import row_statements
from tests.data.readers.reading import blocks, figures, problems, read, texts

INPUTS = Path(__file__).parent / "inputs"


def test_lazy_pictures_are_the_real_ones() -> None:
    contents = read(INPUTS / "36-html-lazy-images")
    assert [
        (f.alt, f.picture.name if isinstance(f.picture, Path) else "") for f in figures(contents)
    ] == [
        ("Stomata of a leaf", "stomata.png"),
        ("Xylem vessels", "xylem.png"),
        ("Phloem tubes", "phloem.png"),
        ("Root hairs", "root.png"),
        ("A leaf in the sun", "leaf.png"),
    ]
    assert problems(contents) == []


def test_inline_drawings_are_figures_with_their_words() -> None:
    contents = read(INPUTS / "37-html-inline-svg")
    engine, piston, _, boiler = figures(contents)
    assert engine.number == "1"
    assert engine.caption == "A heat engine works between a hot and a cold reservoir."
    assert engine.alt == "Heat engine between two reservoirs: hot reservoir; cold reservoir"
    assert isinstance(engine.picture, bytes)
    picture = open_picture(engine.picture)
    assert picture.size == (1024, 512)
    label = picture.crop((30, 350, 450, 430))  # of the cold reservoir
    assert len(label.getcolors(100_000) or ()) > 2
    assert piston.alt == "A piston in its cylinder"
    assert isinstance(piston.picture, Path)
    assert boiler.alt == "Boiler"
    assert texts(contents)[1:] == ["The piston moves.", "The wheel turns.", "Water boils."]
    assert problems(contents) == []


def test_pictures_with_an_empty_alt_are_figures() -> None:
    nephron, bladder = figures(read(INPUTS / "40-html-empty-alt"))
    assert nephron.caption == "A nephron with its loop."
    assert [f.picture.name for f in (nephron, bladder) if isinstance(f.picture, Path)] == [
        "image1.png",
        "image2.png",
    ]


def test_merged_cells_are_filled() -> None:
    colours, yields = texts(read(INPUTS / "41-html-rowspan"))
    assert "| gas | chlorine | green |" in colours.split("\n")
    assert yields.split("\n")[0] == "| Crop | Yield (t/ha), 2023 | Yield (t/ha), 2024 |"
    assert row_statements(yields) == ["Wheat: Yield (t/ha), 2023 7.5; Yield (t/ha), 2024 6.9"]


def test_markdown_of_many_origins_is_read_whole() -> None:
    contents = read(INPUTS / "43-markdown-mixed")
    assert [
        (f.alt, f.picture.name if isinstance(f.picture, Path) else "") for f in figures(contents)
    ] == [
        ("A lever on its fulcrum", "my figure.png"),
        ("A pulley with two wheels", "pulley.png"),
        ("A wheel and axle", "wheel.png"),
        ("A screw", "screw.png"),
        ("A wedge", "wedge.png"),
    ]
    text = "\n".join(texts(contents))
    assert "width=50%" not in text
    assert "[!NOTE]" not in text
    assert ("note", "Friction lowers the gain.") in [(b.role, b.text) for b in blocks(contents)]
    assert "Archimedes proved the law of the lever" in text


def test_a_link_finds_a_file_in_other_capitals_or_another_unicode_form() -> None:
    contents = read(INPUTS / "45-names-nfd-case")
    assert [f.alt for f in figures(contents)] == ["Mouth of the Elbe", "Delta of the Nile"]
    assert all(isinstance(f.picture, Path) for f in figures(contents))
    assert problems(contents) == []


@pytest.mark.parametrize(
    ("archive", "page"),
    [
        ("mac-utf8-unflagged.zip", "cours/rivières.html"),
        ("utf8-flagged.zip", "cours/rivières.html"),
        ("windows-cp850.zip", "cours/rivières.html"),
        ("windows-1252.zip", "cours/rivières.html"),
        ("windows-japan-cp932.zip", "教材/米作.html"),
    ],
)
def test_names_in_zips_are_those_of_the_author(archive: str, page: str) -> None:
    (document,) = scan(INPUTS / "50-zip-names" / archive)
    assert isinstance(document, Document)
    assert document.source == f"{archive}/{page}"
    (figure,) = figures(list(document.read()))
    assert isinstance(figure.picture, bytes)


def test_a_value_stays_in_the_row_of_its_label() -> None:
    halogens, elements = texts(read(INPUTS / "65-table-control"))
    assert row_statements(elements) == [
        "Oxygen: Symbol O; Boiling point (K) 90",
        "Bromine: Symbol Br; Boiling point (K) 332",
        "Iodine: Symbol I; Boiling point (K) 457",
    ]
    assert row_statements(halogens)[0] == "gas: Element fluorine; Colour pale yellow"
