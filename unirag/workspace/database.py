"""A SQLite file of the workspace: one connection behind a lock, with errors of the project."""

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
    """A SQLite file whose committed writes survive a kill. Safe to call from several threads.

    Statements run one at a time: there are only a few writes a second. `name` and `remedy` go into
    the error message when the file is unusable. Raises `UniragError` instead of `sqlite3.Error`.
    """

    def __init__(self, path: Path, schema: str, name: str, remedy: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._name, self._remedy = path, name, remedy
        self._lock = threading.Lock()
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
        self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UniragError(
                f"{self._path}: {self._name} cannot be used ({error}); free some disk space or, if "
                f"the file is damaged, move it away and {self._remedy}"
            ) from None
