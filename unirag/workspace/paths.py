"""The home folder: what lies where, and who may be in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import BadInput, Busy
from unirag.workspace.lock import Lock

__all__ = ["Workspace"]


class Workspace:
    """Paths below `root`. `open()` makes the folder; `close()` gives back what it took.

    The embedded store belongs to one process: a second one gets `Busy`, which says who holds it.
    Processes with a Qdrant server share the home, and one of them at a time changes the index.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser()
        self._lock = Lock(self.root / "lock")
        self.index_lock = Lock(self.root / "jobs.lock")

    @property
    def assets(self) -> Path:
        return self.root / "assets"

    @property
    def collection(self) -> Path:
        return self.root / "collection"

    @property
    def styles(self) -> Path:
        return self.root / "styles"

    @property
    def sources(self) -> Path:
        """Material that was uploaded, a folder for each corpus."""
        return self.root / "sources"

    @property
    def uploads(self) -> Path:
        """Pictures that conversations were asked with."""
        return self.root / "uploads"

    @property
    def conversations(self) -> Path:
        return self.root / "conversations.db"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs.db"

    @property
    def catalog(self) -> Path:
        return self.root / "catalog.db"

    @property
    def vectors(self) -> Path:
        return self.root / "vectors.db"

    @property
    def labels(self) -> Path:
        return self.root / "labels.db"

    def open(self, *, shared: bool = False) -> None:
        """`shared` lets others in as well."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if shared or self._lock.take():
                return
        except OSError as error:
            raise BadInput(
                f"--home {self.root}: cannot be used as a folder ({error.strerror}); "
                "expected a folder that can be written"
            ) from None
        raise Busy(
            f"{self.root} is in use by {self._lock.noted()}; wait for it or "
            "stop it, use another --home, or share a Qdrant server through UNIRAG_QDRANT_URL"
        )

    def close(self) -> None:
        self._lock.give()

    def holder(self) -> str | None:
        """Who has the home for itself, in words; None where nobody has or we do."""
        return self._lock.holder()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Alone in changing what is indexed; raises `Busy` where another process or thread is."""
        if not self.index_lock.take():
            raise Busy(
                f"{self.root} is being indexed by {self.index_lock.noted()}; wait until it is "
                "done, or cancel its index job"
            )
        try:
            yield
        finally:
            self.index_lock.give()
