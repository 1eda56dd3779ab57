"""The journal of what is indexed: corpora, the state of each document, and what went wrong.

SQLite in the home folder. A document goes from `queued` over `read` and `encoded` to `stored`, or
to `failed`. It is `stored` only after its items are in the store, so a kill in between costs a
re-read of that document and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from unirag.workspace.database import Database

__all__ = ["Catalog", "Corpus", "Covered", "Document", "Entry", "State", "Stored", "Trouble"]

State = Literal["queued", "read", "encoded", "stored", "failed"]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS corpora (
    name TEXT PRIMARY KEY, root TEXT NOT NULL, licence TEXT NOT NULL, attribution TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS documents (
    corpus TEXT NOT NULL, source TEXT NOT NULL, fingerprint TEXT NOT NULL,
    title TEXT NOT NULL, figures INTEGER NOT NULL, passages INTEGER NOT NULL,
    indexed_at REAL NOT NULL, state TEXT NOT NULL, seen TEXT NOT NULL, reason TEXT NOT NULL,
    changed_at REAL NOT NULL, PRIMARY KEY (corpus, source)
);
CREATE TABLE IF NOT EXISTS troubles (
    corpus TEXT NOT NULL, source TEXT NOT NULL, anchor TEXT NOT NULL, message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS troubles_by_source ON troubles (corpus, source);
"""
_MARK = """
INSERT INTO documents
    (corpus, source, fingerprint, title, figures, passages, indexed_at,
     state, seen, reason, changed_at)
VALUES (?, ?, '', '', 0, 0, 0, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET state = excluded.state, seen = excluded.seen, reason = excluded.reason,
    changed_at = excluded.changed_at
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


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal says of a source.

    `fingerprint` is that of what is stored, empty where nothing is. `seen` is the fingerprint that
    `state` and `reason` speak of. `changed_at` is in seconds since 1970.
    """

    fingerprint: str
    state: State
    seen: str
    reason: str
    changed_at: float


