"""Zip archives: read like folders, and refused if they are unsafe."""

from __future__ import annotations

import io
import stat
import warnings
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from data.documents import Block, Document, Figure
from data.errors import BadInput
from data.readers import Rejected, archive, scan
from data.readers.archive import UnpackedArchive, open_zip


def red() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    return buffer.getvalue()


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return path


CARD = b'# Waves\n\nSee Figure 1.\n\n![a wave](figures/a.png "Figure 1. A wave.")\n'


def test_an_archive_is_read_like_a_folder(tmp_path: Path) -> None:
    members = {
        "book/waves.md": CARD,
        "book/figures/a.png": red(),
        "book/b.xyz": b"?",
        "__MACOSX/._waves.md": b"\0",
    }
    pack(tmp_path / "unit.zip", members)
    other, card = scan(tmp_path)
    assert isinstance(card, Document)
    assert (card.source, card.title) == ("unit.zip/book/waves.md", "Waves")
    figure = next(content for content in card.read() if isinstance(content, Figure))
    assert figure.picture == red()
    assert isinstance(other, Rejected)
    assert other.source == "unit.zip/book/b.xyz"


def test_members_can_be_read_after_the_scan_and_the_folder_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    pack(tmp_path / "unit.zip", {"a.md": b"# A\n\nText.", "b.md": b"# B\n\nText."})
    documents = list(scan(tmp_path / "unit.zip"))
    assert [d.source for d in documents] == ["unit.zip/a.md", "unit.zip/b.md"]
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    last = documents.pop()
    del documents
    assert isinstance(last, Document)
    assert any(isinstance(content, Block) for content in last.read())
    del last
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_fingerprint_covers_the_members(tmp_path: Path) -> None:
    pack(tmp_path / "unit.zip", {"waves.md": CARD})
    (before,) = scan(tmp_path / "unit.zip")
    pack(tmp_path / "unit.zip", {"waves.md": CARD, "figures/a.png": red()})
    (after,) = scan(tmp_path / "unit.zip")
    assert isinstance(before, Document)
    assert isinstance(after, Document)
    assert before.fingerprint != after.fingerprint


def test_errors_name_the_archive_and_the_member(tmp_path: Path) -> None:
    pack(tmp_path / "unit.zip", {"empty.md": b""})
    (document,) = scan(tmp_path)
    assert isinstance(document, Document)
    with pytest.raises(BadInput, match=r"^unit.zip/empty.md: empty file"):
        list(document.read())


@pytest.mark.parametrize(
    "name", ["../out.md", "a/../../out.md", "/etc/out.md", "C:/out.md", "..\\out.md", "\\out.md"]
)
def test_members_that_point_outside_are_refused(tmp_path: Path, name: str) -> None:
    pack(tmp_path / "bad.zip", {"ok.md": b"x", name: b"x"})
    with pytest.raises(BadInput, match="points outside the archive"):
        UnpackedArchive(tmp_path / "bad.zip", "bad.zip")
    assert not (tmp_path.parent / "out.md").exists()


def test_links_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as packed:
        link = zipfile.ZipInfo("passwd.md")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(BadInput, match=r"member 'passwd.md' is a symbolic link"):
        UnpackedArchive(tmp_path / "bad.zip", "bad.zip")


def test_zip_bombs_are_refused_before_unpacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "bad.zip", {"zeros.md": b"\0" * 3_000_000})
    with pytest.raises(BadInput, match=r"member 'zeros.md' unpacks to more than 200 times"):
        open_zip(path, "bad.zip")
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 10)
    path = pack(tmp_path / "big.zip", {"a.md": b"12345678", "b.md": b"12345678"})
    with pytest.raises(BadInput, match=r"member 'b.md': more than"):
        open_zip(path, "big.zip")


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "many.zip", {f"{n}.md": b"x" for n in range(6)})
    monkeypatch.setattr(archive, "MAX_MEMBERS", 5)
    with pytest.raises(BadInput, match="6 members"):
        open_zip(path, "many.zip")
    monkeypatch.setattr(archive, "_MAX_DIRECTORY_BYTES", 100)
    with pytest.raises(BadInput, match="more than 5 members"):
        open_zip(path, "many.zip")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "bad.zip", {"a.md": b"x"})
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match="is encrypted"):
        open_zip(path, "bad.zip")


def test_a_member_with_a_false_size_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "bad.zip", {"a.md": b"x" * 5_000})
    data = bytearray(path.read_bytes())
    offset = data.find(b"PK\x01\x02")
    data[offset + 24 : offset + 28] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"member 'a.md' cannot be unpacked"):
        UnpackedArchive(path, "bad.zip")


@pytest.mark.parametrize("size", [0, 3, 30, -10])
def test_truncated_archives_are_rejected_by_the_scan(tmp_path: Path, size: int) -> None:
    path = pack(tmp_path / "bad.zip", {"a.md": b"some words"})
    path.write_bytes(path.read_bytes()[:size])
    (rejected,) = scan(tmp_path)
    assert isinstance(rejected, Rejected)
    assert rejected.source == "bad.zip"


def test_a_file_and_a_folder_with_the_same_name_are_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "bad.zip", {"a": b"x", "a/b.md": b"x"})
    with pytest.raises(BadInput, match="cannot be unpacked"):
        UnpackedArchive(path, "bad.zip")


def test_archives_in_archives_and_empty_ones_are_rejected(tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.zip", {"a.md": b"x"}).read_bytes()
    (tmp_path / "inner.zip").unlink()
    pack(tmp_path / "outer.zip", {"inner.zip": inner})
    pack(tmp_path / "void.zip", {"style.css": b"x"})
    nested, empty = scan(tmp_path)
    assert isinstance(nested, Rejected)
    assert nested.source == "outer.zip/inner.zip"
    assert "inside an archive" in nested.reason
    assert isinstance(empty, Rejected)
    assert "no supported file in this archive" in empty.reason


def test_deleting_the_folder_gives_no_warning(tmp_path: Path) -> None:
    path = pack(tmp_path / "unit.zip", {"a.md": b"x"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        UnpackedArchive(path, "unit.zip")
