"""The reader of picture files and their sidecars."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from data.documents import Document, Figure, Problem
from data.errors import BadInput
from data.readers.pictures import PictureReader, is_sidecar


def save(root: Path, name: str = "free-body_diagram.png", **options: object) -> Path:
    path = root / name
    Image.new("RGB", (16, 8), "red").save(path, **options)  # type: ignore[arg-type]
    return path


def document(path: Path) -> Document:
    (only,) = PictureReader().documents(path, path.parent)
    return only


def figure(path: Path) -> Figure:
    first = next(iter(document(path).read()))
    assert isinstance(first, Figure)
    return first


def test_a_picture_without_description_is_titled_by_its_file_name(tmp_path: Path) -> None:
    path = save(tmp_path)
    assert document(path).title == "Free body diagram"
    bare = figure(path)
    assert (bare.picture, bare.caption, bare.alt) == (path, "", "")
    assert bare.section == ("Free body diagram",)


def test_a_json_sidecar_overrides_a_text_sidecar(tmp_path: Path) -> None:
    path = save(tmp_path)
    description = {
        "caption": "Figure 3. The forces $F_1$.",
        "title": "Forces",
        "alt": "Arrows",
        "licence": "CC0",
        "attribution": "A. Teacher",
        "pages": 3,
    }
    path.with_suffix(".json").write_text(json.dumps(description))
    path.with_suffix(".txt").write_text("Other words")
    forces = document(path)
    assert (forces.title, forces.licence, forces.attribution) == ("Forces", "CC0", "A. Teacher")
    arrows = figure(path)
    assert (arrows.caption, arrows.number, arrows.alt) == (r"The forces \(F_1\).", "3", "Arrows")


def test_a_text_sidecar_changes_the_fingerprint(tmp_path: Path) -> None:
    path = save(tmp_path)
    before = document(path).fingerprint
    path.with_suffix(".txt").write_text("A block\non a slope.")
    assert figure(path).caption == "A block on a slope."
    assert document(path).fingerprint != before


def test_the_exif_description_is_the_caption(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "A prism splits light"
    assert figure(save(tmp_path, "a.jpg", exif=exif)).caption == "A prism splits light"
    exif[0x010E] = "OLYMPUS DIGITAL CAMERA         "
    assert figure(save(tmp_path, "b.jpg", exif=exif)).caption == ""


def test_the_iptc_description_is_the_caption(tmp_path: Path) -> None:
    path = save(tmp_path, "a.jpg")
    text = "Légende of a lens".encode()
    record = b"\x1c\x02\x78" + struct.pack(">H", len(text)) + text
    block = (
        b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record + b"\0" * (len(record) % 2)
    )
    payload = b"Photoshop 3.0\0" + block
    data = path.read_bytes()
    segment = b"\xff\xed" + struct.pack(">H", len(payload) + 2) + payload
    path.write_bytes(data[:2] + segment + data[2:])
    assert figure(path).caption == "Légende of a lens"


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000])
def test_a_broken_sidecar_is_a_problem_and_the_picture_is_read(tmp_path: Path, text: str) -> None:
    path = save(tmp_path)
    path.with_suffix(".json").write_text(text)
    picture, problem = document(path).read()
    assert isinstance(picture, Figure)
    assert isinstance(problem, Problem)
    assert problem.message.startswith("free-body_diagram.json: ")


def test_what_counts_as_a_sidecar(tmp_path: Path) -> None:
    save(tmp_path, "a.PNG")
    (tmp_path / "a.md").write_text("A caption.")
    (tmp_path / "b.md").write_text("No picture of this name.")
    assert is_sidecar(tmp_path / "a.md")
    assert not is_sidecar(tmp_path / "b.md")
    (tmp_path / "a.md").write_text("![a](a.PNG) a page")
    assert not is_sidecar(tmp_path / "a.md")
    (tmp_path / "a.md").write_text("long " * 5_000)
    assert not is_sidecar(tmp_path / "a.md")


def decompression_bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file; nothing to index"),
        (b"no picture at all", "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "broken|not a picture"),
        (decompression_bomb(), "scale it down|scale the picture down"),
    ],
)
def test_bad_pictures(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=rf"^a.png: .*({reason})"):
        list(document(path).read())
