"""A process that reads documents (`data/reading.py`), from the side of the one that asks it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from data.errors import UniragError

__all__ = ["Gone", "ReaderProcess", "ReadingSettings"]

_PIPE = 1 << 20  # bytes, where the system lets us choose: most pictures go through in one piece
_ROOT = Path(__file__).resolve().parent.parent


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
    file_megabytes: int = Field(1000, ge=100)


def _not_started(error: Exception) -> UniragError:
    return UniragError(
        f"no process can be started to read documents ({error}); run `unirag doctor`"
    )


class Gone(Exception):
    """The process has ended, for the reason given."""


class ReaderProcess:
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
                pipesize=_PIPE,
            )
        except OSError as error:
            raise _not_started(error) from None

    def ready(self) -> None:
        """Returns once it can be asked, however long that takes on a busy machine."""
        try:
            self.hear(limited=False)
        except Gone as gone:
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
        """Its next message with the bytes behind it. Raises `Gone` where it has ended."""
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

    def _gone(self) -> Gone:
        if self._late:
            return Gone(self._late)
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:  # its pipe is shut, but it lives
            self._process.kill()
            code = self._process.wait()
        how = f"signal {signal.strsignal(-code)}" if code < 0 else f"exit code {code}"
        return Gone(
            f"its reader came to a sudden end ({how}), perhaps for want of memory; open it and "
            "save it again, or raise reading.file_megabytes and index with --retry-failed"
        )
