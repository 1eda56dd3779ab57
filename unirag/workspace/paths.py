"""The workspace folder: where each file lies, and the locks that guard it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import BadInput, Busy
from unirag.workspace.lock import Lock

__all__ = ["Workspace"]


class Workspace:
    """The folder `root` with everything that unirag stores. Nothing is created before `open()`.

    The embedded vector store belongs to one process, so a second process that opens the workspace
    gets `Busy` with the name of the first. Processes that use a Qdrant server share a workspace;
    the index lock lets one of them at a time change the index.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser()
        self._lock = Lock(self.root / "lock")
        self.index_lock = Lock(self.root / "jobs.lock")

    @property
    def assets_folder(self) -> Path:
        """Pictures of indexed documents with their thumbnails, named by digest."""
        return self.root / "assets"

    @property
    def collection_folder(self) -> Path:
        """The embedded vector store."""
        return self.root / "collection"

    @property
    def styles_folder(self) -> Path:
        """Enrolled query styles."""
        return self.root / "styles"

    @property
    def sources_folder(self) -> Path:
        """Uploaded documents, in one folder per corpus."""
        return self.root / "sources"

    @property
    def uploads_folder(self) -> Path:
        """Query pictures of conversations."""
        return self.root / "uploads"

    @property
    def conversations_file(self) -> Path:
        """The database of `Conversations`."""
        return self.root / "conversations.db"

    @property
    def secret_file(self) -> Path:
        """The secret that signs the cookies of browsers."""
        return self.root / "secret"

    @property
    def jobs_file(self) -> Path:
        """The database of the `JobQueue`."""
        return self.root / "jobs.db"

    @property
    def catalog_file(self) -> Path:
        """The database of the `Catalog`."""
        return self.root / "catalog.db"

    @property
    def embeddings_file(self) -> Path:
        """The database of the `EmbeddingCache`."""
        return self.root / "embeddings.db"

    @property
    def labels_file(self) -> Path:
        """The database of the OCR cache."""
        return self.root / "labels.db"

    def open(self, *, shared: bool = False) -> None:
        """Create the folder and lock it for this process; `shared` only creates it.

        Raise `BadInput` if the folder cannot be written, and `Busy` if another process has locked
        it.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if shared or self._lock.acquire():
                return
        except OSError as error:
            raise BadInput(
                f"--home {self.root}: cannot be used as a folder ({error.strerror}); "
                "expected a folder that can be written"
            ) from None
        raise Busy(
            f"{self.root} is in use by {self._lock.last_holder()}; wait for it or "
            "stop it, use another --home, or share a Qdrant server through UNIRAG_QDRANT_URL"
        )

    def close(self) -> None:
        """Unlock the folder."""
        self._lock.release()

    def holder(self) -> str | None:
        """Describe the other process that has locked the folder. Return None if there is none."""
        return self._lock.holder()

    @contextmanager
    def hold_index_lock(self) -> Iterator[None]:
        """Keep other processes and threads from changing the index.

        Raise `Busy` if one of them is changing it now.
        """
        if not self.index_lock.acquire():
            raise Busy(
                f"{self.root} is being indexed by {self.index_lock.last_holder()}; wait until it "
                "is done, or cancel its index job"
            )
        try:
            yield
        finally:
            self.index_lock.release()
