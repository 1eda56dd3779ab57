"""Helpers for the tests of readers: read a folder, and make small pictures."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from data.documents import Block, Document, Figure, Problem
from data.readers import scan
from data.readers.structure import Content


def read(path: Path) -> list[Content]:
    """Return the contents of all documents in a file or folder."""
    documents = list(scan(path))
    assert all(isinstance(d, Document) for d in documents), documents
    return [content for d in documents if isinstance(d, Document) for content in d.read()]


def read_text(folder: Path, name: str, text: str | bytes) -> list[Content]:
    """Write a file into a folder and return its contents."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path)


def blocks(contents: list[Content]) -> list[Block]:
    return [c for c in contents if isinstance(c, Block)]


def texts(contents: list[Content]) -> list[str]:
    return [block.text for block in blocks(contents)]


def figures(contents: list[Content]) -> list[Figure]:
    return [c for c in contents if isinstance(c, Figure)]


def alts_and_files(contents: list[Content]) -> list[tuple[str, str]]:
    """Return the alt text and the file name of each figure."""
    names = [(f.alt, f.picture) for f in figures(contents)]
    return [(alt, picture.name if isinstance(picture, Path) else "") for alt, picture in names]


def problems(contents: list[Content]) -> list[Problem]:
    return [c for c in contents if isinstance(c, Problem)]


def png(width: int = 90, height: int = 90, colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()
