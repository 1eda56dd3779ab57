"""Documents read by several processes at once, each file within a limit of time and of memory.

A file that hangs its reader, crashes it or takes too much memory costs that file; the next is read
by a new process. Events come in the order of the units, whichever process was quicker, so that what
is made of them does not depend on timing. Each process runs ahead by a few events only, then waits.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
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
from pydantic import BaseModel, ConfigDict, Field

from data.documents import Problem
from data.errors import UniragError
from data.readers.scan import Rejected, Unit
from data.records import Item

__all__ = [
    "Count",
    "DocumentEnd",
    "DocumentStart",
    "Event",
    "Idle",
    "ItemRead",
    "PageRead",
    "ReaderPool",
    "ReadingSettings",
    "UnitFailed",
]

_COMMAND = (sys.executable, "-W", "ignore", "-m", "data.reading")
_ROOT = Path(__file__).resolve().parent.parent
_AHEAD = 32_000_000  # bytes of a process's events that wait to be taken: a few pictures, much text
_EVENT = 2_000  # bytes of an event beside its pixels, about
_TICK = 0.5  # seconds
_WORTH = 1_000_000  # bytes to read that are worth a process


class ReadingSettings(BaseModel):
    """Processes that read documents, and what a file may cost one.

    `workers` is the number of cores unless given, or less where there is little to read. A file is
    given up when its reader gives nothing for `stall_seconds`, has worked on it for `file_seconds`
    altogether, or needs more than `file_megabytes` of memory (Linux only). The slowest honest
    picture takes 7 s on a busy machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int | None = Field(None, ge=1, le=256)
    stall_seconds: float = Field(120, gt=0)
    file_seconds: float = Field(3600, gt=0)
    file_megabytes: int = Field(2000, ge=100)


@dataclass(frozen=True, slots=True)
class Count:
    """A unit turned out to hold this many documents."""

    documents: int


@dataclass(frozen=True, slots=True)
class DocumentStart:
    """A document was found; its items follow if it was `wanted`, up to its `DocumentEnd`.

    `pictures` are the files that it shows.
    """

    source: str
    fingerprint: str
    title: str
    pictures: frozenset[Path]
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page of the document that was started last, where its format has pages."""

    number: int


@dataclass(frozen=True, slots=True)
class ItemRead:
    """An item; `picture` is None where it has none, or none that had to be decoded again."""

    item: Item
    picture: Image.Image | None


@dataclass(frozen=True, slots=True)
class DocumentEnd:
    """Of the document that was started last; `reason` says why it could not be read."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class UnitFailed:
    """The process that looked into a unit came to an end; which documents it holds is unknown."""

    unit: Unit
    reason: str


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing came for a second."""


Event = (
    Count
    | DocumentStart
    | PageRead
    | ItemRead
    | Problem
    | DocumentEnd
    | Rejected
    | UnitFailed
    | Idle
)


@dataclass(frozen=True, slots=True)
class _Over:
    """A unit is done."""


@dataclass(frozen=True)
class _Order:
    units: Sequence[Unit]
    corpus: str
    lanes: int
    wanted: Callable[[DocumentStart], bool]
    lacking: Callable[[str], bool]


class ReaderPool:
    """Reads units with `settings.workers` processes; pictures are kept in the folder `assets`.

    A context manager, used by one thread. Raises `UniragError` where no process can be started.
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
    ) -> Iterator[Event]:
        """What is in `units`, in their order.

        `wanted` decides whether a document is read; `lacking`, whether the picture of a digest,
        which the assets hold already, is decoded again. Both are called in other threads.
        """
        n = self._settings.workers or _worth(units)
        while len(self._lanes) < n:
            self._lanes.append(_Lane(len(self._lanes), self._settings, self._worker, self._closed))
        lanes = self._lanes[:n]
        for lane in lanes:
            lane.orders.put(_Order(units, corpus, n, wanted, lacking))
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

    def _worker(self) -> _Worker:
        limit = str(self._settings.file_megabytes)
        command = [*self._command, str(os.getpid()), limit, str(self._assets)]
        return _Worker(command, self._temporary, self._settings)

    def _watching(self) -> None:
        while not self._closed.wait(_TICK):
            for lane in self._lanes:
                if worker := lane.worker:
                    worker.check(time.monotonic())