@dataclass(frozen=True, slots=True)
class Stored:
    """A document whose items are in the store, and what was left out of it."""

    source: str
    fingerprint: str
    title: str
    figures: int
    passages: int
    troubles: Sequence[Trouble] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A row of the journal as it is, for another home; times are in seconds since 1970."""

    source: str
    fingerprint: str
    title: str
    figures: int
    passages: int
    indexed_at: float
    state: State
    seen: str
    reason: str
    changed_at: float
    left_out: tuple[tuple[str, str], ...] = ()  # where, and why


@dataclass(frozen=True, slots=True)
class Covered:
    """What was taken from a document, and what was not.

    `figures` and `passages` are stored, of an earlier version where `state` is not `stored`.
    `reason` says why a `failed` one could not be read; `left_out` are parts of a stored one, each
    with its place in it and why.
    """

    source: str
    title: str
    state: State
    figures: int
    passages: int
    reason: str
    left_out: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        parts = [{"anchor": anchor, "message": message} for anchor, message in self.left_out]
        return {**asdict(self), "left_out": parts}


class Catalog:
    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA, "the catalog", "index again")

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
        """The fingerprint of each source that is stored."""
        journal = self.journal(corpus)
        return {source: entry.fingerprint for source, entry in journal.items() if entry.fingerprint}

    def journal(self, corpus: str) -> dict[str, Entry]:
        """What is known of each source, stored or not."""
        rows = self._db.rows(
            "SELECT source, fingerprint, state, seen, reason, changed_at FROM documents "
            "WHERE corpus = ?",
            corpus,
        )
        return {source: Entry(*rest) for source, *rest in rows}

    def mark(self, corpus: str, state: State, seen: Iterable[tuple[str, str]]) -> None:
        """Sources, each with the fingerprint that was seen, are in `state` from now on."""
        with self._db.transaction() as db:
            now = time.time()
            db.executemany(_MARK, [(corpus, source, state, s, "", now) for source, s in seen])

    def fail(self, corpus: str, source: str, seen: str, reason: str) -> None:
        """A dead letter. What is stored of the source, and what is known of that, stays."""
        self._db.run(_MARK, corpus, source, "failed", seen, reason, time.time())

    def put_documents(self, corpus: str, documents: Iterable[Stored]) -> None:
        """All of them are in the store; what was known of each is replaced."""
        documents = list(documents)
        now = time.time()
        with self._db.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO documents (corpus, source, fingerprint, title, figures, "
                "passages, indexed_at, state, seen, reason, changed_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'stored', ?, '', ?)",
                [
                    (
                        corpus,
                        d.source,
                        d.fingerprint,
                        d.title,
                        d.figures,
                        d.passages,
                        now,
                        d.fingerprint,
                        now,
                    )
                    for d in documents
                ],
            )
            db.executemany(
                "DELETE FROM troubles WHERE corpus = ? AND source = ?",
                [(corpus, d.source) for d in documents],
            )
            db.executemany(
                "INSERT INTO troubles VALUES (?, ?, ?, ?)",
                [(corpus, t.source, t.anchor, t.message) for d in documents for t in d.troubles],
            )

    def documents(self, corpus: str) -> list[Document]:
        """The whole journal of a corpus."""
        left_out: dict[str, list[tuple[str, str]]] = {}
        for trouble in self.troubles(corpus):
            if not trouble.dead:
                left_out.setdefault(trouble.source, []).append((trouble.anchor, trouble.message))
        rows = self._db.rows(
            "SELECT source, fingerprint, title, figures, passages, indexed_at, state, seen, reason,"
            " changed_at FROM documents WHERE corpus = ? ORDER BY source",
            corpus,
        )
        documents = [Document(*row) for row in rows]
        return [replace(d, left_out=tuple(left_out.get(d.source, ()))) for d in documents]

    def restore(self, corpus: Corpus, documents: Sequence[Document]) -> None:
        """Replace a corpus and its journal, at once or not at all."""
        name = corpus.name
        with self._db.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO corpora VALUES (?, ?, ?, ?)",
                (name, corpus.root, corpus.licence, corpus.attribution),
            )
            db.execute("DELETE FROM documents WHERE corpus = ?", (name,))
            db.execute("DELETE FROM troubles WHERE corpus = ?", (name,))
            db.executemany(
                "INSERT INTO documents (corpus, source, fingerprint, title, figures, passages, "
                "indexed_at, state, seen, reason, changed_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        name,
                        d.source,
                        d.fingerprint,
                        d.title,
                        d.figures,
                        d.passages,
                        d.indexed_at,
                        d.state,
                        d.seen,
                        d.reason,
                        d.changed_at,
                    )
                    for d in documents
                ],
            )
            db.executemany(
                "INSERT INTO troubles VALUES (?, ?, ?, ?)",
                [(name, d.source, *pair) for d in documents for pair in d.left_out],
            )

    def read_again(self, corpus: str, sources: Iterable[str]) -> None:
        """The next run takes these for changed, for no content has the fingerprint they get."""
        with self._db.transaction() as db:
            db.executemany(
                "UPDATE documents SET fingerprint = 'to be read again' "
                "WHERE corpus = ? AND source = ? AND fingerprint != ''",
                [(corpus, source) for source in sources],
            )

    def remove_documents(self, corpus: str, sources: Iterable[str]) -> None:
        with self._db.transaction() as db:
            for source in sources:
                for table in ("documents", "troubles"):
                    db.execute(
                        f"DELETE FROM {table} WHERE corpus = ? AND source = ?",  # noqa: S608 - constants
                        (corpus, source),
                    )

    def troubles(self, corpus: str) -> list[Trouble]:
        """Dead letters, then what was left out of documents that are stored."""
        dead = self._db.rows(
            "SELECT source, reason FROM documents WHERE corpus = ? AND state = 'failed' "
            "ORDER BY source",
            corpus,
        )
        left_out = self._db.rows(
            "SELECT source, anchor, message FROM troubles WHERE corpus = ? ORDER BY rowid", corpus
        )
        return [Trouble(s, "", reason, dead=True) for s, reason in dead] + [
            Trouble(s, anchor, message, dead=False) for s, anchor, message in left_out
        ]

    def coverage(self, corpus: str, limit: int, offset: int = 0) -> list[Covered]:
        """Documents: first those that need a look, then by source.

        A look need those that could not be read or were not read to their end, those of which
        parts were left out, and those that gave nothing.
        """
        rows = self._db.rows(
            "SELECT source, title, state, figures, passages, reason FROM documents AS d "
            "WHERE corpus = ? ORDER BY state = 'stored', NOT EXISTS (SELECT 1 FROM troubles AS t "
            "WHERE t.corpus = d.corpus AND t.source = d.source), "
            "figures + passages > 0, source LIMIT ? OFFSET ?",
            corpus,
            limit,
            offset,
        )
        parts: dict[str, list[tuple[str, str]]] = {source: [] for source, *_ in rows}
        for trouble in self.troubles(corpus):
            if not trouble.dead and trouble.source in parts:
                parts[trouble.source].append((trouble.anchor, trouble.message))
        return [Covered(s, *rest, tuple(parts[s])) for s, *rest in rows]  # type: ignore[call-arg]

    def tally(self, corpus: str) -> dict[str, int]:
        """How many documents the journal has, how many of them failed, and how many were cut."""
        row = self._db.rows(
            "SELECT COUNT(*), COALESCE(SUM(state = 'failed'), 0), "
            "COALESCE(SUM(state NOT IN ('failed', 'stored')), 0) FROM documents WHERE corpus = ?",
            corpus,
        )[0]
        cut = self._db.rows("SELECT COUNT(DISTINCT source) FROM troubles WHERE corpus = ?", corpus)[
            0
        ][0]
        return {"total": row[0], "failed": row[1], "unfinished": row[2], "cut": cut}

    def counts(self, corpus: str) -> dict[str, int]:
        row = self._db.rows(
            "SELECT COUNT(*), COALESCE(SUM(figures), 0), COALESCE(SUM(passages), 0) "
            "FROM documents WHERE corpus = ? AND fingerprint != ''",
            corpus,
        )[0]
        return {"documents": row[0], "figures": row[1], "passages": row[2]}

    def close(self) -> None:
        self._db.close()
