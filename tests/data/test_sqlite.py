from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.sqlite import connect

MINE = "CREATE TABLE IF NOT EXISTS mine (x)"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process, in the middle of making the file."""
    made = sqlite3.connect(tmp_path / "new.db", isolation_level=None)
    made.execute("BEGIN IMMEDIATE")
    made.execute("CREATE TABLE other (x)")
    yield made
    made.close()


def test_who_makes_the_file_at_the_same_time_is_waited_for(
    tmp_path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.sqlite.time.sleep", lambda _: other.execute("COMMIT"))
    db = connect(tmp_path / "new.db", MINE)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("SELECT COUNT(*) FROM mine, other").fetchone() == (0,)
    db.close()


def test_but_not_for_ever(
    tmp_path: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.sqlite._PATIENCE", 0.05)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        connect(tmp_path / "new.db", MINE)


def test_what_is_no_database_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "new.db").write_bytes(b"words" * 99)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        connect(tmp_path / "new.db", MINE)
    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        connect(tmp_path / "other.db", "CREATE nonsense")
