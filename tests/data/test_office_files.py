"""Word and PowerPoint files that lost words, pictures or themselves: one per kind of fault.

The files in `office/` were made after public bug reports of other readers.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from data.documents import Block, Figure, Problem
from data.readers.scan import scan
from data.readers.structure import Content
from data.tables import row_statements

FILES = Path(__file__).parent / "office"


def read(name: str) -> list[Content]:
    (document,) = scan(FILES / name)
    return list(document.read())


def texts(contents: list[Content]) -> list[str]:
    return [c.text for c in contents if isinstance(c, Block)]


def figures(contents: list[Content]) -> list[Figure]:
    return [c for c in contents if isinstance(c, Figure)]


def problems(contents: list[Content]) -> list[Problem]:
    return [c for c in contents if isinstance(c, Problem)]


def test_a_text_box_is_read_once_wherever_it_stands() -> None:
    text = "\n".join(texts(read("blood.docx")))
    assert text.count("albumin") == 1
    assert text.count("platelets") == 1
    assert "is mostly water Plasma carries albumin" in text  # the box belongs to its cell


def test_content_controls_are_looked_through() -> None:
    contents = texts(read("volcano.docx"))
    assert "A caldera forms when the roof of an emptied magma chamber falls in." in contents
    assert "The most common lava is basalt by far." in contents
    tables = [row_statements(text) for text in contents if "|" in text]
    assert tables == [["Etna: Country Italy; Height 3357 m"], ["Krakatoa: erupted in 1883"]]


def test_a_footnote_follows_its_paragraph() -> None:
    before, note = (c for c in read("planets.docx") if isinstance(c, Block))
    assert before.text == "Pluto was counted among the planets until 2006."
    assert note.text.endswith("defined a dwarf planet as a body that has not cleared its orbit.")
    assert (note.role, note.section) == ("note", before.section)


def test_inserted_symbols_become_unicode_and_soft_hyphens_go() -> None:
    circuit, spectrum = texts(read("circuits.docx"))
    assert "47 kΩ and the capacitor 10 µF. The angle is 30°, and α particles" in circuit
    assert "1-24 hours" in circuit
    assert circuit.endswith("ON\nOFF")
    assert spectrum == "The electromagnetic spectrum has radio waves at its long end."


def test_a_chart_is_a_figure_and_a_table_of_its_values() -> None:
    contents = read("salts.docx")
    (figure,) = figures(contents)
    assert (figure.number, figure.anchor) == ("1", "figure-1")
    assert figure.caption == "Solubility of potassium nitrate at two temperatures."
    assert figure.alt == "Bars of the solubility at two temperatures"
    table = texts(contents)[-1]
    assert table.startswith("Solubility of potassium nitrate (bar chart)\n")
    assert row_statements(table) == [
        "20 degrees: grams per 100 g water 32",
        "60 degrees: grams per 100 g water 110",
    ]
    assert problems(contents) == []


def test_an_old_picture_has_its_caption_and_an_old_equation_is_a_problem() -> None:
    contents = read("lenses.docx")
    (figure,) = figures(contents)
    assert figure.picture is not None
    assert figure.picture.startswith(b"\x89PNG")  # type: ignore[union-attr]
    assert figure.alt == "Ray diagram of a convex lens"
    assert (figure.number, figure.caption) == ("2", "Rays through a convex lens.")
    (problem,) = problems(contents)
    assert problem.kind == "formula"
    assert "Equation.DSMT4" in problem.message


def test_merged_cells_are_filled_and_pictures_in_nested_tables_stay() -> None:
    contents = read("rocks.docx")
    assert row_statements(texts(contents)[0]) == [
        "Igneous: Example granite; Use kerbs",
        "Igneous: Example basalt; Use roads",
    ]
    (figure,) = figures(contents)
    assert figure.picture


def test_shapes_and_titles_with_an_equation_are_read() -> None:
    contents = read("newton.pptx")
    expected = "The net force on a body is \\(F = ma\\), so a heavy crate is slow to start."
    assert expected in texts(contents)
    (last,) = [c for c in contents if isinstance(c, Block) and c.page == 2]
    assert last.section[-1] == "Work is \\(W = Fs\\)"


def test_smartart_charts_and_tables_of_slides_are_text() -> None:
    contents = read("water.pptx")
    smartart, chart, table = texts(contents)
    assert "- Condensation into clouds" in smartart.splitlines()
    assert chart.startswith("Yearly rain in two cities (bar chart)\n")
    assert row_statements(chart) == ["Bergen: Rain in mm 2250", "Cairo: Rain in mm 25"]
    assert row_statements(table) == ["Cirrus: Height 8 km"]
    assert [f.alt for f in figures(contents)][-1] == "Mercury barometer after Torricelli"
    assert [(p.kind, p.page) for p in problems(contents)] == [("diagram", 1), ("picture", 4)]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("null.docx", []), ("anchor.docx", []), ("missing-picture.docx", ["picture"])],
)
def test_a_relation_without_a_target_costs_no_file(name: str, kinds: list[str]) -> None:
    contents = read(name)
    assert texts(contents) == ["Enzymes lower the energy that a reaction needs to start."]
    assert [p.kind for p in problems(contents)] == kinds
    assert all("media/image9.png is missing" in p.message for p in problems(contents))
