"""Read the items of a textbook without an index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data.chunking import ItemDraft, chunk
from data.readers.cnxml import CnxmlReader
from data.records import Item

__all__ = ["read_items"]


def read_items(book: Path) -> Iterator[Item]:
    """Yield the items of a book."""
    for document in CnxmlReader().documents(book, book):
        yield from (d.item for d in chunk(document, "x") if isinstance(d, ItemDraft))
