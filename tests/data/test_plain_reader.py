"""The plain-text reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.documents import Block, Document
from data.errors import BadInput
from data.readers.files import MAX_TEXT_BYTES
from data.readers.plain import PlainReader


def write(root: Path, text: str | bytes, name: str = "my_notes.txt") -> Document:
    path = root / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    (document,) = PlainReader().documents(path, root)
    return document


def blocks(root: Path, text: str | bytes) -> list[Block]:
    return [content for content in write(root, text).read() if isinstance(content, Block)]


def test_paragraphs_and_underlined_headings(tmp_path: Path) -> None:
    text = "Forces\n======\n\nA force is\na push.\n\nGravity\n-------\nIt pulls $m g$.\r\n\r\nMore."
    assert [(b.section, b.text) for b in blocks(tmp_path, text)] == [
        (("My notes", "Forces"), "A force is a push."),
        (("My notes", "Forces", "Gravity"), r"It pulls \(m g\)."),
        (("My notes", "Forces", "Gravity"), "More."),
    ]


def test_numbered_headings_are_recognised_in_a_text_with_subsections(tmp_path: Path) -> None:
    text = "1 Motion\n\nThings move.\n\n1.1 Speed\n\nHow fast.\n\n2 Force\n\nA push."
    assert [b.section[1:] for b in blocks(tmp_path, text)] == [
        ("1 Motion",),
        ("1 Motion", "1.1 Speed"),
        ("2 Force",),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "1. Weigh the sample\n\n2. Heat it",
        "Everybody likes waves\n\nThey move",
        "3.5 Volts were measured, then nothing.",
        "a - b\n---\nc",
    ],
)
def test_ambiguous_lines_are_text(tmp_path: Path, text: str) -> None:
    assert {b.section for b in blocks(tmp_path, text)} == {("My notes",)}


def test_lists_keep_their_lines(tmp_path: Path) -> None:
    (block,) = blocks(tmp_path, "Take:\n- salt\n- water, which\n  is cold")
    assert block.text == "Take:\n- salt\n- water, which is cold"


@pytest.mark.parametrize(
    "data",
    [
        "Größe “5” °C".encode("cp1252"),
        "Größe “5” °C".encode("utf-16"),
        "Größe “5” °C".encode("utf-8-sig"),
    ],
)
def test_encodings(tmp_path: Path, data: bytes) -> None:
    assert [b.text for b in blocks(tmp_path, data)] == ["Größe “5” °C"]


def test_a_cyrillic_text_in_an_old_encoding(tmp_path: Path) -> None:
    text = "Сила равна произведению массы тела на его ускорение, как показал Ньютон. " * 3
    assert [b.text for b in blocks(tmp_path, text.encode("cp1251"))] == [text.strip()]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file; nothing to index"),
        (b"\n \n", "empty file; nothing to index"),
        (b"text\0text", "binary data, expected text"),
    ],
)
def test_bad_files(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=rf"^my_notes.txt: .*{reason}"):
        list(write(tmp_path, data).read())


def test_a_text_above_the_size_limit_is_refused(tmp_path: Path) -> None:
    document = write(tmp_path, "x")
    with document.path.open("r+b") as handle:
        handle.truncate(MAX_TEXT_BYTES + 1)
    with pytest.raises(BadInput, match="split it"):
        list(document.read())


def test_a_file_that_is_deleted_before_it_is_read_is_bad_input(tmp_path: Path) -> None:
    document = write(tmp_path, "x")
    document.path.unlink()
    with pytest.raises(BadInput, match="cannot be opened"):
        list(document.read())


def test_a_pdf_called_txt_is_left_to_the_pdf_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"%PDF-1.7\n")
    assert not PlainReader().claims(path)
    path.write_bytes(b"Text.")
    assert PlainReader().claims(path)
