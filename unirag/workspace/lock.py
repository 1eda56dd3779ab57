"""A lock between processes, with a note that says which process holds it."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["Lock"]


class Lock:
    """A lock file that one thread of one process holds at a time.

    The same thread may acquire the lock again and must release it as often. The operating system
    releases it when the process dies, also across containers on one machine.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = FileLock(path)
        self._note = path.with_name(f"{path.name}.json")

    def acquire(self) -> bool:
        """Try to acquire the lock without waiting. Return whether it worked."""
        try:
            self._file.acquire(timeout=0)
        except Timeout:
            return False
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "command": " ".join(sys.argv[:3]),
            "since": time.time(),
        }
        with suppress(OSError):  # the lock must work on a full disk too
            self._note.write_text(json.dumps(holder))
        return True

    def release(self) -> None:
        """Release the lock. Do nothing if this thread does not hold it."""
        if self._file.lock_counter == 1:
            self._note.unlink(missing_ok=True)
        self._file.release()

    def holder(self) -> str | None:
        """Describe the other process that holds the lock. Return None if there is none."""
        if not self.path.parent.is_dir() or self._file.is_locked:
            return None
        try:
            with self._file.acquire(timeout=0):
                return None
        except Timeout:
            return self.last_holder()

    def last_holder(self) -> str:
        """Describe the process that acquired the lock last."""
        try:
            holder = json.loads(self._note.read_text())
            since = time.strftime("%H:%M:%S", time.localtime(holder["since"]))
            host = "" if holder["host"] == socket.gethostname() else f" on {holder['host']}"
            return f"process {holder['pid']}{host} ({holder['command']}, since {since})"
        except (OSError, ValueError, KeyError):
            return "another process"
