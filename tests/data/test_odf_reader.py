"""The OpenDocument reader on texts, slides and sheets whose mark-up the tests write."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.odf import OdfReader
from data.readers.scan import scan
from data.readers.structure import Content
from data.tables import parse_table, row_statements

PREFIXES = "office style text table draw presentation chart"
OASIS = "urn:oasis:names:tc:opendocument:xmlns"
NAMESPACES = " ".join(
    [
        *(f'xmlns:{prefix}="{OASIS}:{prefix}:1.0"' for prefix in PREFIXES.split()),
        f'xmlns:svg="{OASIS}:svg-compatible:1.0"',
        'xmlns:xlink="http://www.w3.org/1999/xlink"',
    ]
)
LISTS = (
    '<text:list-style style:name="L1">'
    '<text:list-level-style-number text:level="1" style:num-suffix="." style:num-format="1"/>'
    '<text:list-level-style-number text:level="2" style:num-suffix=")" style:num-format="a"/>'
    '</text:list-style><text:list-style style:name="L2">'
    '<text:list-level-style-bullet text:level="1"/></text:list-style>'
    '<style:style style:name="T1" style:family="text">'
    '<style:text-properties style:text-position="super 58%"/></style:style>'
    '<style:style style:name="T2" style:family="text" style:parent-style-name="T1"/>'
    '<style:style style:name="T3" style:family="text">'
    '<style:text-properties style:font-name="Symbol"/></style:style>'
    '<style:style style:name="dp2" style:family="drawing-page">'
    '<style:drawing-page-properties presentation:visibility="hidden"/></style:style>'
)


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, body: str, parts: dict[str, bytes | str] | None = None) -> Path:
    content = (
        f"<office:document-content {NAMESPACES}><office:automatic-styles>{LISTS}"
        f"</office:automatic-styles><office:body>{body}</office:body></office:document-content>"
    )
    meta = (
        '<office:document-meta xmlns:office="x" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<dc:title>Optics</dc:title><dc:creator>A. Teacher</dc:creator></office:document-meta>"
    )
    manifest = "<manifest:manifest xmlns:manifest='x'/>"
    members = {"content.xml": content, "meta.xml": meta, "META-INF/manifest.xml": manifest}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        for name, data in (members | (parts or {})).items():
            archive.writestr(name, data)
    return path


def document(path: Path) -> Document:
    (only,) = OdfReader().documents(path, path.parent)
    return only


def read_text(folder: Path, markup: str, **parts: bytes | str) -> list[Content]:
    named = {name.replace("__", "/"): data for name, data in parts.items()}
    path = write(folder / "a.odt", f"<office:text>{markup}</office:text>", named)
    return list(document(path).read())


def texts(contents: list[Content]) -> list[str]:
    return [c.text for c in contents if isinstance(c, Block)]


def item(*paragraphs: str) -> str:
    return f"<text:list-item>{''.join(paragraphs)}</text:list-item>"


def p(text: str) -> str:
    return f"<text:p>{text}</text:p>"


def cell(text: str, attributes: str = "") -> str:
    return f"<table:table-cell {attributes}>{p(text)}</table:table-cell>"


COVERED = "<table:covered-table-cell/>"


def row(*cells: str, attributes: str = "") -> str:
    return f"<table:table-row {attributes}>{''.join(cells)}</table:table-row>"


def frame(inside: str, name: str = "a lens") -> str:
    return f"<draw:frame>{inside}<svg:desc>{name}</svg:desc></draw:frame>"


PICTURE = '<draw:image xlink:href="Pictures/a.png"/>'


def test_headings_lists_and_notes_come_in_order(tmp_path: Path) -> None:
    inner = f"<text:list>{item(p('thick'))}{item(p('thin'))}</text:list>"
    numbered = f'<text:list text:style-name="L1">{item(p("Lenses"), inner)}{item(p("Mirrors"))}'
    bullets = f'<text:list text:style-name="L2">{item(p("light"))}</text:list>'
    more = (
        '<text:list text:style-name="L1" text:continue-numbering="true">'
        f"{item(p('Prisms'))}</text:list>"
    )
    note = "<text:note><text:note-body><text:p>From the eye.</text:p></text:note-body></text:note>"
    contents = read_text(
        tmp_path,
        f'<text:h text:outline-level="1">Kinds</text:h>{numbered}</text:list>{bullets}{more}'
        f'<text:h text:outline-level="2">Rays</text:h><text:p>A ray{note} is straight.</text:p>',
    )
    blocks = [c for c in contents if isinstance(c, Block)]
    assert [(b.section[1:], b.role, b.text) for b in blocks] == [
        (("Kinds",), "text", "1. Lenses\n  a) thick\n  b) thin\n2. Mirrors"),
        (("Kinds",), "text", "- light"),
        (("Kinds",), "text", "3. Prisms"),
        (("Kinds", "Rays"), "text", "A ray is straight."),
        (("Kinds", "Rays"), "note", "From the eye."),
    ]
    optics = document(tmp_path / "a.odt")
    assert (optics.title, optics.attribution) == ("Optics", "A. Teacher")


def test_raised_characters_symbols_and_spaces(tmp_path: Path) -> None:
    raised = '10<text:span text:style-name="T2">8</text:span> m'
    symbols = '47 k<text:span text:style-name="T3">W</text:span>'
    spaced = 'a<text:s text:c="3"/>b<text:line-break/>c'
    contents = read_text(tmp_path, p(raised) + p(symbols) + p(spaced))
    assert texts(contents) == ["10^8 m", "47 kΩ", "a b\nc"]


def test_merged_and_repeated_cells_are_filled(tmp_path: Path) -> None:
    table = (
        "<table:table><table:table-header-rows>"
        + row(
            cell("metal", 'table:number-rows-spanned="2"'),
            cell("density", 'table:number-columns-spanned="2"'),
            COVERED,
        )
        + row(COVERED, cell("cold"), cell("hot"))
        + "</table:table-header-rows>"
        + row(cell("iron"), cell("8", 'table:number-columns-repeated="2"'))
        + "</table:table>"
    )
    (text,) = texts(read_text(tmp_path, table))
    parsed = parse_table(text)
    assert parsed is not None
    assert parsed.column_names == ("metal", "density, cold", "density, hot")
    assert parsed.body == (("iron", "8", "8"),)


def test_a_picture_has_its_alt_text_and_the_caption_of_its_box(tmp_path: Path) -> None:
    box = f"<draw:text-box><text:p>{frame(PICTURE)}Figure 2. A lens.</text:p></draw:text-box>"
    (figure,) = read_text(tmp_path, p(frame(box, "")), **{"Pictures__a.png": picture()})
    assert isinstance(figure, Figure)
    assert (figure.number, figure.caption, figure.alt) == ("2", "A lens.", "a lens")
    assert figure.picture == picture()


def test_formulas_are_latex_and_charts_are_tables(tmp_path: Path) -> None:
    formula = frame('<draw:object xlink:href="./Object 1"/>', "")
    chart = frame('<draw:object xlink:href="./Object 2"/>', "")
    mathml = '<math xmlns="http://www.w3.org/1998/Math/MathML"><mfrac><mi>a</mi><mn>2</mn></mfrac></math>'
    values = row(cell(""), cell("mm")) + row(cell("Bergen"), cell("2250"))
    plotted = (
        f'<office:document-content {NAMESPACES}><office:chart><chart:chart chart:class="chart:bar">'
        f"<chart:title>{p('Yearly rain')}</chart:title><table:table>{values}</table:table>"
        "</chart:chart></office:chart></office:document-content>"
    )
    parts = {"Object 1__content.xml": mathml, "Object 2__content.xml": plotted}
    contents = read_text(tmp_path, p(f"Half is {formula}, see") + p(chart), **parts)
    sentence, table = texts(contents)
    assert sentence == r"Half is \(\frac{a}{2}\), see"
    assert table.startswith("Yearly rain (bar chart)\n")
    assert row_statements(table) == ["Bergen: mm 2250"]
    assert [c.alt for c in contents if isinstance(c, Figure)] == ["Yearly rain (bar chart)"]


def test_slides_are_sections_with_pages(tmp_path: Path) -> None:
    def shape(text: str, kind: str) -> str:
        box = f"<draw:text-box>{p(text)}</draw:text-box>"
        return f'<draw:frame presentation:class="{kind}">{box}</draw:frame>'

    slides = (
        f"<draw:page>{shape('Lenses', 'title')}{shape('They bend light.', 'outline')}"
        f"{shape('7', 'page-number')}<presentation:notes>{shape('Ask first.', 'notes')}"
        "</presentation:notes></draw:page>"
        f'<draw:page draw:style-name="dp2"><draw:custom-shape>{p("Hidden.")}</draw:custom-shape>'
        "<draw:line/><draw:line/></draw:page>"
        f"<draw:page>{shape('The end', 'title')}</draw:page>"
    )
    path = write(tmp_path / "a.odp", f"<office:presentation>{slides}</office:presentation>")
    contents = list(document(path).read())
    blocks = [c for c in contents if isinstance(c, Block)]
    assert [(b.page, b.section[1:], b.audience, b.text) for b in blocks] == [
        (1, ("Lenses",), "student", "They bend light."),
        (1, ("Lenses",), "teacher", "Ask first."),
        (2, ("Slide 2",), "teacher", "Hidden."),
        (3, (), "student", "The end"),
    ]
    assert [c.kind for c in contents if isinstance(c, Problem)] == ["diagram"]


def test_sheets_are_sections_with_tables(tmp_path: Path) -> None:
    empty = row("<table:table-cell/>", attributes='table:number-rows-repeated="1048500"')
    sheet = (
        '<table:table table:name="Rain">'
        + row(cell("city"), cell("mm"), '<table:table-cell table:number-columns-repeated="16000"/>')
        + row(cell("Bergen"), cell("2250"))
        + row("<table:table-cell/>")
        + row(cell("Source: diary"))
        + empty
        + "</table:table>"
    )
    path = write(tmp_path / "a.ods", f"<office:spreadsheet>{sheet}</office:spreadsheet>")
    table, text = (c for c in document(path).read() if isinstance(c, Block))
    assert table.section == ("Optics", "Rain")
    assert row_statements(table.text) == ["Bergen: mm 2250"]
    assert text.text == "Source: diary"


def test_a_missing_picture_and_an_embedded_file_are_problems(tmp_path: Path) -> None:
    embedded = frame('<draw:object xlink:href="./Object 9"/>', "")
    contents = read_text(tmp_path, p(f"Words.{frame(PICTURE)}") + p(embedded))
    assert texts(contents) == ["Words."]
    problems = [c for c in contents if isinstance(c, Problem)]
    assert [q.kind for q in problems] == ["picture", "picture", "attachment"]


def test_the_format_is_known_without_its_suffix(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", f"<office:text>{p('Words.')}</office:text>")
    (only,) = scan(path)
    assert isinstance(only, Document)
    assert texts(list(only.read())) == ["Words."]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"content.xml": "<a"}, "not well-formed"),
        ({"content.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}, "declares a document type"),
        ({"styles.xml": "<!DOCTYPE a><a/>"}, "declares a document type"),
        ({"META-INF/manifest.xml": "<m><encryption-data/></m>"}, "protected with a password"),
        ({"Pictures/../../x": "x"}, "points outside the archive"),
    ],
)
def test_hostile_files_are_bad_input(
    tmp_path: Path, parts: dict[str, bytes | str], reason: str
) -> None:
    path = write(tmp_path / "a.odt", f"<office:text>{p('x')}</office:text>", parts)
    with pytest.raises(BadInput, match=rf"^a.odt: .*{reason}"):
        list(document(path).read())


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty file"), (b"words", "not a zip archive")])
def test_bad_files(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.odt"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=rf"^a.odt: .*{reason}"):
        list(document(path).read())


def test_a_file_without_words_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing to index"):
        read_text(tmp_path, "<text:p/>")
