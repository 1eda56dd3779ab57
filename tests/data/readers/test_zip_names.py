"""File names in zips of macOS and Windows: they become the names that their authors see."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from data.documents import Document, Figure
from data.readers import scan
from data.readers.archive import UnpackedArchive


def pack(path: Path, members: dict[bytes, bytes]) -> Path:
    """Write a zip whose names are these bytes, without the flag of UTF-8."""
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in members.items():
            packed.writestr(zipfile.ZipInfo("x" * len(name)), data)
    content = path.read_bytes()
    for name in members:
        content = content.replace(b"x" * len(name), name, 1)
    # the second copy of each name stands in the directory at the end
    start = content.find(b"PK\x01\x02")
    directory = content[start:]
    for name in members:
        directory = directory.replace(b"x" * len(name), name, 1)
    path.write_bytes(content[:start] + directory)
    return path


def red() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (90, 90), "red").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("encoding", "folder", "picture"),
    [
        ("utf-8", "leçons", "où.png"),
        ("cp850", "Vorträge", "Größe.png"),
        ("cp1252", "Vorträge", "Größe.png"),
        ("cp1252", "leçons d'été", "forêt.png"),
        ("cp866", "Уроки", "Волна.png"),
        ("cp1251", "Уроки", "Волна.png"),
        ("cp932", "授業ノート", "波のグラフ.png"),
        ("gb2312", "物理课件", "波动图.png"),
        ("cp737", "Μαθήματα", "κύμα.png"),
    ],
)
def test_a_page_and_its_picture_are_found(
    tmp_path: Path, encoding: str, folder: str, picture: str
) -> None:
    page = f'<h1>Waves</h1><p>A wave.</p><img src="{picture}" alt="A wave">'.encode()
    names = [f"{folder}/{name}".encode(encoding) for name in ("a.html", picture)]
    pack(tmp_path / "unit.zip", {names[0]: page, names[1]: red()})
    (document,) = scan(tmp_path)
    assert isinstance(document, Document)
    assert document.source == f"unit.zip/{folder}/a.html"
    (figure,) = [c for c in document.read() if isinstance(c, Figure)]
    assert (figure.alt, figure.picture) == ("A wave", red())


def test_names_of_macos_are_composed(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "rivières.md")
    pack(tmp_path / "unit.zip", {name.encode(): b"# Rivers\n\nThe Loire."})
    (document,) = scan(tmp_path)
    assert document.source == "unit.zip/rivières.md"


def test_folders_of_windows_are_folders(tmp_path: Path) -> None:
    members = {b"unit\\pictures\\": b"", b"unit\\pictures\\wave.md": b"# Waves\n\nA wave."}
    pack(tmp_path / "unit.zip", members)
    unpacked = UnpackedArchive(tmp_path / "unit.zip", "unit.zip")
    assert (unpacked.root / "unit" / "pictures" / "wave.md").is_file()


def test_a_name_in_an_extra_field_is_preferred(tmp_path: Path) -> None:
    name = "Übung.md".encode()
    field = b"\x75\x70" + (len(name) + 5).to_bytes(2, "little") + b"\x01\0\0\0\0" + name
    member = zipfile.ZipInfo("_bung.md")
    member.extra = field
    with zipfile.ZipFile(tmp_path / "unit.zip", "w") as packed:
        packed.writestr(member, b"# Waves\n\nA wave.")
    (document,) = scan(tmp_path)
    assert document.source == "unit.zip/Übung.md"
