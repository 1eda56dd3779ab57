"""What Word files hold beside plain paragraphs: numbers, captions, symbols, broken parts."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import pytest
from docx.document import Document as WordDocument
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from PIL import Image

from data.documents import Block, Figure, Problem
from data.errors import BadInput
from data.readers.docx import DocxReader
from data.readers.structure import Content
from data.tables import parse_table

W = nsdecls("w")


def write(folder: Path, build: Callable[[WordDocument], None], name: str = "a.docx") -> Path:
    word = docx.Document()
    build(word)
    word.save(str(folder / name))
    return folder / name


def read(path: Path) -> list[Content]:
    (document,) = DocxReader().documents(path, path.parent)
    return list(document.read())


def texts(contents: list[Content]) -> list[str]:
    return [c.text for c in contents if isinstance(c, Block)]


def change(path: Path, edit: Callable[[str, bytes], bytes | None]) -> Path:
    """Copy a file with each member edited; a member whose edit is None is left out."""
    copy = path.with_name(f"changed{path.suffix}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            data = edit(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return copy


def picture(colour: str = "red") -> io.BytesIO:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    buffer.seek(0)
    return buffer


def add_list(word: WordDocument, levels: list[tuple[str, str]], number: int = 77) -> None:
    """Add a list whose levels have these formats and texts, such as ("lowerRoman", "%1.")."""
    numbering = word.part.numbering_part.element
    marks = "".join(
        f'<w:lvl w:ilvl="{n}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/>'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
        for n, (kind, text) in enumerate(levels)
    )
    kind = parse_xml(f'<w:abstractNum {W} w:abstractNumId="{number}">{marks}</w:abstractNum>')
    numbering.insert(0, kind)
    numbering.append(
        parse_xml(f'<w:num {W} w:numId="{number}"><w:abstractNumId w:val="{number}"/></w:num>')
    )


def add_item(word: WordDocument, text: str, level: int = 0, number: int = 77) -> None:
    properties = word.add_paragraph(text)._p.get_or_add_pPr()
    properties.append(
        parse_xml(f'<w:numPr {W}><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')
    )


def test_list_items_keep_the_numbers_that_word_shows(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        add_list(word, [("decimal", "%1."), ("lowerLetter", "%2)"), ("lowerRoman", "(%3)")])
        add_item(word, "Weigh the flask.")
        add_item(word, "empty", 1)
        add_item(word, "full", 1)
        add_item(word, "with the lid", 2)
        add_item(word, "Heat it.")
        add_item(word, "gently", 1)
        word.add_paragraph("Wait for an hour.")
        add_item(word, "Weigh it again.")

    assert texts(read(write(tmp_path, build))) == [
        "1. Weigh the flask.\n  a) empty\n  b) full\n    (i) with the lid\n"
        "2. Heat it.\n  a) gently",
        "Wait for an hour.",
        "3. Weigh it again.",
    ]


def test_exercises_and_headings_keep_their_numbers(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        add_list(word, [("decimal", "%1"), ("decimal", "%1.%2")], 77)
        add_list(word, [("upperRoman", "%1.")], 78)
        for text, level in (("Motion", 0), ("Speed", 1), ("Exercises", 1)):
            properties = word.add_heading(text, level + 1)._p.get_or_add_pPr()
            mark = f'<w:numPr {W}><w:ilvl w:val="{level}"/><w:numId w:val="77"/></w:numPr>'
            properties.append(parse_xml(mark))
        for text in ("Define speed.", "Define velocity."):
            add_item(word, text, number=78)

    blocks = [c for c in read(write(tmp_path, build)) if isinstance(c, Block)]
    assert [b.text for b in blocks] == ["1.1 Speed", "I. Define speed.", "II. Define velocity."]
    assert [b.role for b in blocks] == ["text", "exercise", "exercise"]
    assert blocks[-1].section[1:] == ("1 Motion", "1.2 Exercises")


def test_a_restarted_list_counts_anew(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        add_list(word, [("decimal", "%1.")])
        restart = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride>'
        again = f'<w:num {W} w:numId="90"><w:abstractNumId w:val="77"/>{restart}</w:num>'
        word.part.numbering_part.element.append(parse_xml(again))
        add_item(word, "a")
        add_item(word, "b")
        add_item(word, "c", number=90)

    assert texts(read(write(tmp_path, build))) == ["1. a\n2. b\n1. c"]


def run(word: WordDocument, properties: str, text: str) -> None:
    paragraph = word.add_paragraph("x")
    markup = f"<w:r {W}><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"
    paragraph._p.append(parse_xml(markup))


@pytest.mark.parametrize(
    ("properties", "text", "expected"),
    [
        ('<w:rFonts w:ascii="Symbol"/>', "D", "xΔ"),
        ('<w:rFonts w:ascii="Wingdings"/>', "\uf0e0", "x→"),
        ("", "\uf061", "xα"),
        ('<w:position w:val="8"/>', "2", "x^2"),
        ('<w:position w:val="-6"/>', "2", "x2"),
        ('<w:position w:val="1"/>', "y", "xy"),
    ],
)
def test_symbol_fonts_and_shifted_characters(
    tmp_path: Path, properties: str, text: str, expected: str
) -> None:
    path = write(tmp_path, lambda word: run(word, properties, text))
    assert texts(read(path)) == [expected]


def test_a_symbol_that_no_table_knows_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path, lambda word: run(word, '<w:rFonts w:ascii="Symbol"/>', "\uf0ff"))
    (problem,) = [c for c in read(path) if isinstance(c, Problem)]
    assert problem.kind == "text"
    assert problem.message.startswith("unknown characters of a symbol font (1)")


def test_captions_go_to_their_tables_and_pictures(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        for text in ("Mass", "Density"):
            table = word.add_table(2, 2)
            for cell, value in zip(table._cells, ("metal", text, "iron", "7.9"), strict=True):
                cell.text = value
            word.add_paragraph(f"Table: {text} of metals", style="Caption")
            word.add_paragraph("Text between.")
        paragraph = word.add_paragraph()
        paragraph.add_run().add_picture(picture("red"))
        paragraph.add_run().add_picture(picture("blue"))
        word.add_paragraph("Figure 1. Iron, cold and hot.", style="Caption")

    contents = read(write(tmp_path, build))
    tables = [parse_table(c.text) for c in contents if isinstance(c, Block) and c.role == "table"]
    captions = [table.caption for table in tables if table]
    assert captions == ["Table: Mass of metals", "Table: Density of metals"]
    figures = [c for c in contents if isinstance(c, Figure)]
    assert [f.caption for f in figures] == ["Iron, cold and hot."] * 2


def test_the_rows_of_a_header_are_found(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        grouped = word.add_table(4, 3)
        values = ("metal", "density", "density", "", "cold", "hot", "iron", "7.9", "7.0")
        for cell, value in zip(grouped._cells, values, strict=False):
            cell.text = value
        grouped.cell(0, 1).merge(grouped.cell(0, 2)).text = "density"
        grouped.cell(0, 0).merge(grouped.cell(1, 0)).text = "metal"
        word.add_paragraph("Heights:")
        bare = word.add_table(2, 2)
        for cell, value in zip(bare._cells, ("Etna", "3357 m", "Fuji", "3776 m"), strict=True):
            cell.text = value

    grouped, _, bare = texts(read(write(tmp_path, build)))
    table = parse_table(grouped)
    assert table is not None
    assert table.column_names == ("metal", "density, cold", "density, hot")
    assert table.body == (("iron", "7.9", "7.0"),)
    heights = parse_table(bare)
    assert heights is not None
    assert (heights.header_rows, len(heights.rows)) == (0, 2)


def test_a_large_first_letter_belongs_to_its_word(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        letter = word.add_paragraph("O")
        frame = f'<w:framePr {W} w:dropCap="drop" w:lines="3"/>'
        letter._p.get_or_add_pPr().append(parse_xml(frame))
        word.add_paragraph("nce there was light.")

    assert texts(read(write(tmp_path, build))) == ["Once there was light."]


def test_a_heading_without_text_below_is_kept(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        word.add_heading("Part one", 1)
        word.add_heading("Part two", 1)
        word.add_paragraph("Words.")

    assert texts(read(write(tmp_path, build))) == ["Part one", "Words."]


def test_strict_open_xml_is_read(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        word.add_heading("Waves", 1)
        word.add_paragraph("Sound is a wave.")
        word.add_picture(picture())

    def strict(_: str, data: bytes) -> bytes:
        old = rb"http://schemas.openxmlformats.org/(officeDocument|wordprocessingml|drawingml)/2006"
        return re.sub(old, rb"http://purl.oclc.org/ooxml/\1", data)

    contents = read(change(write(tmp_path, build), strict))
    assert texts(contents) == ["Sound is a wave."]
    assert [c.section[-1] for c in contents if isinstance(c, Figure) and c.picture] == ["Waves"]


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/vnd.ms-word.document.macroEnabled.main+xml",
        b"application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
    ],
)
def test_templates_and_files_with_macros_are_read(tmp_path: Path, content_type: bytes) -> None:
    plain = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    path = write(tmp_path, lambda word: word.add_paragraph("Words.") and None)
    assert texts(read(change(path, lambda _, data: data.replace(plain, content_type)))) == [
        "Words."
    ]


def test_a_part_that_is_broken_costs_only_itself(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        word.add_paragraph("Words.")
        word.add_picture(picture())

    path = write(tmp_path, build)
    broken = change(path, lambda name, data: b"<w:x" if name == "word/styles.xml" else data)
    assert texts(read(broken)) == ["Words."]
    lost = change(path, lambda name, data: None if name.startswith("word/media/") else data)
    figure, problem = (c for c in read(lost) if not isinstance(c, Block))
    assert isinstance(figure, Figure)
    assert isinstance(problem, Problem)
    assert (figure.picture, problem.kind, problem.anchor) == (None, "picture", figure.anchor)


def test_a_picture_with_a_wrong_checksum_costs_only_itself(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        word.add_paragraph("Words.")
        word.add_picture(picture())

    path = change(write(tmp_path, build), lambda _, data: data)
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("word/media/image1.png").header_offset
    data = bytearray(path.read_bytes())
    start = data.index(b"\x89PNG", offset)
    data[start + 40] ^= 0xFF
    path.write_bytes(data)
    contents = read(path)
    assert texts(contents) == ["Words."]
    assert [c.kind for c in contents if isinstance(c, Problem)] == ["picture"]


def metafile() -> bytes:
    """Return an EMF of 100 x 50 pixels with one rectangle."""
    rectangle = struct.pack("<II4i", 43, 24, 10, 10, 90, 40)
    end = struct.pack("<5I", 14, 20, 0, 0, 20)
    size = 88 + len(rectangle) + len(end)
    header = struct.pack("<II8i", 1, 88, 0, 0, 100, 50, 0, 0, 2646, 1323)
    header += b" EMF" + struct.pack("<4IHHIII", 0x10000, size, 3, 1, 0, 0, 0, 0, 0)
    header += (
        struct.pack("<ii", 1024, 768)[:4] + struct.pack("<i", 768) + struct.pack("<ii", 271, 203)
    )
    return header[:88] + rectangle + end


def test_a_metafile_becomes_a_picture(tmp_path: Path) -> None:
    path = write(tmp_path, lambda word: word.add_picture(picture()) and None)
    data = metafile()
    changed = change(path, lambda name, old: data if name == "word/media/image1.png" else old)
    (figure,) = read(changed)
    assert isinstance(figure, Figure)
    assert isinstance(figure.picture, bytes)
    with Image.open(io.BytesIO(figure.picture)) as image:
        assert image.width > image.height > 1


def test_comments_and_inserted_files_are_problems(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        paragraph = word.add_paragraph("Words.")
        word.add_comment(paragraph.runs, text="Check this.", author="A. Reviewer")
        chunk = f'<w:altChunk {W} {nsdecls("r")} r:id="rId99"/>'
        word.element.body.insert(1, parse_xml(chunk))

    problems = [c for c in read(write(tmp_path, build)) if isinstance(c, Problem)]
    assert [p.message.split(" ")[1] for p in problems] == ["comments", "file"]
    assert [p.kind for p in problems] == ["part", "attachment"]


def test_an_xml_part_beyond_the_limit_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, lambda word: word.add_paragraph("x" * 5000) and None)
    monkeypatch.setattr("data.readers.office_package.MAX_XML_BYTES", 4000)
    with pytest.raises(BadInput, match="more than the 4,000 allowed"):
        read(path)
