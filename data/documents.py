"""The output of readers: documents, and the stream of blocks and figures in each.

A reader turns a file format into this stream; `data/chunking.py` decides which items it becomes.
A new format therefore needs only one new file in `data/readers/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from data.records import Audience, Box, Role

__all__ = ["Block", "Document", "Figure", "Problem", "ProblemKind", "Reader"]

ProblemKind = Literal[
    "part",  # none of the kinds below
    "text",  # words that cannot be read, such as a font without a mapping to characters
    "formula",
    "table",
    "picture",
    "chart",
    "diagram",  # SmartArt and other drawings made of shapes
    "attachment",  # a file inside the document
    "link",  # a target that is missing or outside the corpus
    "metadata",
]


@dataclass(frozen=True, slots=True)
class Block:
    """A unit of text as the author divided it: a paragraph, a term or an exercise.

    `section` is the path of headings above the block, book first. `anchor` is unique in the
    document, or empty if the format has no anchors. `refs` are the anchors of the figures that the
    text refers to (`other-source#anchor` for a figure of another document). `partner` is set on
    solutions: it is the anchor of the exercise. `boxes` are the places of the text on its pages:
    (page, left, top, right, bottom), the edges as fractions of the page.
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
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with its caption and alt text. `picture` is None if the file is missing.

    `number` is the printed number, such as "3.1". `role` is "text", or "exercise" or "solution" for
    a figure that belongs to one. `bbox` is (left, top, right, bottom) as fractions of the page.
    `text` holds the words inside the figure, one label per line, if the format has them as text.
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
    text: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of a document that cannot be read. The reader continues with the rest.

    `anchor` says where the part is, or is empty. `kind` says what is missing.
    """

    anchor: str
    message: str
    kind: ProblemKind = "part"
    page: int | None = None


@dataclass(frozen=True)
class Document:
    """A document of a corpus. If its `fingerprint` changes, the whole document is read again.

    `source` is the path below the corpus root, with forward slashes, the same on every machine.
    `fingerprint` is a SHA-256 of every byte that the items depend on. `read` streams the blocks in
    reading order and raises `BadInput` if the file cannot be read at all. `language` is ISO 639-1.
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
    """The reader of a document format."""

    name: str

    def claims(self, path: Path) -> bool:
        """Whether the file or folder has this format.

        Called once for every file and folder of a corpus, so it must be cheap. A reader that claims
        a folder, such as an OpenStax repository, reads everything in it.
        """
        ...

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        """Yield the documents of a file or folder in reading order; leave parsing to `read`."""
        ...
