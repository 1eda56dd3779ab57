"""What comes of reading, one after the other: documents, their pages and items, and their ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from data.documents import Problem
from data.readers.scan import Rejected, Unit
from data.records import Item

__all__ = [
    "Count",
    "DocumentEnd",
    "DocumentStart",
    "Event",
    "Idle",
    "ItemRead",
    "PageRead",
    "UnitFailed",
]


@dataclass(frozen=True, slots=True)
class Count:
    """A unit turned out to hold this many documents."""

    documents: int


@dataclass(frozen=True, slots=True)
class DocumentStart:
    """A document was found; its items follow if it was `wanted`, up to its `DocumentEnd`.

    `pictures` are the files that it shows.
    """

    source: str
    fingerprint: str
    title: str
    pictures: frozenset[Path]
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page of the document that was started last, where its format has pages."""

    number: int


@dataclass(frozen=True, slots=True)
class ItemRead:
    """An item; `picture` is None where it has none, or none that had to be decoded again."""

    item: Item
    picture: Image.Image | None


@dataclass(frozen=True, slots=True)
class DocumentEnd:
    """Of the document that was started last; `reason` says why it could not be read."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class UnitFailed:
    """The process that looked into a unit came to an end; which documents it holds is unknown."""

    unit: Unit
    reason: str


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing came for a second."""


Event = (
    Count
    | DocumentStart
    | PageRead
    | ItemRead
    | Problem
    | DocumentEnd
    | Rejected
    | UnitFailed
    | Idle
)
