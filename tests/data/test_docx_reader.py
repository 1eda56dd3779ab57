"""The Word reader on files that the tests write with python-docx."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import pytest
from docx.document import Document as WordDocument
from docx.oxml import parse_xml
from PIL import Image

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.docx import DocxReader

_MATH = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
_WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def red() -> io.BytesIO:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    buffer.seek(0)
    return buffer


def write(root: Path, build: Callable[[WordDocument], None], name: str = "a.docx") -> Document:
    word = docx.Document()
    word.core_properties.title = "Optics"
    word.core_properties.author = "A. Teacher"
    build(word)
    word.save(str(root / name))
    return document(root / name)


def document(path: Path) -> Document:
    (only,) = DocxReader().documents(path, path.parent)
    return only


def blocks(document: Document) -> list[Block]:
    return [content for content in document.read() if isinstance(content, Block)]


def test_the_contents_of_a_document_come_in_order(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        word.add_paragraph("Optics", style="Title")
        word.add_heading("Lenses", 1)
        word.add_paragraph("A lens bends light, see Figure 1.")
        word.add_picture(red())
        word.inline_shapes[0]._inline.docPr.set("descr", "A thin lens")
        word.add_paragraph("Figure 1. A lens.", style="Caption")
        word.add_heading("Kinds", 2)
        word.add_paragraph("Convex", style="List Bullet")
        word.add_paragraph("Concave", style="List Bullet")
        word.add_paragraph("Table 1. Glass", style="Caption")
        table = word.add_table(2, 2)
        for cell, text in zip(table._cells, ("Glass", "n", "Crown", "1.52"), strict=True):
            cell.text = text
        word.add_heading("Key terms", 1)
        word.add_paragraph("Focus: where rays meet.", style="List Bullet")

    optics = write(tmp_path, build)
    assert (optics.title, optics.attribution) == ("Optics", "A. Teacher")
    contents = list(optics.read())
    figure = next(c for c in contents if isinstance(c, Figure))
    assert (figure.anchor, figure.number, figure.caption) == ("figure-1", "1", "A lens.")
    assert figure.alt == "A thin lens"
    assert figure.picture == red().getvalue()
    assert figure.section == ("Optics", "Lenses")
    assert [(b.role, b.section[1:], b.text) for b in contents if isinstance(b, Block)] == [
        ("text", ("Lenses",), "A lens bends light, see Figure 1."),
        ("text", ("Lenses", "Kinds"), "- Convex\n- Concave"),
        (
            "table",
            ("Lenses", "Kinds"),
            "Table 1. Glass\n| Glass | n |\n| --- | --- |\n| Crown | 1.52 |",
        ),
        ("term", ("Key terms",), "Focus: where rays meet."),
    ]
    assert next(c for c in contents if isinstance(c, Block)).refs == ("figure-1",)


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


@pytest.mark.parametrize(
    ("omml", "latex"),
    [
        (f"<m:f><m:num>{run('a')}</m:num><m:den>{run('2')}</m:den></m:f>", r"\frac{a}{2}"),
        (f"<m:sSup><m:e>{run('x')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>", "x^2"),
        (
            f"<m:rad><m:deg/><m:e>{run('x')}</m:e></m:rad>",
            r"\sqrt{x}",
        ),
        (
            f"<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{run('i=1')}</m:sub>"
            f"<m:sup>{run('n')}</m:sup><m:e>{run('i')}</m:e></m:nary>",
            r"\sum_{i = 1}^ni",
        ),
        (f"<m:d><m:e>{run('a')}</m:e></m:d>", "(a)"),
        (
            f"<m:acc><m:accPr><m:chr m:val='\u20d7'/></m:accPr><m:e>{run('v')}</m:e></m:acc>",
            r"\vec{v}",
        ),
    ],
)
def test_formulas_become_latex(tmp_path: Path, omml: str, latex: str) -> None:
    def build(word: WordDocument) -> None:
        paragraph = word.add_paragraph("Here ")
        paragraph._p.append(parse_xml(f"<m:oMath {_MATH}>{omml}</m:oMath>"))

    (block,) = blocks(write(tmp_path, build))
    assert block.text == f"Here \\({latex}\\)"


def test_scripts_line_breaks_and_deleted_words(tmp_path: Path) -> None:
    def build(word: WordDocument) -> None:
        paragraph = word.add_paragraph("H")
        paragraph.add_run("2").font.subscript = True
        paragraph.add_run("O, m")
        paragraph.add_run("2").font.superscript = True
        paragraph.add_run().add_break()
        paragraph.add_run("next")
        deletion = f"<w:del {_WORD}><w:r><w:delText>gone</w:delText></w:r></w:del>"
        paragraph._p.append(parse_xml(deletion))

    assert [b.text for b in blocks(write(tmp_path, build))] == ["H2O, m^2\nnext"]


def test_a_picture_that_only_office_can_draw_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, lambda word: word.add_picture(red()) and None)
    path = copy_with_member(tmp_path / "a.docx", "word/media/image1.png", b"\xd7\xcd\xc6\x9a wmf")
    figure, problem = document(path).read()
    assert isinstance(figure, Figure)
    assert figure.picture is None
    assert isinstance(problem, Problem)
    assert "paste it as PNG" in problem.message


def copy_with_member(path: Path, member: str, data: bytes) -> Path:
    """Copy an Office file with one member replaced or added."""
    copy = path.with_name(f"changed{path.suffix}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != member:
                new.writestr(name, old.read(name))
        new.writestr(member, data)
    return copy


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-7"])
def test_a_document_type_declaration_is_refused(tmp_path: Path, encoding: str) -> None:
    write(tmp_path, lambda word: word.add_paragraph("x") and None)
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    bomb = '<!DOCTYPE a [<!ENTITY b "bbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    if encoding == "utf-16":
        data = (head + bomb).encode("utf-16")
    else:
        data = head.encode() + bomb.encode(encoding)
    for member in ("word/document.xml", "docProps/core.xml", "customXml/item1.xml"):
        path = copy_with_member(tmp_path / "a.docx", member, data)
        with pytest.raises(BadInput, match=f"'{member}' declares a document type"):
            list(document(path).read())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"plain words", "not a zip archive"),
        (b"PK\x03\x04 cut off", "not a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "before 2007 or with a password"),
    ],
)
def test_bad_files(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(data)
    assert DocxReader().claims(path)
    with pytest.raises(BadInput, match=rf"^a.docx: .*{reason}"):
        list(document(path).read())


def test_a_broken_part_and_a_zip_bomb_are_bad_input(tmp_path: Path) -> None:
    write(tmp_path, lambda word: word.add_paragraph("x") and None)
    broken = copy_with_member(tmp_path / "a.docx", "word/document.xml", b"<w:document")
    with pytest.raises(BadInput, match="damaged Word file"):
        list(document(broken).read())
    bomb = copy_with_member(tmp_path / "a.docx", "word/media/b.bin", b"\0" * 5_000_000)
    with pytest.raises(BadInput, match="more than 200 times its packed size"):
        list(document(bomb).read())


def test_an_empty_document_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing to index"):
        list(write(tmp_path, lambda word: None).read())
