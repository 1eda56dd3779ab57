"""Indexing a folder: read, look at, encode, store; once per changed document."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISDIR
from types import TracebackType
from typing import Protocol

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
from unirag.indexing.pipeline import Labels, Pending, Window, Writer, searchable
from unirag.indexing.progress import Progress, Report
from unirag.workspace.catalog import Catalog, Corpus, Entry, Stored, Trouble
from unirag.workspace.embedding_cache import CachedEncoders

__all__ = [
    "Indexer",
    "Progress",
    "Readers",
    "Report",
    "Wanted",
    "corpus_name",
    "searchable",
]

_PATIENCE = 5.0  # seconds that a document which is read waits for a batch to fill


class Readers(Protocol):
    """Reads units: processes of this machine (data/reading_pool.py) or of many (unirag/indexing/ray_pool.py).

    A context manager. Events come document by document.
    """

    def read(
        self,
        units: Sequence[Unit],
        corpus: str,
        wanted: Callable[[DocumentStart], bool],
        lacking: Callable[[str], bool],
    ) -> Iterator[Event]: ...

    def __enter__(self) -> Readers: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True)
class Wanted:
    """Which documents are read. Asked in other threads and, pickled, on other machines."""

    journal: Mapping[str, Entry]
    retry_failed: bool
    ocr: bool

    def fingerprint(self, start: DocumentStart) -> str:
        """Items hold labels only where OCR ran: switching it on makes a document new."""
        return f"{start.fingerprint}:{'ocr' if self.ocr else 'plain'}"

    def __call__(self, start: DocumentStart) -> bool:
        known, seen = self.journal.get(start.source), self.fingerprint(start)
        if known is None:
            return True
        failed = known.state == "failed" and known.seen == seen and not self.retry_failed
        return known.fingerprint != seen and not failed


@dataclass
class Indexer:
    """Collaborators are injected; `ocr` is None where labels are not read."""

    store: VectorStore
    catalog: Catalog
    encoding: CachedEncoders
    bm25: Bm25
    readers: Callable[[], Readers]
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
        with `prune`. What `progress` raises ends the run; the next one goes on where it was.
        """
        walk = Walk(path)
        found = list(walk.units())
        journal = self.catalog.journal(corpus)
        stored = {source for source, entry in journal.items() if entry.fingerprint}
        if not found and not stored and not any(walk.pictures(())):
            raise BadInput(f"{path}: nothing to index; expected {FORMATS}")
        run = _Run(self, self._register(path, corpus), journal, retry_failed, progress)
        run.everything(walk, found)
        report = run.report
        report.gone = sorted(source for source in stored - run.seen if not run.hidden(source))
        if prune:
            for source in report.gone:
                self.store.delete_where(Where(corpora=(corpus,), sources=(source,)))
                report.removed += 1
        forgotten = (journal.keys() - stored - run.seen) | set(report.gone if prune else ())
        self.catalog.remove_documents(corpus, forgotten)
        self.store.flush()
        self.encoding.trim(self.store.count())
        report.pages, report.seconds = run.state.pages, run.state.seconds
        return report

    def _register(self, path: Path, name: str) -> Corpus:
        root = str(path.resolve())
        known = self.catalog.corpus(name)
        if known is None:
            known = Corpus(name, root)
            self.catalog.put_corpus(known)
        elif known.root != root:
            raise BadInput(
                f"corpus {name!r} belongs to {known.root}, not {root}; pass --corpus OTHER-NAME, "
                f"or `unirag corpora add {name} {root}` if it moved"
            )
        return known


