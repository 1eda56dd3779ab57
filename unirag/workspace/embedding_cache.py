"""Encoded vectors, kept by what was encoded and by which encoder: nothing is encoded twice.

SQLite in the home folder. A renamed document, a second corpus with the same pictures and a run that
goes on after a kill find their vectors here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from retrieval.encoder import ORIGINAL, ImageEncoder, TextRetriever
from retrieval.store import Stamp, Vector
from unirag.workspace.database import Database

__all__ = ["CachedEncoders", "EmbeddingCache", "EmbeddingStore", "text_digest"]

_ASKED = 500  # digests in one statement; SQLite takes 999 values at least
_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL, stamp TEXT NOT NULL, vector BLOB NOT NULL,
    UNIQUE (digest, stamp)
);
"""


class EmbeddingStore(Protocol):
    """Unit vectors, float32, by the SHA-256 of what they stand for and their encoder's name."""

    def get(self, stamp: str, width: int, digests: Iterable[str]) -> dict[str, Vector]:
        """The vectors that are here; one of another width counts as missing."""
        ...

    def put(self, stamp: str, vectors: Mapping[str, Vector]) -> None: ...

    def trim(self, stamps: Sequence[str], most: int) -> None:
        """Keep the `most` newest of those whose encoder is among `stamps`, and forget the rest."""
        ...


class EmbeddingCache:
    """Unit vectors, float32, by the SHA-256 of what they stand for and the name of their encoder.

    Raises `UniragError` where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA, "the cache of vectors", "index again")

    def get(self, stamp: str, width: int, digests: Iterable[str]) -> dict[str, Vector]:
        """The vectors that are here; one of another width counts as missing."""
        found: dict[str, Vector] = {}
        asked = iter(dict.fromkeys(digests))
        while some := list(islice(asked, _ASKED)):
            marks = ", ".join("?" * len(some))
            rows = self._db.rows(
                f"SELECT digest, vector FROM vectors WHERE stamp = ? AND digest IN ({marks})",  # noqa: S608
                stamp,
                *some,
            )
            found |= {d: np.frombuffer(v, np.float32) for d, v in rows if len(v) == 4 * width}
        return found

    def put(self, stamp: str, vectors: Mapping[str, Vector]) -> None:
        with self._db.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO vectors (digest, stamp, vector) VALUES (?, ?, ?)",
                [(d, stamp, v.astype(np.float32).tobytes()) for d, v in vectors.items()],
            )

    def trim(self, stamps: Sequence[str], most: int) -> None:
        """Keep the `most` newest of those whose encoder is among `stamps`, and forget the rest."""
        marks = ", ".join("?" * len(stamps))
        self._db.run(f"DELETE FROM vectors WHERE stamp NOT IN ({marks})", *stamps)  # noqa: S608
        self._db.run(
            "DELETE FROM vectors WHERE id <= "
            "(SELECT id FROM vectors ORDER BY id DESC LIMIT 1 OFFSET ?)",
            most,
        )

    def count(self) -> int:
        return int(self._db.rows("SELECT COUNT(*) FROM vectors")[0][0])

    def close(self) -> None:
        self._db.close()


@dataclass(frozen=True)
class CachedEncoders:
    """The encoders behind the cache: what it holds is not encoded, what is encoded it holds.

    `models` is called when there is something to encode: else they need not be loaded.
    """

    stamp: Stamp
    models: Callable[[], tuple[ImageEncoder, TextRetriever]]
    cache: EmbeddingStore

    def known(self, digests: Iterable[str]) -> dict[str, Vector]:
        """The vectors of pictures that were encoded before."""
        return self.cache.get(self.stamp.encoder, self.stamp.image_width, digests)

    def pictures(self, pictures: Mapping[str, Image.Image]) -> dict[str, Vector]:
        """A vector for each digest, all that are new in one batch."""
        found = self.known(pictures)
        new = [digest for digest in pictures if digest not in found]
        if new:
            encoder, _ = self.models()
            vectors_BD = encoder.encode_image([pictures[d] for d in new], ORIGINAL)
            fresh = dict(zip(new, vectors_BD, strict=True))
            self.cache.put(self.stamp.encoder, fresh)
            found |= fresh
        return found

    def passages(self, texts: Sequence[str]) -> list[Vector]:
        """A vector for each text, in the order given; the new ones are encoded in one call."""
        digests = [text_digest(text) for text in texts]
        found = self.cache.get(self.stamp.text, self.stamp.text_width, digests)
        new = {d: t for d, t in zip(digests, texts, strict=True) if d not in found}
        if new:
            _, text = self.models()
            vectors_BD = text.encode_passages(list(new.values()))
            fresh = dict(zip(new, vectors_BD, strict=True))
            self.cache.put(self.stamp.text, fresh)
            found |= fresh
        return [found[d] for d in digests]

    def trim(self, items: int) -> None:
        """Keep the vectors of these encoders only, and of `items` indexed items some to spare.

        An item has two vectors at most; what is beyond twice that is of documents long gone.
        """
        self.cache.trim((self.stamp.encoder, self.stamp.text), 4 * items + 10_000)


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