def _worth(units: Sequence[Unit]) -> int:
    """As many as there are cores, for a megabyte or a folder each: one takes a while to start."""
    cores, size = _cores(), 0
    for unit in units:
        with suppress(OSError):  # its reader says so
            size += cores * _WORTH if unit.path.is_dir() else unit.path.stat().st_size
    return max(1, min(cores, size // _WORTH))


def _cores() -> int:
    """Those that this process may use: a container has fewer than the machine."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
        start: Callable[[], _Worker],
        closed: threading.Event,
    ) -> None:
        self.orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self.worker: _Worker | None = None
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

    def _unit(self, order: _Order, unit: Unit, share: int) -> None:
        after = 0
        while not self._closed.is_set():
            if self.worker is None:
                self.worker = self._start()
                self.worker.ready()
            request = {
                "path": str(unit.path.absolute()),
                "root": str(unit.root.absolute()),
                "source": unit.source,
                "many": unit.many,
                "share": [share, order.lanes if unit.many else 1],
                "after": after,
                "corpus": order.corpus,
            }
            talk = _Talk(self.worker, order, self._put, after)
            try:
                talk.over(request)
                self._put(_Over())
                return
            except _Gone as gone:
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
        self, worker: _Worker, order: _Order, put: Callable[..., None], after: int
    ) -> None:
        self._worker, self._order, self._put = worker, order, put
        self.source: str | None = None
        self.number = after - 1

    def over(self, request: dict[str, Any]) -> None:
        """Raises `_Gone` where the process ends before the unit does."""
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

    def _begin(self, head: dict[str, Any], number: int) -> None:
        self.number = number
        start = DocumentStart(**{**head, "pictures": frozenset(map(Path, head["pictures"]))})
        wanted = self._order.wanted(start)
        if wanted:
            self.source = start.source
        self._put(replace(start, wanted=wanted))
        self._worker.begin()
        self._worker.tell(int(wanted))


def _not_started(error: Exception) -> UniragError:
    return UniragError(
        f"no process can be started to read documents ({error}); run `unirag doctor`"
    )


class _Closed(Exception):
    """The pool is being closed."""


class _Gone(Exception):
    """The process has ended, for the reason given."""


class _Worker:
    """A process that reads. Its time counts only while somebody waits for its answer."""

    def __init__(self, command: Sequence[str], temporary: Path, settings: ReadingSettings) -> None:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._settings = settings
        self._lock = threading.Lock()
        self._since: float | None = None
        self._spent = 0.0
        self._late = ""
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=_ROOT,  # where `data` is this package, whatever folder the user is in
                env={**os.environ, **threads, "TMPDIR": str(temporary)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        except OSError as error:
            raise _not_started(error) from None

    def ready(self) -> None:
        """Returns once it can be asked, however long that takes on a busy machine."""
        try:
            self.hear(limited=False)
        except _Gone as gone:
            raise _not_started(gone) from None

    def begin(self) -> None:
        """Another document: what was spent on those before no longer counts."""
        self._spent = 0.0

    def tell(self, message: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._gone() from None

    def hear(self, limited: bool = True) -> tuple[dict[str, Any], bytes]:
        """Its next message with the bytes behind it. Raises `_Gone` where it has ended."""
        assert self._process.stdout is not None
        began = time.monotonic()
        with self._lock:
            self._since = began if limited else None
        line = self._process.stdout.readline()
        whole = line.endswith(b"\n")
        message = json.loads(line) if whole else {}
        size = message.get("bytes", 0)
        pixels = self._process.stdout.read(size) if size else b""
        with self._lock:
            self._spent += time.monotonic() - began
            self._since = None
        if self._late or not whole or len(pixels) < size:
            raise self._gone()
        return message, pixels

    def check(self, now: float) -> None:
        """Kill it where it is over its time."""
        limits = self._settings
        with self._lock:
            if self._since is None or self._late:
                return
            silent = now - self._since
            if silent > limits.stall_seconds:
                said = f"its reader gave nothing for {limits.stall_seconds:g} s"
                key = "stall_seconds"
            elif self._spent + silent > limits.file_seconds:
                said = f"reading it took longer than {limits.file_seconds:g} s"
                key = "file_seconds"
            else:
                return
            self._late = (
                f"{said}; open it and save it again, or raise reading.{key} and index with "
                "--retry-failed"
            )
            self._process.kill()

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # bytes were left that it no longer takes
                pipe.close()
        self._process.wait()

    def _gone(self) -> _Gone:
        if self._late:
            return _Gone(self._late)
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:  # its pipe is shut, but it lives
            self._process.kill()
            code = self._process.wait()
        how = f"signal {signal.strsignal(-code)}" if code < 0 else f"exit code {code}"
        return _Gone(
            f"its reader came to a sudden end ({how}), perhaps for want of memory; open it and "
            "save it again"
        )
