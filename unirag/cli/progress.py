"""Progress on stderr: a bar on a terminal, a line every 30 seconds in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from unirag.cli.output import err, plain

__all__ = ["ProgressDisplay", "show_progress"]

LINE_SECONDS = 30.0


class ProgressDisplay:
    """One task with its count, total and a detail in words."""

    def update(
        self,
        completed: int,
        total: int | None,
        detail: str = "",
        description: str | None = None,
    ) -> None:
        """Show how far the task is. `total` is None until it is known."""

    def stop(self) -> None:
        """Stop showing, so that a message can be printed."""


class _Bar(ProgressDisplay):
    """A bar that is redrawn in place."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def update(
        self,
        completed: int,
        total: int | None,
        detail: str = "",
        description: str | None = None,
    ) -> None:
        fields = {"completed": completed, "total": total, "detail": detail}
        if description is not None:
            fields["description"] = description
        self._bar.update(self._task, **fields)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._bar.stop()


@dataclass
class _Lines(ProgressDisplay):
    """A line every `LINE_SECONDS`, even if there was no progress."""

    description: str
    started: float = field(default_factory=time.monotonic)
    completed: int = 0
    total: int | None = None
    detail: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)

    def update(
        self,
        completed: int,
        total: int | None,
        detail: str = "",
        description: str | None = None,
    ) -> None:
        self.completed, self.total, self.detail = completed, total, detail
        self.description = description or self.description

    def stop(self) -> None:
        self.stopped.set()

    def line(self) -> str:
        """Return the present state in words."""
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        count = f"{self.completed}" + (f" of {self.total}" if self.total else "")
        detail = f"; {self.detail}" if self.detail else ""
        return f"{self.description}: {count} after {minutes}:{seconds:02}{detail}"

    def print_until_stopped(self) -> None:
        """Print lines until `stop` is called."""
        while not self.stopped.wait(LINE_SECONDS):
            err.print(plain(self.line()), soft_wrap=True)


@contextmanager
def show_progress(description: str) -> Iterator[ProgressDisplay]:
    """Show the progress of a task on stderr while the block runs."""
    if err.is_terminal:
        with _rich_progress() as bar:
            yield _Bar(bar, bar.add_task(description, total=None, detail=""))
        return
    lines = _Lines(description)
    printer = threading.Thread(target=lines.print_until_stopped, name="progress", daemon=True)
    printer.start()
    try:
        yield lines
    finally:
        lines.stop()
        printer.join()


def _rich_progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
    )
