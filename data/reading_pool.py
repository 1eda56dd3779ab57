"""Documents read by several processes at once, each file within a limit of time and of memory.

A file that hangs its reader, crashes it or takes too much memory costs that file; the next is read
by a new process. Events come in the order of the units, whichever process was quicker, so that what
is made of them does not depend on timing. Each process runs ahead by a few events only, then waits.
"""

from __future__ import annotations

import os
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from data.cores import cores
from data.documents import Problem
from data.reader_process import Gone, ReaderProcess, ReadingSettings
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
from data.records import Item

__all__ = ["ReaderPool"]

_COMMAND = (sys.executable, "-W", "ignore", "-m", "data.reading")
_AHEAD = 32_000_000  # bytes of a process's events that wait to be taken: a few pictures, much text
_EVENT = 2_000  # bytes of an event beside its pixels, about
_TICK = 0.5  # seconds
_WORTH = 1_000_000  # bytes to read that are worth a process


@dataclass(frozen=True, slots=True)
class _Over:
    """A unit is done."""


@dataclass(frozen=True)
class _Order:
    units: Sequence[Unit]
    corpus: str
    lanes: int
    share: tuple[int, int]
    wanted: Callable[[DocumentStart], bool]
    lacking: Callable[[str], bool]


class ReaderPool:
    """Reads units with `settings.workers` processes; pictures are kept in the folder `assets`.

    A context manager, used by one thread. Raises `UniragError` where no process can be started and
    `OSError` where pictures cannot be kept.
    """

    def __init__(
        self,
        settings: ReadingSettings,
        assets: Path,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self._settings, self._command = settings, command
        self._assets = assets.absolute()
        self._temporary = Path(tempfile.mkdtemp(prefix="unirag-"))
        self._closed = threading.Event()
        self._lanes: list[_Lane] = []
        self._watch = threading.Thread(target=self._watching, name="reading", daemon=True)
        self._watch.start()

    def read(
        self,
        units: Sequence[Unit],
        corpus: str,
        wanted: Callable[[DocumentStart], bool],
        lacking: Callable[[str], bool],
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Event]:
        """What is in `units`, in their order.

        `wanted` decides whether a document is read; `lacking`, whether the picture of a digest,
        which the assets hold already, is decoded again. Both are called in other threads. With
        `share` (number, of) only each `of`-th document of a unit with many is looked at, from
        `number` on: other machines read the others.
        """
        n = self._settings.workers or _worth(units)
        while len(self._lanes) < n:
            self._lanes.append(_Lane(len(self._lanes), self._settings, self._worker, self._closed))
        lanes = self._lanes[:n]
        for lane in lanes:
            lane.orders.put(_Order(units, corpus, n, share, wanted, lacking))
        for number, unit in enumerate(units):
            yield from _in_turn(lanes if unit.many else [lanes[number % n]])

    def close(self) -> None:
        """End every process, whatever it does."""
        self._closed.set()
        for lane in self._lanes:
            lane.end()
        self._watch.join()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _worker(self) -> ReaderProcess:
        limit = str(self._settings.file_megabytes)
        command = [*self._command, str(os.getpid()), limit, str(self._assets)]
        return ReaderProcess(command, self._temporary, self._settings)

    def _watching(self) -> None:
        while not self._closed.wait(_TICK):
            for lane in self._lanes:
                if worker := lane.worker:
                    worker.check(time.monotonic())


def _worth(units: Sequence[Unit]) -> int:
    """As many as there are cores, for a megabyte or a folder each: one takes a while to start."""
    most, size = cores(), 0
    for unit in units:
        with suppress(OSError):  # its reader says so
            size += most * _WORTH if unit.path.is_dir() else unit.path.stat().st_size
    return max(1, min(most, size // _WORTH))


def _in_turn(lanes: Sequence[_Lane]) -> Iterator[Event]:
    """A document of each lane after the other, as they share a unit's documents out."""
    waiting = deque(lanes)
    while waiting:
        lane = waiting.popleft()
        while True:
            event = lane.take()
            if isinstance(event, _Over):
                break
            if not isinstance(event, Count) or lane is lanes[0]:
                yield event
            if _ends(event):
                waiting.append(lane)
                break


def _ends(event: Event) -> bool:
    """Whether a lane has no more of its present document."""
    if isinstance(event, DocumentStart):
        return not event.wanted
    return isinstance(event, DocumentEnd | Rejected)


class _Lane:
    """A thread that asks one process at a time, and starts another where that one died."""

    def __init__(
        self,
        number: int,
        settings: ReadingSettings,
        start: Callable[[], ReaderProcess],
        closed: threading.Event,
    ) -> None:
        self.orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self.worker: ReaderProcess | None = None
        self._number, self._start, self._closed = number, start, closed
        self._events: queue.SimpleQueue[tuple[Event | _Over | Exception, int]] = queue.SimpleQueue()
        self._room, self._held = threading.Condition(), 0
        # The process dies with the thread that started it, so that is the one that lasts.
        self._thread = threading.Thread(target=self._work, name=f"reading-{number}", daemon=True)
        self._thread.start()

    def take(self) -> Event | _Over:
        try:
            event, size = self._events.get(timeout=1.0)
        except queue.Empty:
            return Idle()
        with self._room:
            self._held -= size
            self._room.notify()
        if isinstance(event, Exception):
            raise event
        return event

    def end(self) -> None:
        self.orders.put(None)
        if worker := self.worker:
            worker.kill()
        self._thread.join()

    def _put(self, event: Event | _Over | Exception, pixels: int = 0) -> None:
        """Waits until there is room; one event always has."""
        size = _EVENT + pixels
        with self._room:
            while self._held and self._held + size > _AHEAD and not self._closed.is_set():
                self._room.wait(_TICK)
            self._held += size
        if self._closed.is_set():
            raise _Closed
        self._events.put((event, size))

    def _work(self) -> None:
        try:
            while order := self.orders.get():
                for number, unit in enumerate(order.units):
                    if unit.many:
                        self._unit(order, unit, self._number)
                    elif number % order.lanes == self._number:
                        self._unit(order, unit, 0)
        except _Closed:
            pass
        except Exception as error:  # noqa: BLE001 - raised again where the events are taken
            with suppress(_Closed):
                self._put(error)
        finally:
            if self.worker:
                self.worker.end()
                self.worker = None

    def _unit(self, order: _Order, unit: Unit, lane: int) -> None:
        after = 0
        while not self._closed.is_set():
            if self.worker is None:
                self.worker = self._start()
                self.worker.ready()
            first, of = order.share
            request = {
                "path": str(unit.path.absolute()),
                "root": str(unit.root.absolute()),
                "source": unit.source,
                "many": unit.many,
                "share": [first * order.lanes + lane, of * order.lanes] if unit.many else [0, 1],
                "after": after,
                "corpus": order.corpus,
            }
            talk = _Talk(self.worker, order, self._put, after)
            try:
                talk.over(request)
                self._put(_Over())
                return
            except Gone as gone:
                self.worker.end()
                self.worker = None
                if self._closed.is_set():
                    raise _Closed from None
                if talk.source is not None:
                    self._put(DocumentEnd(f"{talk.source}: {gone}"))
                    after = talk.number + 1
                elif talk.number >= after:  # between two documents
                    after = talk.number + 1
                else:
                    self._put(UnitFailed(unit, str(gone)))
                    self._put(_Over())
                    return


class _Talk:
    """One request: `source` is the document that is being read, `number` the last one begun."""

    def __init__(
        self, worker: ReaderProcess, order: _Order, put: Callable[..., None], after: int
    ) -> None:
        self._worker, self._order, self._put = worker, order, put
        self.source: str | None = None
        self.number = after - 1

    def over(self, request: dict[str, Any]) -> None:
        """Raises `Gone` where the process ends before the unit does.

        And `OSError` where what it read cannot be kept.
        """
        self._worker.tell(request)
        while True:
            message, pixels = self._worker.hear()
            match message:
                case {"over": _}:
                    return
                case {"item": item, "size": size}:
                    picture = Image.frombytes("RGB", tuple(size), pixels) if size else None
                    self._put(ItemRead(Item.from_json(item), picture), len(pixels))
                case {"digest": digest}:
                    self._worker.tell(int(self._order.lacking(digest)))
                case {"problem": said, "anchor": anchor}:
                    self._put(Problem(anchor, said))
                case {"page": number}:
                    if number is not None:
                        self._put(PageRead(number))
                case {"document": head, "number": number}:
                    self._begin(head, number)
                case {"end": reason}:
                    self.source = None
                    self._put(DocumentEnd(reason))
                case {"rejected": source, "reason": reason, "number": number}:
                    self.number = number
                    self._put(Rejected(source, reason))
                case {"count": count}:
                    self._put(Count(count))
                case {"home": [code, said, where]}:
                    raise OSError(code, said, where)

    def _begin(self, head: dict[str, Any], number: int) -> None:
        self.number = number
        start = DocumentStart(**{**head, "pictures": frozenset(map(Path, head["pictures"]))})
        wanted = self._order.wanted(start)
        if wanted:
            self.source = start.source
        self._put(replace(start, wanted=wanted))
        self._worker.begin()
        self._worker.tell(int(wanted))


class _Closed(Exception):
    """The pool is being closed."""
