"""What was indexed: corpora, the fingerprint of each document, and what went wrong.

SQLite in the home folder. A document's row is written only after its items are stored, so a kill in
between costs a re-read of that document and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from unirag.database import Database

__all__ = ["Corpus", "Manifest", "Trouble"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS corpora (
    name TEXT PRIMARY KEY, root TEXT NOT NULL, licence TEXT NOT NULL, attribution TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS documents (
    corpus TEXT NOT NULL, source TEXT NOT NULL, fingerprint TEXT NOT NULL, title TEXT NOT NULL,
    figures INTEGER NOT NULL, passages INTEGER NOT NULL, indexed_at REAL NOT NULL,
    PRIMARY KEY (corpus, source)
);
CREATE TABLE IF NOT EXISTS troubles (
    corpus TEXT NOT NULL, source TEXT NOT NULL, anchor TEXT NOT NULL, message TEXT NOT NULL,
    dead INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS troubles_by_source ON troubles (corpus, source);
"""


@dataclass(frozen=True, slots=True)
class Corpus:
    name: str
    root: str
    licence: str = ""
    attribution: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What was left out, and why. `dead`: the whole document, a dead letter."""

    source: str
    anchor: str
    message: str
    dead: bool


class Manifest:
    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA, "the manifest", "index again")

    def corpora(self) -> list[Corpus]:
        rows = self._db.rows("SELECT name, root, licence, attribution FROM corpora ORDER BY name")
        return [Corpus(*row) for row in rows]

    def corpus(self, name: str) -> Corpus | None:
        return next((c for c in self.corpora() if c.name == name), None)

    def put_corpus(self, corpus: Corpus) -> None:
        self._db.run(
            "INSERT OR REPLACE INTO corpora VALUES (?, ?, ?, ?)",
            corpus.name,
            corpus.root,
            corpus.licence,
            corpus.attribution,
        )

    def remove_corpus(self, name: str) -> None:
        for table, column in (("documents", "corpus"), ("troubles", "corpus"), ("corpora", "name")):
            self._db.run(f"DELETE FROM {table} WHERE {column} = ?", name)  # noqa: S608 - constants

    def fingerprints(self, corpus: str) -> dict[str, str]:
        """The stored fingerprint of each source."""
        return dict(
            self._db.rows("SELECT source, fingerprint FROM documents WHERE corpus = ?", corpus)
        )

    def put_document(
        self, corpus: str, source: str, fingerprint: str, title: str, figures: int, passages: int
    ) -> None:
        self._db.run(
            "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
            corpus,
            source,
            fingerprint,
            title,
            figures,
            passages,
            time.time(),
        )

    def remove_document(self, corpus: str, source: str) -> None:
        self._db.run("DELETE FROM documents WHERE corpus = ? AND source = ?", corpus, source)
        self._db.run("DELETE FROM troubles WHERE corpus = ? AND source = ?", corpus, source)

    def put_troubles(self, corpus: str, source: str, troubles: Iterable[Trouble]) -> None:
        """Replace what is known of a source."""
        with self._db.transaction() as db:
            db.execute("DELETE FROM troubles WHERE corpus = ? AND source = ?", (corpus, source))
            db.executemany(
                "INSERT INTO troubles VALUES (?, ?, ?, ?, ?)",
                [(corpus, t.source, t.anchor, t.message, t.dead) for t in troubles],
            )

    def troubles(self, corpus: str) -> list[Trouble]:
        rows = self._db.rows(
            "SELECT source, anchor, message, dead FROM troubles WHERE corpus = ? ORDER BY rowid",
            corpus,
        )
        return [Trouble(s, a, m, bool(d)) for s, a, m, d in rows]

    def counts(self, corpus: str) -> dict[str, int]:
        row = self._db.rows(
            "SELECT COUNT(*), COALESCE(SUM(figures), 0), COALESCE(SUM(passages), 0) "
            "FROM documents WHERE corpus = ?",
            corpus,
        )[0]
        return {"documents": row[0], "figures": row[1], "passages": row[2]}

    def close(self) -> None:
        self._db.close()