@dataclass
class _Run:
    """One folder, once: takes what the readers give, in their order."""

    indexer: Indexer
    corpus: Corpus
    journal: dict[str, Entry]
    retry_failed: bool
    progress: Callable[[Progress], None]
    state: Progress = field(default_factory=Progress)
    seen: set[str] = field(default_factory=set)
    shown: set[Path] = field(default_factory=set)
    failed_units: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.report = Report(self.corpus.name)
        self.wanted = Wanted(self.journal, self.retry_failed, self.indexer.ocr is not None)
        self.window = Window(self.indexer.encoding, self.indexer.ocr)
        self.document: Pending | None = None
        self.flushed = time.monotonic()

    def everything(self, walk: Walk, found: Sequence[Unit | Rejected]) -> None:
        self.state.total = len(found) + sum(1 for _ in walk.pictures(()))
        for part in found:
            if isinstance(part, Rejected):
                self._take(part)
        it = self.indexer
        with (
            Writer(it.store, it.catalog, it.bm25, self.corpus.name, self._stored) as writer,
            it.readers() as readers,
        ):
            self.writer = writer
            self._units(readers, [unit for unit in found if isinstance(unit, Unit)])
            pictures = list(walk.pictures(self.shown))
            self.state.total = self.state.documents + self.window.documents + len(pictures)
            self._units(readers, pictures)
            self._flush()

    def hidden(self, source: str) -> bool:
        """Whether a source lies in a folder or archive that could not be looked into."""
        return any(
            unit in (source, ".") or source.startswith(f"{unit}/") for unit in self.failed_units
        )

    def _units(self, readers: Readers, units: Sequence[Unit]) -> None:
        units = [unit for unit in units if not self._failed_before(unit)]
        for event in readers.read(units, self.corpus.name, self.wanted, self._lacking):
            self._take(event)
            late = time.monotonic() - self.flushed > _PATIENCE
            if self.window.full or (late and self.window.whole):
                self._flush()

    def _failed_before(self, unit: Unit) -> bool:
        """Whether it ended its reader before there was a document, and has not changed since."""
        known = self.journal.get(unit.source)
        if self.retry_failed or known is None or known.state != "failed":
            return False
        if not known.seen or known.seen != _stamp(unit):
            return False
        self.failed_units.add(unit.source)
        self._dead(unit.source, known.reason)
        return True

    def _lacking(self, digest: str) -> bool:
        """Whether a picture has to be decoded again. Called by the threads of the readers."""
        ocr = self.indexer.ocr
        unread = ocr is not None and ocr.known(digest) is None
        return unread or not self.indexer.encoding.known([digest])

    def _take(self, event: Event) -> None:
        match event:
            case ItemRead():
                self._item(event)
                return
            case Problem():
                assert self.document is not None
                self.document.troubles.append(
                    Trouble(self.document.source, event.anchor, event.message, dead=False)
                )
                return
            case DocumentStart():
                self._start(event)
            case PageRead():
                self.state.pages += 1
            case DocumentEnd():
                self._end(event.reason)
            case Count():
                self.state.total += event.documents - 1
            case Rejected():
                self.failed_units.add(event.source)
                self._bury(event.source, "", event.reason)
            case UnitFailed() if event.unit.source not in self.failed_units:
                self.failed_units.add(event.unit.source)
                self._bury(event.unit.source, _stamp(event.unit), event.reason)
        self.progress(self.state)

    def _start(self, start: DocumentStart) -> None:
        source, seen = start.source, self.wanted.fingerprint(start)
        self.seen.add(source)
        self.shown |= start.pictures
        self.state.source = source
        known = self.journal.get(source)
        if start.wanted:
            self.indexer.catalog.mark(self.corpus.name, "queued", [(source, seen)])
            self.document = Pending(source, seen, start.title, known is not None)
            self.window.open(self.document)
            return
        assert known is not None
        if known.fingerprint != seen:
            self._dead(source, known.reason)
            return
        if known.state != "stored":  # it was changed, and then changed back
            self.indexer.catalog.mark(self.corpus.name, "stored", [(source, seen)])
        self.report.unchanged += 1
        self.state.unchanged += 1
        self.state.documents += 1

    def _item(self, read: ItemRead) -> None:
        assert self.document is not None
        item = replace(
            read.item,
            licence=read.item.licence or self.corpus.licence,
            attribution=read.item.attribution or self.corpus.attribution,
        )
        self.window.add(self.document, item, read.picture)
        self.state.items += 1
        self.state.pictures += bool(item.image)
        if self.state.items % 16 == 0:
            self.progress(self.state)

    def _end(self, reason: str | None) -> None:
        document = self.document
        assert document is not None
        if reason is not None:
            self.window.drop(document)
            self._bury(document.source, document.fingerprint, reason)
            return
        document.read = True
        seen = [(document.source, document.fingerprint)]
        self.indexer.catalog.mark(self.corpus.name, "read", seen)

    def _flush(self) -> None:
        whole = self.window.encode()
        if whole:
            seen = [(d.source, d.fingerprint) for d in whole]
            self.indexer.catalog.mark(self.corpus.name, "encoded", seen)
            self.writer.put(whole)
            self.state.documents += len(whole)
            self.report.troubles += [t for d in whole for t in d.troubles]
        self.flushed = time.monotonic()
        self.progress(self.state)

    def _stored(self, row: Stored) -> None:
        """Called by the writer's thread, which alone changes these counts."""
        known = self.journal.get(row.source)
        if known and known.fingerprint:
            self.report.changed += 1
        else:
            self.report.new += 1
        self.report.figures += row.figures
        self.report.passages += row.passages

    def _bury(self, source: str, seen: str, reason: str) -> None:
        self.indexer.catalog.fail(self.corpus.name, source, seen, reason)
        self._dead(source, reason)

    def _dead(self, source: str, reason: str) -> None:
        self.seen.add(source)
        self.report.troubles.append(Trouble(source, "", reason, dead=True))
        self.state.failed += 1
        self.state.documents += 1


def _stamp(unit: Unit) -> str:
    """What tells whether a file changed whose content no reader lives to see; "" for a folder."""
    try:
        told = unit.path.stat()
    except OSError:  # it has gone meanwhile
        return ""
    return "" if S_ISDIR(told.st_mode) else f"file:{told.st_size}:{told.st_mtime_ns}"


def corpus_name(path: Path) -> str:
    """The name that a path gives its corpus: `optics-waves` for `/books/Optics & Waves/`."""
    stem = path.resolve().stem if path.is_file() else path.resolve().name
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "corpus"
