"""What the workers of a test's Ray cluster are given, where they can import it: fakes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from data.ocr import LabelCache
from tests.unirag.test_indexing import STAMP, Reads, Thumbnails, WordCounts
from unirag.workspace.embedding_cache import CachedEncoders, EmbeddingStore


class KeptReads(Reads):
    """As `Reads`, and remembered by the home; a file `kill` makes one process die in the middle."""

    def __init__(self, cache: LabelCache, kill: Path | None = None) -> None:
        super().__init__()
        self._cache, self._kill = cache, kill

    def labels(self, pictures: Mapping[str, Image.Image]) -> dict[str, str]:
        return {digest: self._labels(digest) for digest in pictures}

    def _labels(self, digest: str) -> str:
        self.calls += 1
        text = self._cache.get(digest, "reads")
        if text is None:
            text = f"{self.words} {digest[:4]}"
            self._cache.put(digest, "reads", text)
            self._die()
        return text

    def known(self, digest: str) -> str | None:
        return self._cache.get(digest, "reads")

    def _die(self) -> None:
        if self._kill is None or self.calls < 3:
            return
        try:
            self._kill.rename(self._kill.with_suffix(f".{os.getpid()}"))
        except OSError:  # another worker was quicker
            return
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


def fakes(kill: Path | None, vectors: EmbeddingStore, labels: LabelCache):
    return CachedEncoders(STAMP, lambda: (Thumbnails(), WordCounts()), vectors), KeptReads(
        labels, kill
    )
