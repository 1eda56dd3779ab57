"""Indexing a folder: read, chunk, decode, read labels, encode, store; once per changed document."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from data.chunking import Draft, chunk, link
from data.documents import Document
from data.errors import BadInput
from data.pictures import Assets, open_picture
from data.readers.scan import FORMATS, Rejected, scan
from data.records import Item
from retrieval.bm25 import Bm25
from retrieval.store import Point, Vector, VectorStore, Where
from unirag.manifest import Corpus, Entry, Manifest, Stored, Trouble
from unirag.vectors import Encoding

__all__ = ["Indexer", "Progress", "Report", "corpus_name", "searchable"]

_BATCH = 16  # pictures decoded at a time
_UPSERT = 512
# Longest side of a picture while it waits to be encoded: more than any tower or OCR looks at.
_SIDE = 1600


class Labels(Protocol):
    """Reads the words inside a picture, remembered by its digest (data/ocr.py)."""

    def labels(self, digest: str, picture: Image.Image) -> str: ...


@dataclass
class Progress:
    """Counts so far; a listener gets the same object after every document and batch."""

    documents: int = 0
    total: int = 0
    unchanged: int = 0
    items: int = 0
    pictures: int = 0
    source: str = ""


@dataclass
class Report:
    """What a run did. `troubles` lists what was left out; dead ones are whole documents."""

    corpus: str
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    gone: list[str] = field(default_factory=list)
    figures: int = 0
    passages: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def dead(self) -> list[Trouble]:
        return [t for t in self.troubles if t.dead]

    def to_json(self) -> dict[str, Any]:
        def rows(troubles: list[Trouble]) -> list[dict[str, str]]:
            return [
                {"source": t.source, "anchor": t.anchor, "message": t.message} for t in troubles
            ]

        return {
            "corpus": self.corpus,
            "documents": {
                "new": self.new,
                "changed": self.changed,
                "unchanged": self.unchanged,
                "removed": self.removed,
                "failed": len(self.dead),
            },
            "gone": self.gone,
            "figures": self.figures,
            "passages": self.passages,
            "dead_letters": rows(self.dead),
            "problems": rows([t for t in self.troubles if not t.dead]),
            "seconds": round(self.seconds, 2),
        }


@dataclass
class Indexer:
    """Collaborators are injected; `ocr` is None where labels are not read."""

    store: VectorStore
    manifest: Manifest
    assets: Assets
    encoding: Encoding
    bm25: Bm25
    ocr: Labels | None = None

    def index(
        self,
        path: Path,
        corpus: str,
        *,
        prune: bool = False,
        retry_failed: bool = False,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> Report:
        """Bring `corpus` up to date with `path`. Unchanged documents are not read.

        A document that cannot be read becomes a dead letter, its stored items stay, and the run
        goes on. As long as it does not change it is not read again, but reported again, unless
        `retry_failed`. Documents that are no longer there are named in `Report.gone`, and removed
        with `prune`.
        """
        began = time.perf_counter()
        report = Report(corpus)
        journal = self.manifest.journal(corpus)
        stored = {source for source, entry in journal.items() if entry.fingerprint}
        state = Progress()
        seen: set[str] = set()
        found = list(scan(path))
        if not found and not stored:
            raise BadInput(f"{path}: nothing to index; expected {FORMATS}")
        known = self._register(path, corpus)
        state.total = len(found)
        for document in found:
            state.source = document.source
            seen.add(document.source)
            if isinstance(document, Rejected):
                self._bury(report, document.source, "", document.reason)
            elif self._done(report, document, journal.get(document.source), retry_failed):
                state.unchanged += 1
            elif self._document(document, known, report, state, progress):
                report.changed += document.source in stored
                report.new += document.source not in stored
            state.documents += 1
            progress(state)
        report.gone = sorted(stored - seen)
        if prune:
            for source in report.gone:
                self.store.delete_where(Where(corpora=(corpus,), sources=(source,)))
                report.removed += 1
        forgotten = (journal.keys() - stored - seen) | set(report.gone if prune else ())
        self.manifest.remove_documents(corpus, forgotten)
        self.store.flush()
        self.encoding.trim(self.store.count())
        report.seconds = time.perf_counter() - began
        return report

    def _register(self, path: Path, name: str) -> Corpus:
        if not path.exists():
            raise BadInput(f"{path}: no such file or folder; check the path")
        root = str(path.resolve())
        known = self.manifest.corpus(name)
        if known is None:
            known = Corpus(name, root)
            self.manifest.put_corpus(known)
        elif known.root != root:
            raise BadInput(
                f"corpus {name!r} belongs to {known.root}, not {root}; pass --corpus OTHER-NAME, "
                f"or `unirag corpora add {name} {root}` if it moved"
            )
        return known

    def _fingerprint(self, document: Document) -> str:
        """Items hold labels only where OCR ran: switching it on makes a document new."""
        return f"{document.fingerprint}:{'ocr' if self.ocr else 'plain'}"

    def _done(
        self, report: Report, document: Document, known: Entry | None, retry_failed: bool
    ) -> bool:
        """Whether there is nothing to do: stored already, or a dead letter that did not change."""
        seen = self._fingerprint(document)
        if known is None:
            return False
        if known.fingerprint == seen:
            if known.state != "stored":  # it was changed, and then changed back
                self.manifest.mark(report.corpus, "stored", [(document.source, seen)])
            report.unchanged += 1
            return True
        if known.state == "failed" and known.seen == seen and not retry_failed:
            report.troubles.append(Trouble(document.source, "", known.reason, dead=True))
            return True
        return False

    def _bury(self, report: Report, source: str, seen: str, reason: str) -> None:
        report.troubles.append(Trouble(source, "", reason, dead=True))
        self.manifest.fail(report.corpus, source, seen, reason)

    def _document(
        self,
        document: Document,
        corpus: Corpus,
        report: Report,
        state: Progress,
        progress: Callable[[Progress], None],
    ) -> bool:
        """Store a new or changed document; False where it is a dead letter."""
        items: list[Item] = []
        images: dict[str, Vector] = {}
        troubles: list[Trouble] = []
        seen = self._fingerprint(document)
        self.manifest.mark(corpus.name, "queued", [(document.source, seen)])
        try:
            for batch in _batches(self._drafts(document, corpus, troubles)):
                items += [item for item, _ in batch]
                images |= self.encoding.pictures({i.image: p for i, p in batch if p is not None})
                state.items += len(batch)
                state.pictures += sum(1 for _, picture in batch if picture)
                progress(state)
        except BadInput as error:
            self._bury(report, document.source, seen, str(error))
            return False
        points = self._points(link(items), images)
        where = Where(corpora=(corpus.name,), sources=(document.source,))
        before = {i.id for i in self.store.scan(where)} if self.store.count(where) else set()
        for start in range(0, len(points), _UPSERT):
            self.store.upsert(points[start : start + _UPSERT])
        self.store.delete(before - {p.item.id for p in points})
        figures = sum(1 for p in points if p.item.kind == "figure")
        stored = Stored(
            document.source, seen, document.title, figures, len(points) - figures, troubles
        )
        self.manifest.put_documents(corpus.name, [stored])
        report.figures += figures
        report.passages += len(points) - figures
        report.troubles += troubles
        return True

    def _drafts(
        self, document: Document, corpus: Corpus, troubles: list[Trouble]
    ) -> Iterator[tuple[Item, Image.Image | None]]:
        """Items with their decoded pictures; a broken picture is reported and its text kept."""
        for event in chunk(document, corpus.name):
            if not isinstance(event, Draft):
                troubles.append(Trouble(document.source, event.anchor, event.message, dead=False))
                continue
            item = replace(
                event.item,
                licence=event.item.licence or corpus.licence,
                attribution=event.item.attribution or corpus.attribution,
            )
            picture = None
            if event.picture is not None:
                anchor = item.locator.rpartition("#")[2]
                try:
                    item, picture = self._picture(item, event.picture)
                except BadInput as error:
                    troubles.append(Trouble(document.source, anchor, str(error), dead=False))
            if picture is None and not item.text.strip():
                continue  # neither picture nor words: nothing that could be found
            yield item, picture

    def _picture(self, item: Item, source: Path | bytes) -> tuple[Item, Image.Image]:
        name = str(source) if isinstance(source, Path) else f"{item.source}, {item.title}"
        picture = open_picture(source, name)
        data = source.read_bytes() if isinstance(source, Path) else source
        picture.thumbnail((_SIDE, _SIDE))
        digest = self.assets.put(data, picture)
        labels = self.ocr.labels(digest, picture) if self.ocr else ""
        return replace(item, image=digest, labels=labels), picture

    def _points(self, items: list[Item], images: dict[str, Vector]) -> list[Point]:
        texts = [searchable(item) or item.title for item in items]
        vectors = self.encoding.passages(texts)
        return [
            Point(
                item,
                images.get(item.image),
                vector_D,
                self.bm25.document(f"{' '.join(item.section)}\n{text}"),
            )
            for item, text, vector_D in zip(items, texts, vectors, strict=True)
        ]


def searchable(item: Item) -> str:
    """The words under which an item is found: title, text, and the labels inside its picture."""
    title = "" if item.text.startswith(item.title) else item.title
    return "\n".join(part for part in (title, item.text, item.labels) if part)


def corpus_name(path: Path) -> str:
    """The name that a path gives its corpus: `optics-waves` for `/books/Optics & Waves/`."""
    stem = path.resolve().stem if path.is_file() else path.resolve().name
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "corpus"


def _batches(
    drafts: Iterator[tuple[Item, Image.Image | None]],
) -> Iterator[list[tuple[Item, Image.Image | None]]]:
    batch: list[tuple[Item, Image.Image | None]] = []
    for draft in drafts:
        batch.append(draft)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
