"""SQLite files that several threads and processes of one machine have open at the same time."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.errors import UniragError

__all__ = ["Database", "connect"]

_WAIT_SECONDS = 30.0  # limit of waiting for other writers, which take milliseconds


class Database:
    """A SQLite file whose committed writes survive a kill. Safe to call from several threads.

    Statements run one at a time: there are only a few writes a second. `name` and `remedy` go into
    the error message when the file is unusable. Raises `UniragError` instead of `sqlite3.Error`.
    """

    def __init__(self, path: Path, schema: str, name: str, remedy: str) -> None:
        self._path, self._name, self._remedy = path, name, remedy
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error.strerror) from None
        with self._errors():
            self._connection = connect(path, schema)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute one statement and return all its rows."""
        with self._errors(), self._lock:
            return self._connection.execute(sql, values).fetchall()

    def execute(self, sql: str, *values: object) -> int:
        """Execute one statement and return the number of changed rows."""
        with self._errors(), self._lock:
            return self._connection.execute(sql, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit every statement of the body, or none if the body raises."""
        with self._errors(), self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _unusable(self, reason: object) -> UniragError:
        return UniragError(
            f"{self._path}: {self._name} cannot be used ({reason}); free some disk space or, if "
            f"the file is damaged, move it away and {self._remedy}"
        )


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """Open a connection in which every statement is a transaction, and run `schema`.

    Readers do not wait (WAL); writers wait for each other. Raises `sqlite3.Error`.
    """
    connection = sqlite3.connect(
        path, timeout=_WAIT_SECONDS, check_same_thread=False, isolation_level=None
    )
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.executescript(
                f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {schema}"
            )
            return connection
        except sqlite3.OperationalError as error:
            # SQLite's own timeout does not apply while several processes create the same file.
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                connection.close()
                raise
            time.sleep(0.01)
