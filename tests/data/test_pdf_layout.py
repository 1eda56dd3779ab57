"""The layout rules for PDF pages, tested on hand-made lines without a PDF."""

from __future__ import annotations

import pytest

from data.readers.pdf_captions import CAPTION, find_references, parse_caption
from data.readers.pdf_figures import Graphic, find_figures, match_captions
from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_hyphens import join_lines
from data.readers.pdf_layout import (
    Line,
    Paragraph,
    continues,
    order_columns,
    split_paragraphs,
)
from data.readers.pdf_survey import PdfSurvey, is_header_or_footer, is_heading, survey_pages

PAGE = Rectangle(0, 0, 600, 800)
WORDS = "the quick brown fox jumps over it"


def line(
    text: str,
    left: float,
    top: float,
    width: float = 240,
    font_size: float = 10.0,
    bold: bool = False,
) -> Line:
    box = Rectangle(left, top, left + width, top + font_size)
    return Line(text, box, top + 0.8 * font_size, font_size, bold=bold)


def texts(columns: list[list[Line]]) -> list[list[str]]:
    return [[element.text for element in column] for column in columns]


def test_two_columns_are_read_one_after_the_other_around_a_wide_element() -> None:
    title = line("title", 50, 40, 500)
    upper = [
        line(f"{side}{row}", left, 60 + 12 * row)
        for row in range(4)
        for side, left in (("l", 50), ("r", 310))
    ]
    wide = line("wide", 50, 120, 500)
    lower = [
        line(f"{side}{row}", left, 140 + 12 * row)
        for row in range(4)
        for side, left in (("m", 50), ("s", 310))
    ]
    assert texts(order_columns([*lower, wide, *upper, title])) == [
        ["title"],
        ["l0", "l1", "l2", "l3"],
        ["r0", "r1", "r2", "r3"],
        ["wide"],
        ["m0", "m1", "m2", "m3"],
        ["s0", "s1", "s2", "s3"],
    ]


def test_three_columns() -> None:
    lines = [line(f"{c}{r}", 40 + 180 * c, 50 + 12 * r, 165) for r in range(4) for c in range(3)]
    assert [column[0] for column in texts(order_columns(lines))] == ["00", "10", "20"]


def test_rows_of_short_cells_are_not_columns() -> None:
    lines = [line(f"{r}{c}", 50 + 150 * c, 50 + 12 * r, 20) for r in range(5) for c in range(3)]
    lines.append(line("wide enough", 50, 30, 440))
    assert texts(order_columns(lines))[0][1:5] == ["00", "01", "02", "10"]


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (("electro-", "magnetic field"), "electromagnetic field"),
        (("the Navier-", "Stokes equation"), "the Navier-Stokes equation"),
        (("between 3-", "dimensional"), "between 3- dimensional"),
        (("soft\u00ad", "Hyphen"), "softHyphen"),
        (("two", "words"), "two words"),
    ],
)
def test_hyphenation(lines: tuple[str, str], joined: str) -> None:
    assert join_lines(lines) == joined


def test_paragraphs_begin_at_gaps_indents_bullets_and_after_short_last_lines() -> None:
    column = [
        line(WORDS, 50, 100),
        line("and ends here.", 50, 112, 80),
        line(WORDS, 50, 124),
        line(WORDS, 62, 136, 228),
        line(WORDS, 50, 148),
        line(WORDS, 50, 180),
        line("• a point", 50, 192, 200),
        line("that goes on", 60, 204, 190),
    ]
    assert [len(p.lines) for p in split_paragraphs(column, 290)] == [2, 1, 2, 1, 2]


def test_a_caption_begins_a_paragraph_and_a_mention_at_the_start_of_a_line_does_not() -> None:
    mention = [line("the rod and its discs, as shown in", 50, 100), line("Figure 2.", 50, 112, 40)]
    assert len(split_paragraphs(mention, 290, CAPTION)) == 1
    caption = [line("the rod is at rest.", 50, 100), line("Figure 2. A rod", 50, 112, font_size=8)]
    assert len(split_paragraphs(caption, 290, CAPTION)) == 2


