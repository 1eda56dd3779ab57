"""Indexing one folder: read its new and changed documents, encode their items and store them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISDIR

from data.documents import Problem
from data.errors import BadInput
from data.readers.scan import FORMATS, Rejected, Unit, Walk
from data.reading_events import (
    Count,
    DocumentEnd,
    DocumentStart,
    Event,
    ItemRead,
    PageRead,
    UnitFailed,
)
from retrieval.bm25 import Bm25
from retrieval.store import VectorStore, Where
from unirag.indexing.pipeline import (
    EncodingBuffer,
    IndexWriter,
    LabelSource,
    PendingDocument,
)
from unirag.indexing.progress import IndexProgress, IndexReport
from unirag.indexing.reading_plan import DocumentReaders, ReadingPlan
from unirag.workspace.catalog import (
    Catalog,
    CatalogEntry,
    Corpus,
    DocumentProblem,
    DocumentState,
    StoredDocument,
)
from unirag.workspace.embedding_cache import CachedEncoders

__all__ = ["Indexer", "default_corpus_name"]

_MAX_WAIT_SECONDS = 5.0  # longest wait of a complete document for a full batch
_ITEMS_PER_REPORT = 16  # items between two calls of the progress listener


@dataclass
class Indexer:
    """Indexes folders into a vector store and a catalog. Without `ocr` no labels are read."""

    store: VectorStore
    catalog: Catalog
    encoders: CachedEncoders
    bm25: Bm25
    readers: Callable[[], DocumentReaders]
    ocr: LabelSource | None = None

    def index(
        self,
        path: Path,
        corpus: str,
        *,
        prune: bool = False,
        retry_failed: bool = False,
        progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> IndexReport:
        """Bring `corpus` up to date with the folder or file `path`.

        Unchanged documents are not read. A document that cannot be read becomes a dead letter: the
        run continues, and items of an earlier version stay. An unchanged dead letter is reported
        again, and read again only with `retry_failed`. Documents that are no longer in the folder
        are listed in `IndexReport.missing`, and removed with `prune`.

        An exception raised by `progress` ends the run; the next run continues from there. Raise
        `BadInput` if there is nothing to index or the corpus has another folder.
        """
        walk = Walk(path)
        units = list(walk.units())
        entries = self.catalog.entries(corpus)
        stored = {source for source, entry in entries.items() if entry.stored_fingerprint}
        if not units and not stored and not any(walk.pictures(())):
            raise BadInput(f"{path}: nothing to index; expected {FORMATS}")
        run = _IndexRun(self, self._register(path, corpus), entries, retry_failed, progress)
        run.index_all(walk, units)
        report = run.report
        report.missing = sorted(s for s in stored - run.sources if not run.is_hidden(s))
        if prune:
            for source in report.missing:
                self.store.delete_where(Where(corpora=(corpus,), sources=(source,)))
                report.removed += 1
        forgotten = (entries.keys() - stored - run.sources) | set(report.missing if prune else ())
        self.catalog.remove_documents(corpus, forgotten)
        self.store.flush()
        self.encoders.trim(self.store.count())
        report.pages, report.seconds = run.state.pages, run.state.elapsed_seconds
        return report

    def _register(self, path: Path, name: str) -> Corpus:
        root = str(path.resolve())
        corpus = self.catalog.corpus(name)
        if corpus is None:
            corpus = Corpus(name, root)
            self.catalog.save_corpus(corpus)
        elif corpus.root != root:
            raise BadInput(
                f"corpus {name!r} belongs to {corpus.root}, not {root}; pass --corpus OTHER-NAME, "
                f"or `unirag corpora add {name} {root}` if it moved"
            )
        return corpus


@dataclass
class _IndexRun:
    """One run over one folder. Handles the events of the readers in their order.

    `sources` are the documents found, `shown_pictures` the picture files that they show, and
    `failed_units` the files, folders and archives that could not be opened.
    """

    indexer: Indexer
    corpus: Corpus
    entries: dict[str, CatalogEntry]
    retry_failed: bool
    progress: Callable[[IndexProgress], None]
    state: IndexProgress = field(default_factory=IndexProgress)
    sources: set[str] = field(default_factory=set)
    shown_pictures: set[Path] = field(default_factory=set)
    failed_units: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.report = IndexReport(self.corpus.name)
        self.plan = ReadingPlan(self.entries, self.retry_failed, self.indexer.ocr is not None)
        self.buffer = EncodingBuffer(self.indexer.encoders, self.indexer.ocr)
        self.document: PendingDocument | None = None
        self.last_flush = time.monotonic()

    def index_all(self, walk: Walk, units: Sequence[Unit | Rejected]) -> None:
        """Index all documents, then the pictures that no document shows."""
        self.state.total = len(units) + sum(1 for _ in walk.pictures(()))
        for unit in units:
            if isinstance(unit, Rejected):
                self._handle(unit)
        indexer = self.indexer
        with (
            IndexWriter(
                indexer.store, indexer.catalog, indexer.bm25, self.corpus.name, self._count_stored
            ) as writer,
            indexer.readers() as readers,
        ):
            self.writer = writer
            self._read(readers, [unit for unit in units if isinstance(unit, Unit)])
            pictures = list(walk.pictures(self.shown_pictures))
            self.state.total = self.state.documents + self.buffer.documents + len(pictures)
            self._read(readers, pictures)
            self._flush()

    def is_hidden(self, source: str) -> bool:
        """Return whether a source lies in a folder or archive that could not be opened."""
        return any(
            unit in (source, ".") or source.startswith(f"{unit}/") for unit in self.failed_units
        )

    def _read(self, readers: DocumentReaders, units: Sequence[Unit]) -> None:
        units = [unit for unit in units if not self._failed_before(unit)]
        for event in readers.read(units, self.corpus.name, self.plan, self._decode_again):
            self._handle(event)
            is_late = time.monotonic() - self.last_flush > _MAX_WAIT_SECONDS
            if self.buffer.is_full or (is_late and self.buffer.has_read_document):
                self._flush()

    def _failed_before(self, unit: Unit) -> bool:
        """Report a unit that killed its reader in an earlier run, unless it has changed since."""
        entry = self.entries.get(unit.source)
        if self.retry_failed or entry is None or entry.state != "failed":
            return False
        if not entry.latest_fingerprint or entry.latest_fingerprint != _file_stamp(unit):
            return False
        self.failed_units.add(unit.source)
        self._report_dead_letter(unit.source, entry.reason)
        return True

    def _decode_again(self, digest: str) -> bool:
        """Return whether a picture lacks its labels or vector. Called by threads of the readers."""
        ocr = self.indexer.ocr
        needs_labels = ocr is not None and ocr.cached(digest) is None
        return needs_labels or not self.indexer.encoders.cached_pictures([digest])

    def _handle(self, event: Event) -> None:
        match event:
            case ItemRead():
                self._add_item(event)
                return
            case Problem():
                assert self.document is not None
                self.document.problems.append(
                    DocumentProblem(
                        self.document.source,
                        event.anchor,
                        event.message,
                        is_dead_letter=False,
                        kind=event.kind,
                        page=event.page,
                    )
                )
                return
            case DocumentStart():
                self._start_document(event)
            case PageRead():
                self.state.pages += 1
            case DocumentEnd():
                self._end_document(event.reason)
            case Count():
                self.state.total += event.documents - 1
            case Rejected():
                self.failed_units.add(event.source)
                self._record_dead_letter(event.source, "", event.reason)
            case UnitFailed() if event.unit.source not in self.failed_units:
                self.failed_units.add(event.unit.source)
                self._record_dead_letter(event.unit.source, _file_stamp(event.unit), event.reason)
        self.progress(self.state)

    def _start_document(self, start: DocumentStart) -> None:
        source, fingerprint = start.source, self.plan.fingerprint(start)
        self.sources.add(source)
        self.shown_pictures |= start.pictures
        self.state.source = source
        entry = self.entries.get(source)
        if start.selected:
            self._set_state("queued", [(source, fingerprint)])
            self.document = PendingDocument(source, fingerprint, start.title, entry is not None)
            self.buffer.open(self.document)
            return
        assert entry is not None
        if entry.stored_fingerprint != fingerprint:
            self._report_dead_letter(source, entry.reason)
            return
        if entry.state != "stored":  # the file was changed, then changed back
            self._set_state("stored", [(source, fingerprint)])
        self.report.unchanged += 1
        self.state.unchanged += 1
        self.state.documents += 1

    def _add_item(self, read: ItemRead) -> None:
        assert self.document is not None
        item = replace(
            read.item,
            licence=read.item.licence or self.corpus.licence,
            attribution=read.item.attribution or self.corpus.attribution,
        )
        self.buffer.add(self.document, item, read.picture)
        self.state.items += 1
        self.state.pictures += bool(item.image)
        if self.state.items % _ITEMS_PER_REPORT == 0:
            self.progress(self.state)

    def _end_document(self, reason: str | None) -> None:
        document = self.document
        assert document is not None
        if reason is not None:
            self.buffer.drop(document)
            self._record_dead_letter(document.source, document.fingerprint, reason)
            return
        document.is_read = True
        self._set_state("read", [(document.source, document.fingerprint)])

    def _flush(self) -> None:
        """Encode the buffer and hand the complete documents to the writer."""
        complete = self.buffer.encode()
        if complete:
            self._set_state("encoded", [(d.source, d.fingerprint) for d in complete])
            self.writer.put(complete)
            self.state.documents += len(complete)
            self.report.problems += [p for d in complete for p in d.problems]
        self.last_flush = time.monotonic()
        self.progress(self.state)

    def _set_state(self, state: DocumentState, fingerprints: Sequence[tuple[str, str]]) -> None:
        self.indexer.catalog.set_state(self.corpus.name, state, fingerprints)

    def _count_stored(self, document: StoredDocument) -> None:
        """Count a stored document. Only the writer's thread calls this, so no lock is needed."""
        entry = self.entries.get(document.source)
        if entry and entry.stored_fingerprint:
            self.report.changed += 1
        else:
            self.report.new += 1
        self.report.figures += document.figures
        self.report.passages += document.passages

    def _record_dead_letter(self, source: str, fingerprint: str, reason: str) -> None:
        self.indexer.catalog.mark_failed(self.corpus.name, source, fingerprint, reason)
        self._report_dead_letter(source, reason)

    def _report_dead_letter(self, source: str, reason: str) -> None:
        self.sources.add(source)
        self.report.problems.append(DocumentProblem(source, "", reason, is_dead_letter=True))
        self.state.failed += 1
        self.state.documents += 1


def _file_stamp(unit: Unit) -> str:
    """Return the size and time of a file that no reader could open; "" for a folder.

    It stands in for a fingerprint, to tell whether the file has changed.
    """
    try:
        status = unit.path.stat()
    except OSError:  # the file is gone by now
        return ""
    return "" if S_ISDIR(status.st_mode) else f"file:{status.st_size}:{status.st_mtime_ns}"


def default_corpus_name(path: Path) -> str:
    """Return the corpus name for a path: `optics-waves` for `/books/Optics & Waves/`."""
    stem = path.resolve().stem if path.is_file() else path.resolve().name
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "corpus"
