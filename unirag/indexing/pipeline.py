"""The second half of indexing: items are encoded in batches and written by a thread of its own.

Batches span documents. A folder of 20,000 pictures is 20,000 documents with one figure each, so
batches within a document would hold one picture.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from PIL import Image

from data.chunking import link_neighbours
from data.folding import fold
from data.records import Item
from data.tables import statement_text
from retrieval.bm25 import Bm25
from retrieval.spelling import vocabulary
from retrieval.store import Point, Vector, VectorStore, Where
from unirag.workspace.catalog import Catalog, DocumentProblem, StoredDocument
from unirag.workspace.embedding_cache import CachedEncoders

__all__ = [
    "EncodingBuffer",
    "IndexWriter",
    "LabelSource",
    "PendingDocument",
    "searchable_text",
    "words_of",
]

_PICTURE_BATCH = 32  # decoded pictures, up to 8 MB each
_ITEM_BATCH = 512
_UPSERT_BATCH = 512
_WRITE_QUEUE = 2  # batches that wait for the writer
_POLL_SECONDS = 0.5


@dataclass
class PendingDocument:
    """A document between reading and storing.

    `was_indexed` is true if the store may hold items of an earlier version. `is_read` becomes true
    after the last item. `items` carry their labels. `picture_vectors` and `labels` are by picture
    digest, `text_vectors` by item id.
    """

    source: str
    fingerprint: str
    title: str
    was_indexed: bool
    items: list[Item] = field(default_factory=list)
    picture_vectors: dict[str, Vector] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    text_vectors: dict[str, Vector] = field(default_factory=dict)
    problems: list[DocumentProblem] = field(default_factory=list)
    is_read: bool = False


class LabelSource(Protocol):
    """Reads the words inside pictures and remembers them by digest (`data/ocr.py`)."""

    def read_all(self, pictures: Mapping[str, Image.Image], /) -> dict[str, str]:
        """Return the words in each picture, by digest."""
        ...

    def cached(self, digest: str, /) -> str | None:
        """Return the words of a picture that was read before, else None."""
        ...


class EncodingBuffer:
    """Documents in the order in which they were opened, and their items until they are encoded.

    Without `ocr` no labels are read.
    """

    def __init__(self, encoders: CachedEncoders, ocr: LabelSource | None) -> None:
        self._encoders, self._ocr = encoders, ocr
        self._documents: deque[PendingDocument] = deque()
        self._items: list[tuple[PendingDocument, Item]] = []
        self._digests: list[tuple[PendingDocument, str]] = []  # new and cached pictures
        self._pictures: dict[str, Image.Image] = {}

    @property
    def is_full(self) -> bool:
        """Whether there are enough items for a batch."""
        return len(self._items) >= _ITEM_BATCH

    @property
    def has_read_document(self) -> bool:
        """Whether the first document is completely read and only needs to be encoded."""
        return bool(self._documents) and self._documents[0].is_read

    @property
    def documents(self) -> int:
        """The number of open documents."""
        return len(self._documents)

    def open(self, document: PendingDocument) -> None:
        """Add a document whose items follow."""
        self._documents.append(document)

    def drop(self, document: PendingDocument) -> None:
        """Remove a document that cannot be read to the end, with its items."""
        self._documents.remove(document)
        self._digests = [pair for pair in self._digests if pair[0] is not document]
        self._items = [pair for pair in self._items if pair[0] is not document]

    def add(self, document: PendingDocument, item: Item, picture: Image.Image | None) -> None:
        """Add an item. `picture` is None if the item has none or its vector is in the cache."""
        self._items.append((document, item))
        if not item.image:
            return
        self._digests.append((document, item.image))
        if picture is not None:
            self._pictures.setdefault(item.image, picture)
        if len(self._pictures) >= _PICTURE_BATCH:
            self._encode_pictures()

    def encode(self) -> list[PendingDocument]:
        """Encode all items. Remove and return the documents that are complete, in order."""
        self._encode_pictures()
        items = [
            replace(item, labels=_join_labels(item.labels, d.labels.get(item.image, "")))
            for d, item in self._items
        ]
        texts = [searchable_text(item) or item.title for item in items]
        vectors = self._encoders.encode_passages(texts) if texts else []
        for (document, _), item, vector_D in zip(self._items, items, vectors, strict=True):
            document.items.append(item)
            document.text_vectors[item.id] = vector_D
        self._items.clear()
        complete: list[PendingDocument] = []
        while self.has_read_document:
            complete.append(self._documents.popleft())
        return complete

    def _encode_pictures(self) -> None:
        if not self._digests:
            return
        cached = {digest for _, digest in self._digests} - self._pictures.keys()
        vectors = self._encoders.encode_pictures(self._pictures)
        vectors |= self._encoders.cached_pictures(cached)
        labels = self._read_labels(cached)
        for document, digest in self._digests:
            document.picture_vectors[digest] = vectors[digest]
            document.labels[digest] = labels.get(digest, "")
        self._pictures.clear()
        self._digests.clear()

    def _read_labels(self, cached: Iterable[str]) -> dict[str, str]:
        if self._ocr is None:
            return {}
        cached_labels = {digest: self._ocr.cached(digest) or "" for digest in cached}
        return self._ocr.read_all(self._pictures) | cached_labels


def _join_labels(own: str, recognised: str) -> str:
    """Return the labels that a document has as text, then those that only OCR found."""
    known = {"".join(label.split()).casefold() for label in own.splitlines()}
    new = [
        label for label in recognised.splitlines() if "".join(label.split()).casefold() not in known
    ]
    return "\n".join(filter(None, (own, *new)))


class IndexWriter:
    """Writes documents to the store and the catalog in a thread of its own.

    `on_stored` is called in that thread, with each document whose items are stored. A context
    manager: its end waits until everything is written. An error of the thread is raised by `put`
    and at the end.
    """

    def __init__(
        self,
        store: VectorStore,
        catalog: Catalog,
        bm25: Bm25,
        corpus: str,
        on_stored: Callable[[StoredDocument], None],
    ) -> None:
        self._store, self._catalog, self._bm25 = store, catalog, bm25
        self._corpus, self._on_stored = corpus, on_stored
        self._queue: queue.Queue[list[PendingDocument] | None] = queue.Queue(_WRITE_QUEUE)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="index-writer", daemon=True)
        self._thread.start()

    def put(self, documents: list[PendingDocument]) -> None:
        """Queue encoded documents. Wait while the queue is full."""
        self._enqueue(documents)

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with suppress(_WriterStopped):
            self._enqueue(None)
        self._thread.join()
        if self._error is not None and (error is None or isinstance(error, _WriterStopped)):
            raise self._error from None

    def _enqueue(self, documents: list[PendingDocument] | None) -> None:
        while self._error is None:
            with suppress(queue.Full):
                self._queue.put(documents, timeout=_POLL_SECONDS)
                return
        raise _WriterStopped

    def _work(self) -> None:
        try:
            while (documents := self._queue.get()) is not None:
                self._write(documents)
        except BaseException as error:  # noqa: BLE001 - raised again at the end of the context
            self._error = error

    def _write(self, documents: Sequence[PendingDocument]) -> None:
        points_of = [(document, self._points(document)) for document in documents]
        points = [point for _, document_points in points_of for point in document_points]
        for start in range(0, len(points), _UPSERT_BATCH):
            self._store.upsert(points[start : start + _UPSERT_BATCH])
        for document, document_points in points_of:
            if document.was_indexed:
                self._delete_stale_items(document, {point.item.id for point in document_points})
        stored = [_stored_document(document) for document in documents]
        self._catalog.save_documents(self._corpus, stored)
        for stored_document in stored:
            self._on_stored(stored_document)

    def _delete_stale_items(self, document: PendingDocument, current_ids: set[str]) -> None:
        where = Where(corpora=(self._corpus,), sources=(document.source,))
        if self._store.count(where) > len(current_ids):
            self._store.delete({item.id for item in self._store.scan(where)} - current_ids)

    def _points(self, document: PendingDocument) -> list[Point]:
        return [
            Point(
                item,
                document.picture_vectors.get(item.image),
                document.text_vectors[item.id],
                self._bm25.encode_document(_bm25_text(item)),
            )
            for item in link_neighbours(document.items)
        ]


class _WriterStopped(Exception):
    """The writer's thread has ended. Its own error is raised at the end of the context."""


def _stored_document(document: PendingDocument) -> StoredDocument:
    figures = sum(item.kind == "figure" for item in document.items)
    return StoredDocument(
        document.source,
        document.fingerprint,
        document.title,
        figures,
        len(document.items) - figures,
        document.problems,
        words_of(document.items),
    )


def words_of(items: Iterable[Item]) -> frozenset[str]:
    """Return the words of items that misspelt words of questions are compared with."""
    return frozenset().union(*(vocabulary(_bm25_text(item)) for item in items))


def _bm25_text(item: Item) -> str:
    return f"{' '.join(item.section)}\n{searchable_text(item) or item.title}"


def searchable_text(item: Item) -> str:
    """Return the text that is encoded for an item: its title, text and picture labels.

    The rows of a table are statements that name the columns. Characters are folded.
    """
    title = "" if item.text.startswith(item.title) else item.title
    parts = (title, statement_text(item.text), item.labels)
    return fold("\n".join(part for part in parts if part))
