"""What a reader gives: documents, and the stream of blocks inside each.

A reader only turns a file format into this stream; `data/chunking.py` alone decides what becomes an
item. So a new format is one file in `data/readers/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from data.records import Audience, Role

__all__ = ["Block", "Document", "Figure", "Problem", "Reader"]


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of text that its author kept together: a paragraph, a term, an exercise.

    `section` is the path of headings above it, book first. `anchor` is unique in the document where
    the format has one, else empty. `refs` are anchors of figures that the text refers to (written
    `other-source#anchor` when they lie in another document of the corpus). `partner` is the anchor
    of the block that belongs to this one (a solution's exercise).
    """

    text: str
    section: tuple[str, ...] = ()
    role: Role = "text"
    title: str = ""
    anchor: str = ""
    refs: tuple[str, ...] = ()
    partner: str = ""
    audience: Audience = "student"
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with its words. `picture` is None where it is missing; its text is kept then.

    `role` is "text", or that of the exercise or solution which the figure is drawn for.
    """

    anchor: str
    picture: Path | bytes | None
    caption: str = ""
    alt: str = ""
    number: str = ""
    section: tuple[str, ...] = ()
    role: Role = "text"
    audience: Audience = "student"
    page: int | None = None
    bbox: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was left out, and why; the document goes on."""

    anchor: str
    message: str


@dataclass(frozen=True)
class Document:
    """One unit of change: re-read as a whole when `fingerprint` changes.

    `source` is the path below the corpus root, with forward slashes, the same on every machine.
    `fingerprint` is a SHA-256 over every byte that the items depend on. `read` streams the blocks
    in reading order and raises `BadInput` where the file cannot be read at all.
    """

    source: str
    path: Path
    fingerprint: str
    title: str
    read: Callable[[], Iterator[Block | Figure | Problem]]
    licence: str = ""
    attribution: str = ""
    language: str = "en"


class Reader(Protocol):
    """A format. `claims` must be cheap: it sees every file and folder of a corpus once.

    A reader that claims a folder (an OpenStax repository) takes everything in it. `documents`
    yields in reading order and does no heavy work: parsing waits for `Document.read`.
    """

    name: str

    def claims(self, path: Path) -> bool: ...

    def documents(self, path: Path, root: Path) -> Iterable[Document]: ...
