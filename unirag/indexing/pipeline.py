"""Items of whatever documents, gathered into batches, and written while the next are encoded.

A folder of 20,000 pictures is 20,000 documents of one figure: batches that end with a document
would hold one picture each.
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

from data.chunking import link
from data.records import Item
from retrieval.bm25 import Bm25
from retrieval.store import Point, Vector, VectorStore, Where
from unirag.workspace.catalog import Catalog, Stored, Trouble
from unirag.workspace.embedding_cache import CachedEncoders

__all__ = ["Labels", "Pending", "Window", "Writer", "searchable"]

_PICTURES = 32  # decoded pictures that wait, up to 8 MB each, and what is encoded at a time
_TEXTS = 512  # items that wait for their words to be encoded
_UPSERT = 512
_WAITING = 2  # batches that wait to be written
_TICK = 0.5  # seconds


@dataclass
class Pending:
    """A document on its way. `known` where items of it may be in the store already."""

    source: str
    fingerprint: str
    title: str
    known: bool
    items: list[Item] = field(default_factory=list)  # with their labels, as far as encoded
    images: dict[str, Vector] = field(default_factory=dict)  # by digest
    labels: dict[str, str] = field(default_factory=dict)  # by digest
    texts: dict[str, Vector] = field(default_factory=dict)  # by item id
    troubles: list[Trouble] = field(default_factory=list)
    read: bool = False


class Labels(Protocol):
    """Reads the words inside pictures, remembered by their digests (data/ocr.py)."""

    def labels(self, pictures: Mapping[str, Image.Image]) -> dict[str, str]: ...

    def known(self, digest: str) -> str | None:
        """What was read before; None where nothing was."""
        ...


class Window:
    """Documents in the order in which they were opened, with items that wait to be encoded.

    Without `ocr` no labels are read.
    """

    def __init__(self, encoding: CachedEncoders, ocr: Labels | None) -> None:
        self._encoding, self._ocr = encoding, ocr
        self._documents: deque[Pending] = deque()
        self._pictures: dict[str, Image.Image] = {}
        self._shown: list[tuple[Pending, str]] = []
        self._items: list[tuple[Pending, Item]] = []

    @property
    def full(self) -> bool:
        return len(self._items) >= _TEXTS

    @property
    def whole(self) -> bool:
        """Whether a document waits only to be encoded."""
        return bool(self._documents) and self._documents[0].read

    @property
    def documents(self) -> int:
        return len(self._documents)

    def open(self, document: Pending) -> None:
        self._documents.append(document)

    def drop(self, document: Pending) -> None:
        """It cannot be read to its end; what it gave is forgotten."""
        self._documents.remove(document)
        self._shown = [pair for pair in self._shown if pair[0] is not document]
        self._items = [pair for pair in self._items if pair[0] is not document]

    def add(self, document: Pending, item: Item, picture: Image.Image | None) -> None:
        self._items.append((document, item))
        if not item.image:
            return
        self._shown.append((document, item.image))
        if picture is not None:
            self._pictures.setdefault(item.image, picture)
        if len(self._pictures) >= _PICTURES:
            self._encode_pictures()

    def encode(self) -> list[Pending]:
        """Encode all that wait; the documents that are whole now, in order, leave the window."""
        self._encode_pictures()
        items = [replace(item, labels=d.labels.get(item.image, "")) for d, item in self._items]
        texts = [searchable(item) or item.title for item in items]
        vectors = self._encoding.passages(texts) if texts else []
        for (document, _), item, vector_D in zip(self._items, items, vectors, strict=True):
            document.items.append(item)
            document.texts[item.id] = vector_D
        self._items.clear()
        whole: list[Pending] = []
        while self._documents and self._documents[0].read:
            whole.append(self._documents.popleft())
        return whole

    def _encode_pictures(self) -> None:
        if not self._shown:
            return
        known = {digest for _, digest in self._shown} - self._pictures.keys()
        vectors = self._encoding.pictures(self._pictures) | self._encoding.known(known)
        labels = self._labels(known)
        for document, digest in self._shown:
            document.images[digest] = vectors[digest]
            document.labels[digest] = labels.get(digest, "")
        self._pictures.clear()
        self._shown.clear()

    def _labels(self, known: Iterable[str]) -> dict[str, str]:
        if self._ocr is None:
            return {}
        return self._ocr.labels(self._pictures) | {d: self._ocr.known(d) or "" for d in known}


class Writer:
    """Stores documents in a thread of its own. A document is `stored` once its items are.

    A context manager: it ends when what it was given is written, or raises what stopped it, as
    `put` does too.
    """

    def __init__(
        self,
        store: VectorStore,
        catalog: Catalog,
        bm25: Bm25,
        corpus: str,
        stored: Callable[[Stored], None],
    ) -> None:
        self._store, self._catalog, self._bm25 = store, catalog, bm25
        self._corpus, self._stored = corpus, stored
        self._queue: queue.Queue[list[Pending] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="index-writer", daemon=True)
        self._thread.start()

    def put(self, documents: list[Pending]) -> None:
        self._hand(documents)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with suppress(_Stopped):
            self._hand(None)
        self._thread.join()
        if self._error is not None and (error is None or isinstance(error, _Stopped)):
            raise self._error from None

    def _hand(self, documents: list[Pending] | None) -> None:
        while self._error is None:
            with suppress(queue.Full):
                self._queue.put(documents, timeout=_TICK)
                return
        raise _Stopped

    def _work(self) -> None:
        try:
            while (documents := self._queue.get()) is not None:
                self._write(documents)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that gave it
            self._error = error

    def _write(self, documents: Sequence[Pending]) -> None:
        made = [(document, self._points(document)) for document in documents]
        points = [point for _, some in made for point in some]
        for start in range(0, len(points), _UPSERT):
            self._store.upsert(points[start : start + _UPSERT])
        for document, some in made:
            if document.known:
                self._delete_stale(document, {p.item.id for p in some})
        rows = [self._row(document) for document in documents]
        self._catalog.put_documents(self._corpus, rows)
        for row in rows:
            self._stored(row)

    def _delete_stale(self, document: Pending, ids: set[str]) -> None:
        where = Where(corpora=(self._corpus,), sources=(document.source,))
        if self._store.count(where) > len(ids):
            self._store.delete({i.id for i in self._store.scan(where)} - ids)

    def _points(self, document: Pending) -> list[Point]:
        return [
            Point(
                item,
                document.images.get(item.image),
                document.texts[item.id],
                self._bm25.document(f"{' '.join(item.section)}\n{searchable(item) or item.title}"),
            )
            for item in link(document.items)
        ]

    def _row(self, document: Pending) -> Stored:
        figures = sum(1 for item in document.items if item.kind == "figure")
        return Stored(
            document.source,
            document.fingerprint,
            document.title,
            figures,
            len(document.items) - figures,
            document.troubles,
        )


class _Stopped(Exception):
    """The writer's thread has ended; why is raised where the context ends."""


def searchable(item: Item) -> str:
    """The words under which an item is found: title, text, and the labels inside its picture."""
    title = "" if item.text.startswith(item.title) else item.title
    return "\n".join(part for part in (title, item.text, item.labels) if part)
