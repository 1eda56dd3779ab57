"""SQLite files that threads of one process and processes of one machine have open at once."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

__all__ = ["connect"]

_PATIENCE = 30.0  # seconds for the writes of others, which take milliseconds


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """A connection in which every statement is a transaction, after `schema` has been run.

    A reader waits for nobody (WAL), a writer for its turn. Raises `sqlite3.Error`.
    """
    db = sqlite3.connect(path, timeout=_PATIENCE, check_same_thread=False, isolation_level=None)
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {schema}")
            return db
        except sqlite3.OperationalError as error:
            # SQLite itself does not wait where several make the same file at once
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                db.close()
                raise
            time.sleep(0.01)
