"""Run code that may hang, crash or eat memory in a process that can be killed.

A crafted file can make a picture or PDF library do all three, and C code cannot be stopped from
another thread. `WorkerProcess` is the parent's end of the connection, `ParentConnection` the
worker's.

A worker is a command of its own: a fork would copy locks that other threads hold, and
multiprocessing's spawn would run the caller's main script again. A message is a line of JSON,
`[value, n]`, followed by n raw bytes, so that nothing from a worker is ever unpickled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

from data.errors import UniragError

__all__ = [
    "ParentConnection",
    "ParentGone",
    "WorkerGone",
    "WorkerProcess",
    "WorkerTimeout",
    "die_with_parent",
    "limit_memory",
]

_PIPE_BYTES = 1 << 20  # Linux only: most pictures fit in one pipe buffer
_CHECK_SECONDS = 0.5
_EXIT_SECONDS = 2.0  # a worker that closed its pipe should end within this time
_ROOT = Path(__file__).resolve().parent.parent
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

TimeLimit = Literal["message", "total"]


class WorkerGone(Exception):
    """The worker has ended. The message says how: "signal Killed" or "exit code 3"."""


class WorkerTimeout(WorkerGone):
    """The worker was killed because it exceeded the time limit `limit`."""

    def __init__(self, limit: TimeLimit) -> None:
        super().__init__(f"time limit ({limit})")
        self.limit = limit


class WorkerProcess:
    """Start a command in a process of its own and exchange messages with it, within time limits.

    The worker is killed if one message takes longer than `message_seconds`, or if all messages
    since `restart_clock` take longer than `total_seconds` together. The clock runs only while we
    wait for the worker. `task` completes "no process can be started to ..." in error messages.

    One thread at a time may send and receive; `kill` is safe to call from any thread. Raises
    `UniragError` if the command cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        task: str,
        message_seconds: float,
        total_seconds: float = float("inf"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._task = task
        self._message_seconds, self._total_seconds = message_seconds, total_seconds
        self._lock = threading.Lock()
        self._waiting_since: float | None = None
        self._spent_seconds = 0.0
        self._exceeded: TimeLimit | None = None
        self._closed = threading.Event()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=_ROOT,  # the worker imports this `data` package from any folder
                env={**os.environ, **_ONE_THREAD, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pipesize=_PIPE_BYTES,
            )
        except OSError as error:
            raise self._start_error(error) from None
        threading.Thread(target=self._watch, name="worker-clock", daemon=True).start()

    @property
    def pid(self) -> int:
        """The id of the worker process."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether the worker process still runs."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait for the worker's first message, without a time limit: machines can be busy.

        Raises `UniragError` if the worker ends first.
        """
        try:
            self.receive(limited=False)
        except WorkerGone as gone:
            raise self._start_error(gone) from None

    def restart_clock(self) -> None:
        """Restart the count of `total_seconds` at 0."""
        self._spent_seconds = 0.0

    def send(self, value: Any, data: bytes = b"") -> None:
        """Send a JSON value and bytes. Raises `WorkerGone` if the worker has ended."""
        assert self._process.stdin is not None
        try:
            with self._clock():
                _write(self._process.stdin, value, data)
        except OSError:
            raise self._gone() from None

    def receive(self, limited: bool = True) -> tuple[Any, bytes]:
        """Return the worker's next message: a JSON value and bytes.

        Raises `WorkerTimeout` if a time limit is exceeded, and `WorkerGone` if the worker ends.
        """
        assert self._process.stdout is not None
        with self._clock() if limited else nullcontext():
            message = _read(self._process.stdout)
        if message is None or self._exceeded:
            raise self._gone()
        return message

    def kill(self) -> None:
        """Kill the worker. A thread that waits for it gets `WorkerGone`."""
        self._process.kill()

    def close(self) -> None:
        """Kill the worker and release its pipes."""
        self._closed.set()
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # flushing may fail: the worker is dead
                pipe.close()
        self._process.wait()

    @contextmanager
    def _clock(self) -> Iterator[None]:
        start = time.monotonic()
        with self._lock:
            self._waiting_since = start
        try:
            yield
        finally:
            with self._lock:
                self._spent_seconds += time.monotonic() - start
                self._waiting_since = None

    def _watch(self) -> None:
        while not self._closed.wait(_CHECK_SECONDS):
            with self._lock:
                self._exceeded = self._exceeded_limit()
                if self._exceeded:
                    self._process.kill()
                    return

    def _exceeded_limit(self) -> TimeLimit | None:
        if self._waiting_since is None:
            return None
        waited = time.monotonic() - self._waiting_since
        if waited > self._message_seconds:
            return "message"
        return "total" if self._spent_seconds + waited > self._total_seconds else None

    def _gone(self) -> WorkerGone:
        if self._exceeded:
            return WorkerTimeout(self._exceeded)
        try:
            code = self._process.wait(timeout=_EXIT_SECONDS)
        except subprocess.TimeoutExpired:  # it closed its pipe but still runs
            self._process.kill()
            code = self._process.wait()
        return WorkerGone(f"signal {signal.strsignal(-code)}" if code < 0 else f"exit code {code}")

    def _start_error(self, error: Exception) -> UniragError:
        return UniragError(
            f"no process can be started to {self._task} ({error}); run `unirag doctor`"
        )


class ParentGone(BaseException):
    """The parent has closed the connection. Not an `Exception`: the file is not to blame."""


class ParentConnection:
    """The worker's end: receive requests on stdin, send answers on stdout.

    Whatever else writes to stdout from now on goes to stderr.
    """

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which ends us
        self._requests = sys.stdin.buffer
        self._answers = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def ready(self) -> None:
        """Tell the parent that the worker takes requests."""
        self.send("ready")

    def receive(self) -> tuple[Any, bytes]:
        """Return the next request: a JSON value and bytes. Raises `ParentGone` at the end."""
        message = _read(self._requests)
        if message is None:
            raise ParentGone
        return message

    def send(self, value: Any, data: bytes = b"") -> None:
        try:
            _write(self._answers, value, data)
        except OSError:
            raise ParentGone from None

    def confirm(self, value: Any) -> bool:
        """Send a question and return the parent's answer: yes or no."""
        self.send(value)
        return bool(self.receive()[0])


def limit_memory(additional_bytes: int) -> None:
    """Limit the address space to its present size plus `additional_bytes` (Linux only)."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + additional_bytes
    _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    if hard_limit == resource.RLIM_INFINITY or hard_limit > limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard_limit))


def die_with_parent(parent_pid: int) -> None:
    """Have the system kill us when the thread that started us ends, even in C code (Linux only)."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent_pid:  # the parent ended before the call
        sys.exit(0)


def _write(pipe: Any, value: Any, data: bytes) -> None:
    pipe.write(json.dumps([value, len(data)]).encode() + b"\n")
    pipe.write(data)
    pipe.flush()


def _read(pipe: BinaryIO | Any) -> tuple[Any, bytes] | None:
    """Return the next message, or None if the pipe ends before the message does."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        return None
    value, size = json.loads(line)
    data = pipe.read(size) if size else b""
    return (value, data) if len(data) == size else None
