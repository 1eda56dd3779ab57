"""What one worker of a cluster does: it reads, decodes and encodes, with the code of a local run.

A worker keeps nothing. Labels, vectors and pictures go to the home from which the run was started,
as soon as they are made; what is left of a unit is a list of events, words only, which is handed
over whole. A worker that dies loses what it was reading, and nothing that was read or encoded.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from data.errors import UniragError
from data.ocr import LabelCache
from data.pictures import Assets
from data.readers.scan import Unit
from data.reading_events import (
    Count,
    DocumentEnd,
    DocumentStart,
    Event,
    Idle,
    ItemRead,
    UnitFailed,
)
from data.reading_pool import ReaderPool
from unirag.indexing.indexer import Wanted
from unirag.indexing.pipeline import Labels, Pending, Window
from unirag.workspace.embedding_cache import CachedEncoders, EmbeddingStore

__all__ = ["HomeLink", "Models", "Task", "Worker", "share_out"]

_UNITS = 64  # units of a task at most, so that a batch to encode fills
_TURNS = 4  # tasks for each worker at least, where there are units enough
_BYTES = 16_000_000  # of files, about; a file that is larger is a task of its own
_TRIES = 2  # times that a unit is read alone after a worker died of it or of one beside it

Models = Callable[[EmbeddingStore, LabelCache], tuple[CachedEncoders, Labels | None]]


@dataclass(frozen=True)
class Task:
    """Units that one worker takes at once, or one `share` (number, of) of a unit with many."""

    units: tuple[Unit, ...]
    share: tuple[int, int] = (0, 1)


def share_out(units: Sequence[Unit], workers: int) -> list[Task]:
    """Tasks of a few units each, and of a unit with many documents a share for each worker."""
    tasks: list[Task] = []
    some: list[Unit] = []
    size = 0
    most = min(_UNITS, 1 + len(units) // (_TURNS * workers))
    for unit in units:
        own = _bytes(unit)
        if unit.many:
            # to look into an archive is to unpack it: that has to be worth it
            of = workers if unit.path.is_dir() else min(workers, 1 + own // _BYTES)
            tasks += [Task((unit,), (number, of)) for number in range(of)]
            continue
        if some and (len(some) == most or size + own > _BYTES):
            tasks.append(Task(tuple(some)))
            some, size = [], 0
        some.append(unit)
        size += own
    if some:
        tasks.append(Task(tuple(some)))
    return tasks


def _bytes(unit: Unit) -> int:
    try:
        return unit.path.stat().st_size
    except OSError:  # its reader says so
        return 0


class HomeLink(Protocol):
    """The home, from afar."""

    @property
    def vectors(self) -> EmbeddingStore: ...

    @property
    def labels(self) -> LabelCache: ...

    def keep(self, picture: bytes, thumbnail: bytes) -> None: ...

    def begin(self, key: str) -> int:
        """How often `key` was begun before without coming to its end."""
        ...

    def end(self, key: str) -> None: ...


class Worker:
    """Takes tasks one after the other; `models` are loaded with the first one.

    `readers` makes a pool that keeps pictures in the folder it is given.
    """

    def __init__(
        self,
        home: HomeLink,
        models: Models,
        readers: Callable[[Path], ReaderPool],
        corpus: str,
        wanted: Wanted,
    ) -> None:
        self._home, self._make, self._readers = home, models, readers
        self._corpus, self._wanted = corpus, wanted

    def do(self, number: int, task: Task) -> list[Event]:
        """All that comes of a task. What ends a local run is raised here too.

        A task that a worker died of is read unit by unit, so that the next death tells which unit
        it was; that one has failed in the end.
        """
        root = task.units[0].root
        if not root.exists():
            raise UniragError(
                f"{root} is not there; expected storage that every machine of the cluster sees "
                "under the same path"
            )
        key = f"task {number}"
        try:
            if not self._home.begin(key):
                events = list(self._read(task.units, task.share))
            else:
                events = [e for unit in task.units for e in self._alone(key, unit, task.share)]
        except BaseException:
            self.close()  # its processes may be in the middle of something
            raise
        self._home.end(key)
        for folder in self._scratch.iterdir():
            shutil.rmtree(folder)
        return events

    def close(self) -> None:
        """End the processes that read; `do` would start others."""
        if "_pool" in self.__dict__:
            self._pool.close()
            shutil.rmtree(self._scratch)
            del self._pool, self._scratch

    def _alone(self, task: str, unit: Unit, share: tuple[int, int]) -> Iterator[Event]:
        key = f"{task}: {unit.source}"
        if self._home.begin(key) >= _TRIES:
            yield UnitFailed(
                unit,
                f"{1 + _TRIES} workers died while they read it, perhaps for want of memory; index "
                "it with --engine local --retry-failed",
            )
        else:
            yield from self._read([unit], share)
        self._home.end(key)

    def _read(self, units: Sequence[Unit], share: tuple[int, int]) -> Iterator[Event]:
        (encoding, ocr), pool, assets = self._models, self._pool, Assets(self._scratch)
        window = Window(encoding, ocr)
        document: Pending | None = None
        sent: set[str] = set()
        # a worker keeps no picture, so all are decoded, whether or not they were met before
        for event in pool.read(units, self._corpus, self._wanted, lambda _: True, share):
            match event:
                case Idle():
                    continue
                case Count() if share[0]:  # the first share tells it
                    continue
                case DocumentStart(wanted=True):
                    document = Pending(event.source, event.fingerprint, event.title, False)
                    window.open(document)
                case DocumentEnd():
                    assert document is not None
                    document.read = True
                    if event.reason is not None:
                        window.drop(document)
                case ItemRead(item, picture):
                    assert document is not None
                    if picture is not None and item.image not in sent:
                        self._home.keep(*assets.copy(item.image))
                        sent.add(item.image)
                    window.add(document, item, picture)
                    event = ItemRead(item, None)
            yield event
            if window.full:
                window.encode()
        window.encode()

    @cached_property
    def _scratch(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="unirag-worker-"))

    @cached_property
    def _pool(self) -> ReaderPool:
        return self._readers(self._scratch)

    @cached_property
    def _models(self) -> tuple[CachedEncoders, Labels | None]:
        return self._make(self._home.vectors, self._home.labels)
