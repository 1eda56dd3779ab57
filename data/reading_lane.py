"""One lane of the reader pool: a thread that has a worker process read documents.

The process dies with the thread that started it (`data.worker_process.die_with_parent`), so the
thread of a lane lasts as long as the pool.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from data.documents import Problem
from data.readers.scan import Rejected, Unit
from data.reading_events import (
    Count,
    DocumentEnd,
    DocumentStart,
    Event,
    Idle,
    ItemRead,
    PageRead,
    UnitFailed,
)
from data.reading_settings import ReadingSettings
from data.records import Item
from data.worker_process import WorkerGone, WorkerProcess, WorkerTimeout

__all__ = ["READER_COMMAND", "ReadingJob", "ReadingLane", "UnitDone"]

READER_COMMAND = (sys.executable, "-W", "ignore", "-m", "data.reading_worker")
_MAX_AHEAD_BYTES = 32_000_000  # of events that a lane may queue: a few pictures or much text
_EVENT_BYTES = 2_000  # an event without its pixels, roughly
_IDLE_SECONDS = 1.0
_CLOSE_CHECK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class UnitDone:
    """The lane has read its share of a unit."""


@dataclass(frozen=True)
class ReadingJob:
    """Units to be read by `lanes` lanes; see `ReaderPool.read`."""

    units: Sequence[Unit]
    corpus: str
    lanes: int
    share: tuple[int, int]
    select: Callable[[DocumentStart], bool]
    decode_again: Callable[[str], bool]


class ReadingLane:
    """A thread that takes jobs and queues the events of its share, in order.

    It asks one worker process at a time and replaces a process that died.
    """

    def __init__(
        self,
        number: int,
        settings: ReadingSettings,
        assets: Path,
        temporary_folder: Path,
        command: Sequence[str],
        closed: threading.Event,
    ) -> None:
        self._number, self._settings, self._closed = number, settings, closed
        limits = (str(os.getpid()), str(settings.file_megabytes), str(assets))
        self._command = [*command, *limits, "scans" if settings.scans else "no-scans"]
        self._environment = {"TMPDIR": str(temporary_folder)}
        self._jobs: queue.SimpleQueue[ReadingJob | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[tuple[Event | UnitDone | Exception, int]] = (
            queue.SimpleQueue()
        )
        self._has_room, self._queued_bytes = threading.Condition(), 0
        self._worker: WorkerProcess | None = None
        self._thread = threading.Thread(target=self._run, name=f"reading-{number}", daemon=True)
        self._thread.start()

    def submit(self, job: ReadingJob) -> None:
        self._jobs.put(job)

    def next_event(self) -> Event | UnitDone:
        """Return the next event, or `Idle` if none comes within a second.

        Raises the error that ended the lane's thread.
        """
        try:
            event, size = self._events.get(timeout=_IDLE_SECONDS)
        except queue.Empty:
            return Idle()
        with self._has_room:
            self._queued_bytes -= size
            self._has_room.notify()
        if isinstance(event, Exception):
            raise event
        return event

    def close(self) -> None:
        """Kill the process and wait for the thread. The pool sets `closed` first."""
        self._jobs.put(None)
        if worker := self._worker:
            worker.kill()
        self._thread.join()

    def _put(self, event: Event | UnitDone | Exception, pixel_bytes: int = 0) -> None:
        """Queue an event as soon as there is room. An empty queue has room for any event."""
        size = _EVENT_BYTES + pixel_bytes
        with self._has_room:
            while (
                self._queued_bytes
                and self._queued_bytes + size > _MAX_AHEAD_BYTES
                and not self._closed.is_set()
            ):
                self._has_room.wait(_CLOSE_CHECK_SECONDS)
            self._queued_bytes += size
        if self._closed.is_set():
            raise _Closed
        self._events.put((event, size))

    def _run(self) -> None:
        try:
            while job := self._jobs.get():
                for number, unit in enumerate(job.units):
                    if unit.is_container:
                        self._read_unit(job, unit, self._number)
                    elif number % job.lanes == self._number:
                        self._read_unit(job, unit, 0)
        except _Closed:
            pass
        except Exception as error:  # noqa: BLE001 - `next_event` raises it
            with suppress(_Closed):
                self._put(error)
        finally:
            self._close_worker()

    def _read_unit(self, job: ReadingJob, unit: Unit, lane: int) -> None:
        """Read this lane's share of a unit, and skip documents that kill the process."""
        first = 0
        while not self._closed.is_set():
            exchange = _Exchange(self._running_worker(), job, self._put, first)
            try:
                exchange.run(_request(job, unit, lane, first))
                self._put(UnitDone())
                return
            except WorkerGone as gone:
                self._close_worker()
                if self._closed.is_set():
                    raise _Closed from None
                reason = _failure(gone, self._settings)
            if exchange.source is not None:
                self._put(DocumentEnd(f"{exchange.source}: {reason}"))
            elif exchange.number < first:  # it died before any document
                self._put(UnitFailed(unit, reason))
                self._put(UnitDone())
                return
            first = exchange.number + 1

    def _running_worker(self) -> WorkerProcess:
        if self._worker is None:
            self._worker = WorkerProcess(
                self._command,
                task="read documents",
                message_seconds=self._settings.stall_seconds,
                total_seconds=self._settings.file_seconds,
                environment=self._environment,
            )
            self._worker.wait_until_ready()
        return self._worker

    def _close_worker(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


class _Exchange:
    """One request to a worker and its answers, turned into events.

    `source` is the document being read, if any; `number` is that of the last document reached.
    """

    def __init__(
        self, worker: WorkerProcess, job: ReadingJob, emit: Callable[..., None], first: int
    ) -> None:
        self._worker, self._job, self._emit = worker, job, emit
        self.source: str | None = None
        self.number = first - 1

    def run(self, request: dict[str, Any]) -> None:
        """Emit the events of a unit up to its end.

        Raises `WorkerGone` if the process ends first, and `OSError` if a picture cannot be stored.
        """
        self._worker.send(request)
        while True:
            message, pixels = self._worker.receive()
            match message:
                case {"done": _}:
                    return
                case {"item": item, "size": size}:
                    picture = Image.frombytes("RGB", tuple(size), pixels) if size else None
                    self._emit(ItemRead(Item.from_json(item), picture), len(pixels))
                case {"digest": digest}:
                    self._worker.send(self._job.decode_again(digest))
                case {"problem": problem}:
                    self._emit(Problem(**problem))
                case {"page": number}:
                    if number is not None:
                        self._emit(PageRead(number))
                case {"document": head, "number": number}:
                    self._start_document(head, number)
                case {"end": reason}:
                    self.source = None
                    self._emit(DocumentEnd(reason))
                case {"rejected": source, "reason": reason, "number": number}:
                    self.number = number
                    self._emit(Rejected(source, reason))
                case {"count": count}:
                    self._emit(Count(count))
                case {"storage_error": [code, reason, path]}:
                    raise OSError(code, reason, path)

    def _start_document(self, head: dict[str, Any], number: int) -> None:
        self.number = number
        start = DocumentStart(**{**head, "pictures": frozenset(map(Path, head["pictures"]))})
        selected = self._job.select(start)
        if selected:
            self.source = start.source
        self._emit(replace(start, selected=selected))
        self._worker.restart_clock()
        self._worker.send(selected)


class _Closed(Exception):
    """The pool is being closed."""


def _request(job: ReadingJob, unit: Unit, lane: int, first: int) -> dict[str, Any]:
    """Return the request for a lane's share of a unit, starting at document `first`."""
    share, shares = job.share
    return {
        "path": str(unit.path.absolute()),
        "root": str(unit.root.absolute()),
        "source": unit.source,
        "is_container": unit.is_container,
        "share": [share * job.lanes + lane, shares * job.lanes] if unit.is_container else [0, 1],
        "first": first,
        "corpus": job.corpus,
    }


def _failure(gone: WorkerGone, settings: ReadingSettings) -> str:
    """Return the reason why a worker is gone and the setting that may help."""
    if not isinstance(gone, WorkerTimeout):
        setting = "file_megabytes"
        reason = f"its reader ended suddenly ({gone}), perhaps for lack of memory"
    elif gone.limit == "message":
        setting = "stall_seconds"
        reason = f"its reader made no progress for {settings.stall_seconds:g} s"
    else:
        setting = "file_seconds"
        reason = f"reading it took longer than {settings.file_seconds:g} s"
    return (
        f"{reason}; open it and save it again, or raise reading.{setting} and index with "
        "--retry-failed"
    )
