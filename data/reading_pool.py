"""Read documents in several processes at once, each file within limits of time and memory.

If a file hangs or crashes its reader, or takes too much memory, only this file is lost: a new
process reads the next one. Events come in the order of the units, even if a later unit is finished
first, so results do not depend on timing. A process reads a few events ahead and then waits.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from data.cpu_cores import count_cores
from data.readers.scan import Rejected, Unit
from data.reading_events import Count, DocumentEnd, DocumentStart, Event
from data.reading_lane import READER_COMMAND, ReadingJob, ReadingLane, UnitDone
from data.reading_settings import ReadingSettings

__all__ = ["ReaderPool"]

_BYTES_PER_PROCESS = 1_000_000  # starting a process takes as long as reading about this much


class ReaderPool:
    """Read units with `settings.workers` processes; pictures are stored in the folder `assets`.

    A context manager for one thread. Raises `UniragError` if no process can be started and
    `OSError` if pictures cannot be stored.
    """

    def __init__(
        self,
        settings: ReadingSettings,
        assets: Path,
        command: Sequence[str] = READER_COMMAND,
    ) -> None:
        self._settings, self._command = settings, command
        self._assets = assets.absolute()
        self._temporary_folder = Path(tempfile.mkdtemp(prefix="unirag-"))
        self._closed = threading.Event()
        self._lanes: list[ReadingLane] = []

    def read(
        self,
        units: Sequence[Unit],
        corpus: str,
        select: Callable[[DocumentStart], bool],
        decode_again: Callable[[str], bool],
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Event]:
        """Yield the events of the units, in their order.

        `select` decides whether to read a document. `decode_again` decides whether to decode the
        picture of a digest that the assets hold already. Both are called in other threads.
        `share` (number, count) divides the documents of a container among machines: this one reads
        every `count`-th document, starting at `number`.
        """
        workers = self._settings.workers or _useful_workers(units)
        while len(self._lanes) < workers:
            self._lanes.append(self._new_lane())
        lanes = self._lanes[:workers]
        for lane in lanes:
            lane.submit(ReadingJob(units, corpus, workers, share, select, decode_again))
        for number, unit in enumerate(units):
            yield from _merged(lanes if unit.is_container else [lanes[number % workers]])

    def close(self) -> None:
        """Kill every process, even while it is reading."""
        self._closed.set()
        for lane in self._lanes:
            lane.close()
        shutil.rmtree(self._temporary_folder, ignore_errors=True)

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _new_lane(self) -> ReadingLane:
        return ReadingLane(
            len(self._lanes),
            self._settings,
            self._assets,
            self._temporary_folder,
            self._command,
            self._closed,
        )


def _useful_workers(units: Sequence[Unit]) -> int:
    """Return the number of processes: one per megabyte, at most one per core.

    A folder counts as enough work for every core.
    """
    cores, size = count_cores(), 0
    for unit in units:
        with suppress(OSError):  # the reader reports it
            size += cores * _BYTES_PER_PROCESS if unit.path.is_dir() else unit.path.stat().st_size
    return max(1, min(cores, size // _BYTES_PER_PROCESS))


def _merged(lanes: Sequence[ReadingLane]) -> Iterator[Event]:
    """Yield the events of a unit, one document from each lane in turn, as the lanes share it."""
    waiting = deque(lanes)
    while waiting:
        lane = waiting.popleft()
        while True:
            event = lane.next_event()
            if isinstance(event, UnitDone):
                break
            if not isinstance(event, Count) or lane is lanes[0]:
                yield event
            if _ends_document(event):
                waiting.append(lane)
                break


def _ends_document(event: Event) -> bool:
    if isinstance(event, DocumentStart):
        return not event.selected
    return isinstance(event, DocumentEnd | Rejected)
