"""A SQLite file in the home folder: one connection, behind a lock, with errors of ours."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.errors import UniragError
from data.sqlite import connect

__all__ = ["Database"]


class Database:
    """Serialised by a lock, for writes are a few a second; what returned survives a kill.

    `what` names the file and `remedy` says what to do without it, where it cannot be used.
    """

    def __init__(self, path: Path, schema: str, what: str, remedy: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._what, self._remedy = path, what, remedy
        self._lock = threading.Lock()
        with self._errors():
            self._db = connect(path, schema)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._errors(), self._lock:
            return self._db.execute(sql, values).fetchall()

    def run(self, sql: str, *values: object) -> int:
        """One statement; how many rows it changed."""
        with self._errors(), self._lock:
            return self._db.execute(sql, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is executed on the connection, or nothing."""
        with self._errors(), self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UniragError(
                f"{self._path}: {self._what} cannot be used ({error}); free some room on the "
                f"disk, or, where the file is damaged, move it away and {self._remedy}"
            ) from None
