"""What slides hold beside text boxes: merged cells, lists, groups, fills, captions, comments."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pptx
import pytest
from lxml import etree
from PIL import Image
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls
from pptx.slide import Slide
from pptx.util import Inches

from data.documents import Block, Figure, Problem
from data.readers.pptx import PptxReader
from data.readers.pptx_captions import captions_of_figures
from data.readers.structure import Content
from data.tables import parse_table

BLANK, TITLE_ONLY = 6, 5


def read(folder: Path, build: Callable[[Slide], object], layout: int = BLANK) -> list[Content]:
    presentation = pptx.Presentation()
    build(presentation.slides.add_slide(presentation.slide_layouts[layout]))
    path = folder / "slides.pptx"
    presentation.save(str(path))
    (document,) = PptxReader().documents(path, folder)
    return list(document.read())


def texts(contents: list[Content]) -> list[str]:
    return [c.text for c in contents if isinstance(c, Block)]


def figures(contents: list[Content]) -> list[Figure]:
    return [c for c in contents if isinstance(c, Figure)]


def picture() -> io.BytesIO:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    buffer.seek(0)
    return buffer


def add_text(slide: Slide, paragraphs: list[tuple[str, str]]) -> None:
    """Add a text box of paragraphs, each with the mark-up of its properties."""
    body = slide.shapes.add_textbox(0, 0, Inches(3), Inches(1))._element.txBody
    for paragraph in list(body.iterchildren("{*}p")):
        body.remove(paragraph)
    for properties, runs in paragraphs:
        body.append(parse_xml(f"<a:p {nsdecls('a')}>{properties}{runs}</a:p>"))


def r(text: str, properties: str = "") -> str:
    """Return a run; `properties` are attributes, `|` and child elements."""
    attributes, _, children = properties.partition("|")
    return f"<a:r><a:rPr {attributes}>{children}</a:rPr><a:t>{text}</a:t></a:r>"


def test_numbered_paragraphs_keep_their_numbers(tmp_path: Path) -> None:
    def number(scheme: str, level: int = 0, start: str = "") -> str:
        return f'<a:pPr lvl="{level}"><a:buAutoNum type="{scheme}"{start}/></a:pPr>'

    paragraphs = [
        (number("arabicPeriod"), r("Weigh it.")),
        (number("alphaLcParenR", 1), r("empty")),
        (number("alphaLcParenR", 1), r("full")),
        (number("arabicPeriod"), r("Heat it.")),
        ("", r("A pause.")),
        (number("romanUcPeriod", 0, ' startAt="4"'), r("Cool it.")),
    ]
    (text,) = texts(read(tmp_path, lambda slide: add_text(slide, paragraphs)))
    assert text.splitlines() == [
        "1. Weigh it.",
        "a) empty",
        "b) full",
        "2. Heat it.",
        "A pause.",
        "IV. Cool it.",
    ]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (r("10") + r("8", 'baseline="30000"') + r(" m"), "10^8 m"),
        (r("H") + r("2", 'baseline="-25000"') + r("O"), "H2O"),
        (r("47 k") + r("W", '|<a:latin typeface="Symbol"/>'), "47 kΩ"),
        (r("a \uf0e0 b", '|<a:sym typeface="Wingdings"/>'), "a → b"),
        (r("Way", '|<a:sym typeface="Symbol"/>'), "Way"),
    ],
)
def test_raised_characters_and_symbols(tmp_path: Path, runs: str, expected: str) -> None:
    assert texts(read(tmp_path, lambda slide: add_text(slide, [("", runs)]))) == [expected]


def test_merged_cells_are_filled(tmp_path: Path) -> None:
    def build(slide: Slide) -> None:
        table = slide.shapes.add_table(4, 3, 0, 0, Inches(4), Inches(2)).table
        words = ("class", "marks", "", "", "oral", "written", "9a", "1", "2", "9b", "3", "")
        for cell, word in zip(table.iter_cells(), words, strict=True):
            cell.text = word
        table.cell(0, 0).merge(table.cell(1, 0))
        table.cell(0, 1).merge(table.cell(0, 2))
        table.cell(3, 1).merge(table.cell(3, 2))

    table = parse_table(texts(read(tmp_path, build))[0])
    assert table is not None
    assert table.column_names == ("class", "marks, oral", "marks, written")
    assert table.body == (("9a", "1", "2"), ("9b", "3", "3"))


def test_pictures_in_groups_lie_where_the_slide_shows_them(tmp_path: Path) -> None:
    def build(slide: Slide) -> None:
        group = slide.shapes.add_group_shape()
        group.shapes.add_picture(picture(), Inches(1), Inches(1), Inches(2), Inches(2))
        transform = group._element.grpSpPr.find("{*}xfrm")
        transform.find("{*}off").set("x", str(Inches(5)))
        transform.find("{*}ext").set("cx", str(Inches(4)))  # twice as wide as its inside

    (figure,) = figures(read(tmp_path, build))
    assert figure.bbox == pytest.approx((0.5, 1 / 7.5, 0.9, 3 / 7.5), abs=0.001)


def test_picture_fills_and_backgrounds_are_figures(tmp_path: Path) -> None:
    def build(slide: Slide) -> None:
        _, relation = slide.part.get_or_add_image_part(picture())
        fill = f'<a:blipFill {nsdecls("a", "r")}><a:blip r:embed="{relation}"/></a:blipFill>'
        shape = slide.shapes.add_shape(1, Inches(1), Inches(1), Inches(2), Inches(1))
        shape._element.spPr.append(parse_xml(fill))
        background = f"<p:bg {nsdecls('p', 'a', 'r')}><p:bgPr>{fill}</p:bgPr></p:bg>"
        slide._element.cSld.insert(0, parse_xml(background))

    contents = read(tmp_path, build)
    background, fill = figures(contents)
    assert background.bbox == (0.0, 0.0, 1.0, 1.0)
    assert fill.bbox == pytest.approx((0.1, 1 / 7.5, 0.3, 2 / 7.5), abs=0.001)
    assert all(figure.picture for figure in (background, fill))


def test_each_caption_goes_to_the_picture_next_to_it() -> None:
    left, right, far = (0.1, 0.1, 0.4, 0.5), (0.6, 0.1, 0.9, 0.5), (0.1, 0.8, 0.4, 0.95)
    below_left, below_right = (0.1, 0.52, 0.4, 0.58), (0.6, 0.52, 0.9, 0.58)
    captions = [("Figure 2. R", below_right), ("Figure 1. L", below_left)]
    assert captions_of_figures(captions, [left, right]) == {0: 1, 1: 0}
    shared = [("Figure 1. Both", (0.3, 0.52, 0.7, 0.58))]
    assert captions_of_figures(shared, [left, right, far]) == {0: 0, 1: 0}
    assert captions_of_figures([("Figure 1. X", None)], [None]) == {0: 0}
    assert captions_of_figures([], [left]) == {}


def test_arrows_and_films_are_problems(tmp_path: Path) -> None:
    def build(slide: Slide) -> None:
        for left in (0, 1, 2):
            slide.shapes.add_connector(1, Inches(left), 0, Inches(left + 1), Inches(1))
        slide.shapes.add_movie(io.BytesIO(b"film"), 0, 0, 100, 100, poster_frame_image=picture())

    contents = read(tmp_path, build)
    problems = [c for c in contents if isinstance(c, Problem)]
    assert [(p.kind, p.page) for p in problems] == [("attachment", 1), ("diagram", 1)]
    assert problems[1].message.startswith("slide 1: shapes without words such as arrows (3)")
    assert len(figures(contents)) == 1


def test_a_title_without_a_slide_below_is_kept(tmp_path: Path) -> None:
    def build(slide: Slide) -> None:
        slide.shapes.title.text = "Part two: heat"

    assert texts(read(tmp_path, build, TITLE_ONLY)) == ["Part two: heat"]


def test_comments_are_for_teachers(tmp_path: Path) -> None:
    kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    namespace = "http://schemas.openxmlformats.org/presentationml/2006/main"

    def build(slide: Slide) -> None:
        slide.shapes.add_textbox(0, 0, 100, 100).text_frame.text = "Heat flows."
        package = slide.part.package
        parts = {
            "commentAuthors": (
                package.presentation_part,
                f'<p:cmAuthorLst xmlns:p="{namespace}"><p:cmAuthor id="0" name="Ann Lee" '
                'initials="AL"/></p:cmAuthorLst>',
            ),
            "comments": (
                slide.part,
                f'<p:cmLst xmlns:p="{namespace}"><p:cm authorId="0" dt="2026-01-02">'
                "<p:text>Add a picture.</p:text></p:cm></p:cmLst>",
            ),
        }
        for kind, (owner, markup) in parts.items():
            name = PackURI(f"/ppt/{kind}1.xml")
            part = Part(name, "application/xml", package, markup.encode())
            owner.relate_to(part, f"{kinds}/{kind}")

    text, comment = (c for c in read(tmp_path, build) if isinstance(c, Block))
    assert (text.text, text.audience) == ("Heat flows.", "student")
    assert comment.text == "Comment (Ann Lee (AL), 2026-01-02): Add a picture."
    assert (comment.audience, comment.role, comment.page) == ("teacher", "note", 1)


def test_a_shape_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    def build(slide: Slide) -> None:
        slide.shapes.add_textbox(0, 0, 100, 100).text_frame.text = "Heat flows."
        table = slide.shapes.add_table(1, 1, 0, 0, 100, 100)._element
        cell = next(table.iter("{*}tc"))
        assert isinstance(cell, etree._Element)
        cell.set("rowSpan", "many")

    contents = read(tmp_path, build)
    assert texts(contents) == ["Heat flows."]
    (problem,) = [c for c in contents if isinstance(c, Problem)]
    assert problem.message.startswith("slide 1: Table 2 cannot be read")


def test_a_picture_without_a_name_costs_only_itself(tmp_path: Path) -> None:
    def build(slide: Slide) -> None:
        slide.shapes.add_textbox(0, 0, 100, 100).text_frame.text = "Heat flows."
        element = slide.shapes.add_picture(picture(), 0, 0)._element
        for child in list(element):
            element.remove(child)

    contents = read(tmp_path, build)
    assert texts(contents) == ["Heat flows."]
    (problem,) = [c for c in contents if isinstance(c, Problem)]
    assert problem.message.startswith("slide 1: a shape")
