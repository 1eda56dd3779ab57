"""Test SQLite files that several connections share: waiting for each other, and bad files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from data.errors import UniragError
from data.sqlite import Database, connect

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (n)"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process, in the middle of creating the file."""
    connection = sqlite3.connect(tmp_path / "new.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE other (x)")
    yield connection
    connection.close()


def test_connect_waits_for_another_process_that_creates_the_file(
    tmp_path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.sqlite.time.sleep", lambda _: other.execute("COMMIT"))
    connection = connect(tmp_path / "new.db", SCHEMA)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("SELECT COUNT(*) FROM numbers, other").fetchone() == (0,)
    connection.close()


def test_connect_does_not_wait_for_ever(
    tmp_path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.sqlite._WAIT_SECONDS", 0.05)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        connect(tmp_path / "new.db", SCHEMA)


def test_a_file_that_is_not_a_database_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "new.db").write_bytes(b"words" * 99)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        connect(tmp_path / "new.db", SCHEMA)
    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        connect(tmp_path / "other.db", "CREATE nonsense")


def test_a_transaction_is_committed_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    database = Database(tmp_path / "new.db", SCHEMA, "the list of numbers", "count again")
    with database.transaction() as connection:
        connection.execute("INSERT INTO numbers VALUES (1)")
    with suppress(KeyError), database.transaction() as connection:
        connection.execute("INSERT INTO numbers VALUES (2)")
        raise KeyError
    assert database.execute("UPDATE numbers SET n = n + 2") == 1
    assert database.rows("SELECT n FROM numbers WHERE n > ?", 0) == [(3,)]
    message = r"new\.db: the list of numbers cannot be used \(no such table.*and count again$"
    with pytest.raises(UniragError, match=message):
        database.rows("SELECT n FROM letters")
    database.close()
