"""The catalog: every corpus, the state of each document, and the problems met while reading.

A SQLite file in the workspace. A document goes through the states `queued`, `read`, `encoded` and
`stored`, or ends as `failed`. It becomes `stored` only after all its items are in the vector store,
so a kill in between costs a second reading of that document and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from data.documents import Problem, ProblemKind
from data.sqlite import Database

__all__ = [
    "Catalog",
    "CatalogDocument",
    "CatalogEntry",
    "Corpus",
    "DocumentCoverage",
    "DocumentProblem",
    "DocumentState",
    "StoredDocument",
]

DocumentState = Literal["queued", "read", "encoded", "stored", "failed"]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS corpora (
    name TEXT PRIMARY KEY, root TEXT NOT NULL, licence TEXT NOT NULL, attribution TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS documents (
    corpus TEXT NOT NULL, source TEXT NOT NULL, stored_fingerprint TEXT NOT NULL,
    title TEXT NOT NULL, figures INTEGER NOT NULL, passages INTEGER NOT NULL,
    indexed_at REAL NOT NULL, state TEXT NOT NULL, latest_fingerprint TEXT NOT NULL,
    reason TEXT NOT NULL, changed_at REAL NOT NULL, PRIMARY KEY (corpus, source)
);
CREATE TABLE IF NOT EXISTS problems (
    corpus TEXT NOT NULL, source TEXT NOT NULL, anchor TEXT NOT NULL, message TEXT NOT NULL,
    kind TEXT NOT NULL, page INTEGER
);
CREATE INDEX IF NOT EXISTS problems_by_source ON problems (corpus, source);
CREATE TABLE IF NOT EXISTS words (
    word TEXT NOT NULL, reversed TEXT NOT NULL, corpus TEXT NOT NULL, PRIMARY KEY (word, corpus)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS words_by_end ON words (reversed);
"""
_SET_STATE = """
INSERT INTO documents VALUES (?, ?, '', '', 0, 0, 0, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET state = excluded.state, latest_fingerprint = excluded.latest_fingerprint,
    reason = excluded.reason, changed_at = excluded.changed_at
"""
_SAVE_CORPUS = "INSERT OR REPLACE INTO corpora VALUES (?, ?, ?, ?)"
_SAVE_DOCUMENT = "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SAVE_PROBLEM = "INSERT INTO problems VALUES (?, ?, ?, ?, ?, ?)"
_SAVE_WORD = "INSERT OR IGNORE INTO words VALUES (?, ?, ?)"
# One slip leaves the start or the end of a word as it is.
_WORDS_LIKE = """
SELECT word FROM words WHERE word >= ? AND word < ? AND LENGTH(word) BETWEEN ? AND ?
UNION SELECT word FROM words WHERE reversed >= ? AND reversed < ? AND LENGTH(word) BETWEEN ? AND ?
"""
_LAST_CHARACTER = "\U0010ffff"
_NO_CONTENT = "to be read again"  # differs from every fingerprint


@dataclass(frozen=True, slots=True)
class Corpus:
    """A named set of documents below the folder or file `root`."""

    name: str
    root: str
    licence: str = ""
    attribution: str = ""


@dataclass(frozen=True, slots=True)
class DocumentProblem:
    """Something that could not be indexed, and why.

    A dead letter is a whole document that could not be read; `anchor` is then empty. Otherwise
    `anchor`, `kind` and `page` are those of the `Problem` with a part of the document.
    """

    source: str
    anchor: str
    message: str
    is_dead_letter: bool
    kind: ProblemKind = "part"
    page: int | None = None


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """The state of one document.

    `stored_fingerprint` identifies the content whose items are stored; it is empty if there are
    none. `latest_fingerprint` identifies the content that `state` and `reason` describe.
    `changed_at` is in seconds since 1970.
    """

    stored_fingerprint: str
    state: DocumentState
    latest_fingerprint: str
    reason: str
    changed_at: float


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document whose items are in the vector store, with the problems met while reading it.

    `words` are those that misspelt words of questions are compared with.
    """

    source: str
    fingerprint: str
    title: str
    figures: int
    passages: int
    problems: Sequence[DocumentProblem] = ()
    words: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class CatalogDocument:
    """Everything the catalog stores about one document, for export to another workspace.

    Fields are those of `CatalogEntry` and `StoredDocument`. Times are in seconds since 1970.
    """

    source: str
    stored_fingerprint: str
    title: str
    figures: int
    passages: int
    indexed_at: float
    state: DocumentState
    latest_fingerprint: str
    reason: str
    changed_at: float
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentCoverage:
    """How much of one document is indexed.

    `figures` and `passages` are stored; they belong to an earlier version of the document if
    `state` is not `stored`. `reason` says why a `failed` document could not be read. `problems` are
    the parts that are missing from a stored document.
    """

    source: str
    title: str
    state: DocumentState
    figures: int
    passages: int
    reason: str
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the coverage as JSON values."""
        return asdict(self)


