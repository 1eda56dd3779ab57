"""The home folder: what lies where, and one process at a time in it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from data.errors import BadInput, Busy

__all__ = ["Home"]


class Home:
    """Paths below `root`. `open()` makes the folder and takes its lock; `close()` gives it back.

    The embedded store belongs to one process. A second one gets `Busy`, which says who holds it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser()
        self._lock = FileLock(self.root / "lock")

    @property
    def assets(self) -> Path:
        return self.root / "assets"

    @property
    def collection(self) -> Path:
        return self.root / "collection"

    @property
    def styles(self) -> Path:
        return self.root / "styles"

    @property
    def sources(self) -> Path:
        """Material that was uploaded, a folder for each corpus."""
        return self.root / "sources"

    @property
    def uploads(self) -> Path:
        """Pictures that conversations were asked with."""
        return self.root / "uploads"

    @property
    def conversations(self) -> Path:
        return self.root / "conversations.db"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs.db"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.db"

    @property
    def labels(self) -> Path:
        return self.root / "labels.db"

    def open(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            who = {"pid": os.getpid(), "command": " ".join(sys.argv[:3]), "since": time.time()}
            self._note.write_text(json.dumps(who))
        except Timeout:
            raise Busy(
                f"{self.root} is in use by {self.holder() or 'another process'}; wait for it or "
                "stop it, use another --home, or share a Qdrant server through UNIRAG_QDRANT_URL"
            ) from None
        except OSError as error:
            self._lock.release()
            raise BadInput(
                f"--home {self.root}: cannot be used as a folder ({error.strerror}); "
                "expected a folder that can be written"
            ) from None

    def close(self) -> None:
        if self._lock.is_locked:
            self._note.unlink(missing_ok=True)
            self._lock.release()

    def holder(self) -> str | None:
        """Who holds the lock, in words; None where it is free or ours."""
        if not self.root.is_dir() or self._lock.is_locked:
            return None
        try:
            with self._lock.acquire(timeout=0):
                return None
        except Timeout:
            pass
        try:
            who = json.loads(self._note.read_text())
            since = time.strftime("%H:%M:%S", time.localtime(who["since"]))
            return f"process {who['pid']} ({who['command']}, since {since})"
        except (OSError, ValueError, KeyError):
            return "another process"

    @property
    def _note(self) -> Path:
        return self.root / "holder.json"
