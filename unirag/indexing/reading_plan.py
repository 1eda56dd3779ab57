"""Which documents a run reads, and the readers that read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from data.readers.scan import Unit
from data.reading_events import DocumentStart, Event
from unirag.workspace.catalog import CatalogEntry

__all__ = ["DocumentReaders", "ReadingPlan"]


class DocumentReaders(Protocol):
    """Reads files in other processes, or on other machines. A context manager.

    `data/reading_pool.py` has the readers of this machine, `unirag/indexing/ray_pool.py` those of a
    cluster.
    """

    def read(
        self,
        units: Sequence[Unit],
        corpus: str,
        select: Callable[[DocumentStart], bool],
        decode_again: Callable[[str], bool],
        /,
    ) -> Iterator[Event]:
        """Yield the events of reading, document by document.

        `select` decides whether to read a document. `decode_again` decides whether to decode the
        picture of a digest that the assets hold already. Both may be called in other threads.
        """
        ...

    def __enter__(self) -> DocumentReaders: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True)
class ReadingPlan:
    """Decides which documents are read. Called in other threads and, pickled, on other machines.

    `entries` holds the catalog's entries by source.
    """

    entries: Mapping[str, CatalogEntry]
    retry_failed: bool
    ocr: bool

    def fingerprint(self, start: DocumentStart) -> str:
        """Return the fingerprint of a document. With OCR it differs, because items get labels."""
        return f"{start.fingerprint}:{'ocr' if self.ocr else 'plain'}"

    def __call__(self, start: DocumentStart) -> bool:
        """Return whether the document is new or changed, or a dead letter to be read again."""
        entry, fingerprint = self.entries.get(start.source), self.fingerprint(start)
        if entry is None:
            return True
        failed = entry.state == "failed" and entry.latest_fingerprint == fingerprint
        return entry.stored_fingerprint != fingerprint and (self.retry_failed or not failed)