class Catalog:
    """Reads and writes the catalog file. Safe to call from several threads and processes.

    Raises `UniragError` if the file is unusable.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA, "the catalog", "index again")

    def corpora(self) -> list[Corpus]:
        """Return every corpus, by name."""
        rows = self._db.rows("SELECT name, root, licence, attribution FROM corpora ORDER BY name")
        return [Corpus(*row) for row in rows]

    def corpus(self, name: str) -> Corpus | None:
        """Return the corpus of this name, or None."""
        return next((corpus for corpus in self.corpora() if corpus.name == name), None)

    def save_corpus(self, corpus: Corpus) -> None:
        """Add the corpus, or replace the one of the same name."""
        self._db.execute(_SAVE_CORPUS, *astuple(corpus))

    def remove_corpus(self, name: str) -> None:
        """Delete a corpus with all its documents."""
        for table in ("documents", "problems", "words"):
            self._db.execute(f"DELETE FROM {table} WHERE corpus = ?", name)  # noqa: S608 - constants
        self._db.execute("DELETE FROM corpora WHERE name = ?", name)

    def fingerprints(self, corpus: str) -> dict[str, str]:
        """Return the fingerprint of each stored document, by source."""
        entries = self.entries(corpus).items()
        return {
            source: entry.stored_fingerprint
            for source, entry in entries
            if entry.stored_fingerprint
        }

    def entries(self, corpus: str) -> dict[str, CatalogEntry]:
        """Return the state of each document of a corpus, by source."""
        rows = self._db.rows(
            "SELECT source, stored_fingerprint, state, latest_fingerprint, reason, changed_at "
            "FROM documents WHERE corpus = ?",
            corpus,
        )
        return {source: CatalogEntry(*fields) for source, *fields in rows}

    def set_state(
        self, corpus: str, state: DocumentState, fingerprints: Iterable[tuple[str, str]]
    ) -> None:
        """Set the state of documents, given as pairs of a source and its latest fingerprint."""
        now = time.time()
        with self._db.transaction() as db:
            db.executemany(
                _SET_STATE,
                [(corpus, source, state, latest, "", now) for source, latest in fingerprints],
            )

    def mark_failed(self, corpus: str, source: str, fingerprint: str, reason: str) -> None:
        """Make a document a dead letter. Items of an earlier version stay stored."""
        self._db.execute(_SET_STATE, corpus, source, "failed", fingerprint, reason, time.time())

    def save_documents(self, corpus: str, documents: Iterable[StoredDocument]) -> None:
        """Record that these documents are stored. Replace what was recorded about them before."""
        documents = list(documents)
        now = time.time()
        rows = [
            (
                *(corpus, d.source, d.fingerprint, d.title, d.figures, d.passages, now),
                *("stored", d.fingerprint, "", now),
            )
            for d in documents
        ]
        problems = [
            (corpus, p.source, p.anchor, p.message, p.kind, p.page)
            for document in documents
            for p in document.problems
        ]
        with self._db.transaction() as db:
            db.executemany(_SAVE_DOCUMENT, rows)
            db.executemany(
                "DELETE FROM problems WHERE corpus = ? AND source = ?",
                [(corpus, document.source) for document in documents],
            )
            db.executemany(_SAVE_PROBLEM, problems)
            words = {word for document in documents for word in document.words}
            db.executemany(_SAVE_WORD, _word_rows(corpus, words))

    def save_words(self, corpus: str, words: Iterable[str]) -> None:
        """Add words of a corpus that misspelt words of questions are compared with."""
        with self._db.transaction() as db:
            db.executemany(_SAVE_WORD, _word_rows(corpus, words))

    def words_like(self, word: str) -> list[str]:
        """Return every stored word that one slip may turn into `word`, and other ones.

        The words of documents that were removed since may be among them.
        """
        size = max(1, len(word) // 2 - 1)
        lengths = (len(word) - 1, len(word) + 1)
        start, end = word[:size], word[::-1][:size]
        rows = self._db.rows(
            _WORDS_LIKE,
            *(start, start + _LAST_CHARACTER, *lengths),
            *(end, end + _LAST_CHARACTER, *lengths),
        )
        return [row[0] for row in rows]

    def documents(self, corpus: str) -> list[CatalogDocument]:
        """Return everything about each document of a corpus, by source."""
        rows = self._db.rows(
            "SELECT source, stored_fingerprint, title, figures, passages, indexed_at, state, "
            "latest_fingerprint, reason, changed_at FROM documents WHERE corpus = ? "
            "ORDER BY source",
            corpus,
        )
        problems = self._problems_by_source(corpus)
        documents = [CatalogDocument(*row) for row in rows]
        return [replace(d, problems=tuple(problems.get(d.source, ()))) for d in documents]

    def restore(self, corpus: Corpus, documents: Sequence[CatalogDocument]) -> None:
        """Replace a corpus and all its documents, in one transaction."""
        name = corpus.name
        rows = [(name, *astuple(replace(d, problems=()))[:-1]) for d in documents]
        problems = [(name, d.source, *astuple(p)) for d in documents for p in d.problems]
        with self._db.transaction() as db:
            db.execute(_SAVE_CORPUS, astuple(corpus))
            db.execute("DELETE FROM documents WHERE corpus = ?", (name,))
            db.execute("DELETE FROM problems WHERE corpus = ?", (name,))
            db.executemany(_SAVE_DOCUMENT, rows)
            db.executemany(_SAVE_PROBLEM, problems)

    def mark_for_rereading(self, corpus: str, sources: Iterable[str]) -> None:
        """Make the next run read these documents again, although they have not changed."""
        with self._db.transaction() as db:
            db.executemany(
                "UPDATE documents SET stored_fingerprint = ? "
                "WHERE corpus = ? AND source = ? AND stored_fingerprint != ''",
                [(_NO_CONTENT, corpus, source) for source in sources],
            )

    def remove_documents(self, corpus: str, sources: Iterable[str]) -> None:
        """Delete the records of these documents."""
        with self._db.transaction() as db:
            for source in sources:
                for table in ("documents", "problems"):
                    db.execute(
                        f"DELETE FROM {table} WHERE corpus = ? AND source = ?",  # noqa: S608 - constants
                        (corpus, source),
                    )

    def problems(self, corpus: str) -> list[DocumentProblem]:
        """Return the dead letters of a corpus, then the problems of its stored documents."""
        dead_letters = self._db.rows(
            "SELECT source, reason FROM documents WHERE corpus = ? AND state = 'failed' "
            "ORDER BY source",
            corpus,
        )
        return [
            DocumentProblem(source, "", reason, is_dead_letter=True)
            for source, reason in dead_letters
        ] + [
            DocumentProblem(source, p.anchor, p.message, False, p.kind, p.page)
            for source, problems in self._problems_by_source(corpus).items()
            for p in problems
        ]

    def coverage(self, corpus: str, limit: int, offset: int = 0) -> list[DocumentCoverage]:
        """Return documents with how much of them is indexed.

        Documents that failed or were not read to the end come first, then those with problems,
        then those without any item. Documents of one kind are ordered by source.
        """
        rows = self._db.rows(
            "SELECT source, title, state, figures, passages, reason FROM documents AS d "
            "WHERE corpus = ? ORDER BY state = 'stored', NOT EXISTS (SELECT 1 FROM problems AS p "
            "WHERE p.corpus = d.corpus AND p.source = d.source), "
            "figures + passages > 0, source LIMIT ? OFFSET ?",
            corpus,
            limit,
            offset,
        )
        problems = self._problems_by_source(corpus)
        documents = [DocumentCoverage(*row) for row in rows]
        return [replace(d, problems=tuple(problems.get(d.source, ()))) for d in documents]

    def document_counts(self, corpus: str) -> dict[str, int]:
        """Count the documents: `total`, `failed`, `unfinished` and stored `with_problems`."""
        ((total, failed, unfinished),) = self._db.rows(
            "SELECT COUNT(*), COALESCE(SUM(state = 'failed'), 0), "
            "COALESCE(SUM(state NOT IN ('failed', 'stored')), 0) FROM documents WHERE corpus = ?",
            corpus,
        )
        ((with_problems,),) = self._db.rows(
            "SELECT COUNT(DISTINCT source) FROM problems WHERE corpus = ?", corpus
        )
        return {
            "total": total,
            "failed": failed,
            "unfinished": unfinished,
            "with_problems": with_problems,
        }

    def item_counts(self, corpus: str) -> dict[str, int]:
        """Count the stored `documents` of a corpus, and their `figures` and `passages`."""
        ((documents, figures, passages),) = self._db.rows(
            "SELECT COUNT(*), COALESCE(SUM(figures), 0), COALESCE(SUM(passages), 0) "
            "FROM documents WHERE corpus = ? AND stored_fingerprint != ''",
            corpus,
        )
        return {"documents": documents, "figures": figures, "passages": passages}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _problems_by_source(self, corpus: str) -> dict[str, list[Problem]]:
        rows = self._db.rows(
            "SELECT source, anchor, message, kind, page FROM problems WHERE corpus = ? "
            "ORDER BY rowid",
            corpus,
        )
        problems: dict[str, list[Problem]] = {}
        for source, *fields in rows:
            problems.setdefault(source, []).append(Problem(*fields))
        return problems


def _word_rows(corpus: str, words: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    return ((word, word[::-1], corpus) for word in words)
