"""The work of one process on a Ray cluster: read, decode and encode, with the code of a local run.

A worker stores nothing on its machine. It sends labels, vectors and pictures to the workspace of
the run as soon as it has them. The rest of a task is a list of events without pixels, returned in
one piece. A worker that dies loses only the document it was reading.
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
from unirag.indexing.pipeline import EncodingBuffer, LabelSource, PendingDocument
from unirag.indexing.reading_plan import ReadingPlan
from unirag.workspace.embedding_cache import CachedEncoders, EmbeddingStore

__all__ = ["ClusterWorker", "ModelLoader", "ReadingTask", "WorkspaceLink", "split_into_tasks"]

_MAX_UNITS = 64  # per task: enough to fill an encoding batch
_TASKS_PER_WORKER = 4  # at least, if there are as many units
_TASK_BYTES = 16_000_000  # file size per task; a larger file is a task of its own
_MAX_RETRIES = 2  # attempts to read a unit alone after a worker died with it

ModelLoader = Callable[[EmbeddingStore, LabelCache], tuple[CachedEncoders, LabelSource | None]]


@dataclass(frozen=True)
class ReadingTask:
    """Units for one worker. `share` (number, count) selects a part of a container."""

    units: tuple[Unit, ...]
    share: tuple[int, int] = (0, 1)


def split_into_tasks(units: Sequence[Unit], workers: int) -> list[ReadingTask]:
    """Group small units into tasks, and split folders and archives into one share per worker."""
    tasks: list[ReadingTask] = []
    group: list[Unit] = []
    group_bytes = 0
    max_units = min(_MAX_UNITS, 1 + len(units) // (_TASKS_PER_WORKER * workers))
    for unit in units:
        unit_bytes = _file_bytes(unit)
        if unit.is_container:
            # each share unpacks the whole archive, so small archives are not split
            is_folder = unit.path.is_dir()
            shares = workers if is_folder else min(workers, 1 + unit_bytes // _TASK_BYTES)
            tasks += [ReadingTask((unit,), (number, shares)) for number in range(shares)]
            continue
        if group and (len(group) == max_units or group_bytes + unit_bytes > _TASK_BYTES):
            tasks.append(ReadingTask(tuple(group)))
            group, group_bytes = [], 0
        group.append(unit)
        group_bytes += unit_bytes
    if group:
        tasks.append(ReadingTask(tuple(group)))
    return tasks


def _file_bytes(unit: Unit) -> int:
    try:
        return unit.path.stat().st_size
    except OSError:  # the reader reports it
        return 0


class WorkspaceLink(Protocol):
    """The workspace of the run, as a worker on another machine reaches it."""

    @property
    def embeddings(self) -> EmbeddingStore:
        """The embedding cache."""
        ...

    @property
    def labels(self) -> LabelCache:
        """The OCR cache."""
        ...

    def store_picture(self, picture: bytes, thumbnail: bytes) -> None:
        """Store a picture in the assets."""
        ...

    def begin(self, key: str) -> int:
        """Record that a worker begins `key`. Return how often it was begun and never ended."""
        ...

    def end(self, key: str) -> None:
        """Record that `key` was completed."""
        ...


class ClusterWorker:
    """Does reading tasks one after the other. Models are loaded with the first task.

    `new_readers` makes a reader pool that stores pictures in the given folder.
    """

    def __init__(
        self,
        workspace: WorkspaceLink,
        load_models: ModelLoader,
        new_readers: Callable[[Path], ReaderPool],
        corpus: str,
        plan: ReadingPlan,
    ) -> None:
        self._workspace, self._load_models = workspace, load_models
        self._new_readers = new_readers
        self._corpus, self._plan = corpus, plan

    def do(self, number: int, task: ReadingTask) -> list[Event]:
        """Return the events of a task. Raise the errors that would end a local run too.

        If a worker died with this task before, read its units one by one: the next death then shows
        which unit is the cause. After `_MAX_RETRIES` more deaths that unit fails.
        """
        root = task.units[0].root
        if not root.exists():
            raise UniragError(
                f"{root} is not there; expected storage that every machine of the cluster sees "
                "under the same path"
            )
        key = f"task {number}"
        try:
            if not self._workspace.begin(key):
                events = list(self._read(task.units, task.share))
            else:
                events = [
                    event
                    for unit in task.units
                    for event in self._read_alone(key, unit, task.share)
                ]
        except BaseException:
            self.close()  # its reader processes may still be reading
            raise
        self._workspace.end(key)
        for folder in self._pictures_folder.iterdir():
            shutil.rmtree(folder)
        return events

    def close(self) -> None:
        """End the reader processes. The next task would start new ones."""
        if "_readers" in self.__dict__:
            self._readers.close()
            shutil.rmtree(self._pictures_folder)
            del self._readers, self._pictures_folder

    def _read_alone(self, task_key: str, unit: Unit, share: tuple[int, int]) -> Iterator[Event]:
        key = f"{task_key}: {unit.source}"
        if self._workspace.begin(key) >= _MAX_RETRIES:
            yield UnitFailed(
                unit,
                f"{1 + _MAX_RETRIES} workers died while they read it, perhaps for want of memory; "
                "index it with --engine local --retry-failed",
            )
        else:
            yield from self._read([unit], share)
        self._workspace.end(key)

    def _read(self, units: Sequence[Unit], share: tuple[int, int]) -> Iterator[Event]:
        (encoders, ocr), readers, assets = (
            self._models,
            self._readers,
            Assets(self._pictures_folder),
        )
        buffer = EncodingBuffer(encoders, ocr)
        document: PendingDocument | None = None
        sent_pictures: set[str] = set()
        # a worker stores no pictures, so each picture must be decoded
        for event in readers.read(units, self._corpus, self._plan, lambda _: True, share):
            match event:
                case Idle():
                    continue
                case Count() if share[0]:  # only the first share reports the number of documents
                    continue
                case DocumentStart(selected=True):
                    document = PendingDocument(
                        event.source, event.fingerprint, event.title, was_indexed=False
                    )
                    buffer.open(document)
                case DocumentEnd():
                    assert document is not None
                    document.is_read = True
                    if event.reason is not None:
                        buffer.drop(document)
                case ItemRead(item, picture):
                    assert document is not None
                    if picture is not None and item.image not in sent_pictures:
                        self._workspace.store_picture(*assets.read(item.image))
                        sent_pictures.add(item.image)
                    buffer.add(document, item, picture)
                    event = ItemRead(item, None)
            yield event
            if buffer.is_full:
                buffer.encode()
        buffer.encode()

    @cached_property
    def _pictures_folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="unirag-worker-"))

    @cached_property
    def _readers(self) -> ReaderPool:
        return self._new_readers(self._pictures_folder)

    @cached_property
    def _models(self) -> tuple[CachedEncoders, LabelSource | None]:
        return self._load_models(self._workspace.embeddings, self._workspace.labels)
