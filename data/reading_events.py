"""The events of reading a corpus: documents that start and end, their pages and their items."""

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
    """A unit holds this many documents."""

    documents: int


@dataclass(frozen=True, slots=True)
class DocumentStart:
    """A document was found. If it is `selected`, its items and a `DocumentEnd` follow.

    `pictures` are the picture files that the document shows.
    """

    source: str
    fingerprint: str
    title: str
    pictures: frozenset[Path]
    selected: bool = True


@dataclass(frozen=True, slots=True)
class PageRead:
    """The reader reached a page of the current document, if its format has pages."""

    number: int


@dataclass(frozen=True, slots=True)
class ItemRead:
    """An item of the current document.

    `picture` is None if the item has no picture, or if its picture need not be decoded again.
    """

    item: Item
    picture: Image.Image | None


@dataclass(frozen=True, slots=True)
class DocumentEnd:
    """The current document ends. `reason` says why it could not be read; None if it was read."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class UnitFailed:
    """The process that opened a unit ended; the documents of the unit are unknown."""

    unit: Unit
    reason: str


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing happened for a second."""


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