def test_only_an_unfinished_sentence_continues_after_a_break() -> None:
    assert continues("the force on the", "body is zero")
    assert not continues("the force is zero.", "then it")
    assert not continues("the force on the", "A new paragraph")


def test_headings_by_size_and_by_weight() -> None:
    survey = PdfSurvey(body_size=10.0)

    def heading(text: str, font_size: float = 10.0, bold: bool = False) -> bool:
        heading_line = line(text, 50, 100, font_size=font_size, bold=bold)
        return is_heading(Paragraph((heading_line,)), survey)

    assert heading("3.1 Forces", font_size=13)
    assert heading("Forces", bold=True)
    assert not heading("Forces")
    assert not heading("A bold sentence that ends as sentences do.", bold=True)
    assert not heading("12.5", font_size=13)
    bold_paragraph = Paragraph((line("Forces", 50, 100, bold=True),))
    assert not is_heading(bold_paragraph, PdfSurvey(10.0, body_bold=True))


def test_only_repeated_lines_at_the_edges_are_headers_and_footers() -> None:
    pages = {
        index: (
            800.0,
            [
                line(f"Physics {index}", 50, 30),
                line(f"{'abcdefgh'[index] * 5} begins the page", 50, 80),
                line(str(index), 300, 760, 10),
            ],
        )
        for index in range(8)
    }
    survey = survey_pages(pages)
    _, (header, first, number) = pages[3]
    assert is_header_or_footer(header, 800, survey)
    assert is_header_or_footer(number, 800, survey)
    assert not is_header_or_footer(first, 800, survey)
    assert is_header_or_footer(line("Page 3 of 9", 50, 770), 800, PdfSurvey())
    assert not is_header_or_footer(header, 800, PdfSurvey())


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Figure 3. The heart", ("figure", "3")),
        ("Fig. 2: Bars", ("figure", "2")),
        ("FIGURE 4.12 Height against time", ("figure", "4.12")),
        ("Table 2–1. Masses", ("table", "2-1")),
        ("Figure 3", ("figure", "3")),
        ("Figure 3 shows the heart", None),
        ("Figure Ed25519 is none", None),
        ("Figure 3. The heart . . . . . . . . 12", None),
        ("Configure 3. It", None),
    ],
)
def test_captions(text: str, label: tuple[str, str] | None) -> None:
    assert parse_caption(text) == label


def test_references_are_anchors_in_order_without_repeats() -> None:
    text = "See Figs. 2, 3.1 and 4 (Figure 2a), Table 7 and figure 10."
    assert find_references(text) == (
        "figure-2",
        "figure-3.1",
        "figure-4",
        "table-7",
        "figure-10",
    )
    assert find_references("Go figure: 3 of them. Stable 4.") == ()


def test_the_nearest_figure_gets_the_caption() -> None:
    boxes = [Rectangle(50, 100, 250, 200), Rectangle(50, 300, 250, 400)]
    below = Paragraph((line("Figure 1. One", 50, 208, 150),))
    above = Paragraph((line("Figure 2. Two", 50, 285, 150),))
    assert match_captions(boxes, [above, below], PdfSurvey()) == {0: 1, 1: 0}


def test_text_frames_rules_and_backgrounds_are_not_figures() -> None:
    prose = [line(WORDS, 110, 110 + 12 * row) for row in range(4)]
    regions = find_figures(
        [
            Graphic(PAGE, "rect"),
            Graphic(Rectangle(50, 50, 550, 50.5), "rule"),
            Graphic(Rectangle(100, 100, 360, 165), "shape"),
            Graphic(Rectangle(400, 400, 410, 410), "shape"),
        ],
        prose,
        PAGE,
        10.0,
        "",
    )
    assert not [region for region in regions if region.certain]


def test_a_figure_includes_its_axes_and_labels_but_not_the_text_above() -> None:
    curve = Graphic(Rectangle(120, 300, 300, 400), "shape")
    axis = Graphic(Rectangle(110, 405, 310, 405.5), "rule")
    tick = line("0.5", 104, 409, 14, font_size=7)
    text = line(WORDS, 100, 285)
    (figure,) = find_figures([curve, axis], [tick, text], PAGE, 10.0, "")
    assert figure.box == Rectangle(104, 300, 310, 416)
