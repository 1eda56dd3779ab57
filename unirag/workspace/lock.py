"""A lock that one process at a time holds, with a note beside it of who that is."""

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
    """In its process one thread holds it, which may take it again and gives it back as often.

    The system gives it back when the process dies, in whatever container of this machine it ran.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = FileLock(path)
        self._note = path.with_name(f"{path.name}.json")

    def take(self) -> bool:
        """Whether it is ours now. Does not wait."""
        try:
            self._file.acquire(timeout=0)
        except Timeout:
            return False
        who = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "command": " ".join(sys.argv[:3]),
            "since": time.time(),
        }
        with suppress(OSError):  # a full disk keeps nobody from reading what is there
            self._note.write_text(json.dumps(who))
        return True

    def give(self) -> None:
        """Back to the others; nothing where it is not ours."""
        if self._file.lock_counter == 1:
            self._note.unlink(missing_ok=True)
        self._file.release()

    def holder(self) -> str | None:
        """Who holds it, in words; None where it is free or ours."""
        if not self.path.parent.is_dir() or self._file.is_locked:
            return None
        try:
            with self._file.acquire(timeout=0):
                return None
        except Timeout:
            return self.noted()

    def noted(self) -> str:
        """Whoever took it last, in words."""
        try:
            who = json.loads(self._note.read_text())
            since = time.strftime("%H:%M:%S", time.localtime(who["since"]))
            where = "" if who["host"] == socket.gethostname() else f" on {who['host']}"
            return f"process {who['pid']}{where} ({who['command']}, since {since})"
        except (OSError, ValueError, KeyError):
            return "another process"
