"""The progress of an index run, and the report at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from unirag.workspace.catalog import DocumentProblem

__all__ = ["IndexProgress", "IndexReport"]

_MIN_SECONDS = 5.0  # a rate over less time predicts nothing


@dataclass
class IndexProgress:
    """Counts of a run so far. A listener gets the same object after every document and batch.

    `documents` of `total` are finished: stored, unchanged or `failed`. `total` grows when a folder
    or an archive turns out to hold several documents. `items`, `pictures` and `pages` have been
    read; only some formats have pages. `source` is the document that was opened last. `started_at`
    is a reading of the monotonic clock.
    """

    documents: int = 0
    total: int = 0
    unchanged: int = 0
    failed: int = 0
    items: int = 0
    pictures: int = 0
    pages: int = 0
    source: str = ""
    started_at: float = field(default_factory=time.monotonic)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the start of the run."""
        return time.monotonic() - self.started_at

    @property
    def items_per_second(self) -> float:
        """Items read per second since the start of the run."""
        return self.items / max(self.elapsed_seconds, 1e-3)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end at the pace so far; None while there is too little to judge by.

        Unchanged documents take no time, so they do not count towards the pace.
        """
        elapsed, read = self.elapsed_seconds, self.documents - self.unchanged
        if elapsed < _MIN_SECONDS or read <= 0:
            return None
        return elapsed / read * (self.total - self.documents)


@dataclass
class IndexReport:
    """The result of a run over one corpus.

    `new`, `changed`, `unchanged` and `removed` count documents. `missing` are the sources of
    indexed documents that are no longer in the folder. `figures`, `passages` and `pages` count only
    what this run read.
    """

    corpus: str
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    missing: list[str] = field(default_factory=list)
    figures: int = 0
    passages: int = 0
    pages: int = 0
    problems: list[DocumentProblem] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def dead_letters(self) -> list[DocumentProblem]:
        """The documents that could not be read."""
        return [problem for problem in self.problems if problem.is_dead_letter]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, with dead letters apart from other problems."""
        items = self.figures + self.passages
        return {
            "corpus": self.corpus,
            "documents": {
                "new": self.new,
                "changed": self.changed,
                "unchanged": self.unchanged,
                "removed": self.removed,
                "failed": len(self.dead_letters),
            },
            "missing": self.missing,
            "figures": self.figures,
            "passages": self.passages,
            "pages": self.pages,
            "dead_letters": [_row(p) for p in self.dead_letters],
            "problems": [
                {**_row(p), "kind": p.kind, "page": p.page}
                for p in self.problems
                if not p.is_dead_letter
            ],
            "seconds": round(self.seconds, 2),
            "items_per_second": round(items / max(self.seconds, 1e-3), 1),
        }


def _row(problem: DocumentProblem) -> dict[str, Any]:
    return {"source": problem.source, "anchor": problem.anchor, "message": problem.message}
