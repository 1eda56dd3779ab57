"""How far a run is, and what it did."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from unirag.workspace.catalog import Trouble

__all__ = ["Progress", "Report"]

_SETTLED = 5.0  # seconds until a rate says something


@dataclass
class Progress:
    """Counts so far; a listener gets the same object after every document and batch.

    `documents` of `total` are done with: stored, unchanged or `failed`. `total` grows where a
    folder or an archive turns out to hold several. `items`, `pictures` and, where the format has
    them, `pages` have been read; `source` was read last.
    """

    documents: int = 0
    total: int = 0
    unchanged: int = 0
    failed: int = 0
    items: int = 0
    pictures: int = 0
    pages: int = 0
    source: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.items / max(self.seconds, 1e-3)

    @property
    def left(self) -> float | None:
        """Seconds until the end at the pace so far; None before anything can be said.

        What was unchanged took no time and says nothing of the rest.
        """
        done = self.documents - self.unchanged
        if self.seconds < _SETTLED or done <= 0:
            return None
        return self.seconds / done * (self.total - self.documents)


@dataclass
class Report:
    """What a run did. `troubles` lists what was left out; dead ones are whole documents."""

    corpus: str
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    gone: list[str] = field(default_factory=list)
    figures: int = 0
    passages: int = 0
    pages: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def dead(self) -> list[Trouble]:
        return [t for t in self.troubles if t.dead]

    def to_json(self) -> dict[str, Any]:
        def rows(troubles: list[Trouble]) -> list[dict[str, str]]:
            return [
                {"source": t.source, "anchor": t.anchor, "message": t.message} for t in troubles
            ]

        items = self.figures + self.passages
        return {
            "corpus": self.corpus,
            "documents": {
                "new": self.new,
                "changed": self.changed,
                "unchanged": self.unchanged,
                "removed": self.removed,
                "failed": len(self.dead),
            },
            "gone": self.gone,
            "figures": self.figures,
            "passages": self.passages,
            "pages": self.pages,
            "dead_letters": rows(self.dead),
            "problems": rows([t for t in self.troubles if not t.dead]),
            "seconds": round(self.seconds, 2),
            "items_per_second": round(items / max(self.seconds, 1e-3), 1),
        }
