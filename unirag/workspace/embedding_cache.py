"""The embedding cache: vectors by content and encoder, so that nothing is encoded twice.

A SQLite file in the workspace. It serves renamed documents, pictures that two corpora share, and
runs that continue after a kill.
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

from data.sqlite import Database
from retrieval.encoder import ORIGINAL, ImageEncoder, TextRetriever
from retrieval.store import Stamp, Vector

__all__ = ["CachedEncoders", "EmbeddingCache", "EmbeddingStore", "text_digest"]

_DIGESTS_PER_QUERY = 500  # old SQLite versions allow 999 values per statement
_VECTORS_PER_ITEM = 4  # an item has at most two; the rest is room for changed documents
_SPARE_VECTORS = 10_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS embeddings (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL, encoder TEXT NOT NULL, vector BLOB NOT NULL,
    UNIQUE (digest, encoder)
);
"""


class EmbeddingStore(Protocol):
    """Stores unit vectors (float32) by the SHA-256 of the encoded content and an encoder name."""

    def get(self, encoder: str, width: int, digests: Iterable[str]) -> dict[str, Vector]:
        """Return the stored vectors. A vector of another width counts as missing."""
        ...

    def put(self, encoder: str, vectors: Mapping[str, Vector]) -> None:
        """Store vectors by digest."""
        ...

    def trim(self, encoders: Sequence[str], max_vectors: int) -> None:
        """Delete the vectors of other encoders, then all but the newest `max_vectors`."""
        ...


class EmbeddingCache:
    """An `EmbeddingStore` in a SQLite file. Raises `UniragError` if the file is unusable."""

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA, "the embedding cache", "index again")

    def get(self, encoder: str, width: int, digests: Iterable[str]) -> dict[str, Vector]:
        """Return the stored vectors. A vector of another width counts as missing."""
        vectors: dict[str, Vector] = {}
        remaining = iter(dict.fromkeys(digests))
        while batch := list(islice(remaining, _DIGESTS_PER_QUERY)):
            marks = ", ".join("?" * len(batch))
            rows = self._db.rows(
                f"SELECT digest, vector FROM embeddings WHERE encoder = ? AND digest IN ({marks})",  # noqa: S608
                encoder,
                *batch,
            )
            vectors |= {d: np.frombuffer(v, np.float32) for d, v in rows if len(v) == 4 * width}
        return vectors

    def put(self, encoder: str, vectors: Mapping[str, Vector]) -> None:
        """Store vectors by digest."""
        with self._db.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO embeddings (digest, encoder, vector) VALUES (?, ?, ?)",
                [(d, encoder, v.astype(np.float32).tobytes()) for d, v in vectors.items()],
            )

    def trim(self, encoders: Sequence[str], max_vectors: int) -> None:
        """Delete the vectors of other encoders, then all but the newest `max_vectors`."""
        marks = ", ".join("?" * len(encoders))
        self._db.execute(f"DELETE FROM embeddings WHERE encoder NOT IN ({marks})", *encoders)  # noqa: S608
        self._db.execute(
            "DELETE FROM embeddings WHERE id <= "
            "(SELECT id FROM embeddings ORDER BY id DESC LIMIT 1 OFFSET ?)",
            max_vectors,
        )

    def count(self) -> int:
        """Return the number of stored vectors."""
        return int(self._db.rows("SELECT COUNT(*) FROM embeddings")[0][0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()


@dataclass(frozen=True)
class CachedEncoders:
    """The image encoder and the text retriever behind an embedding cache.

    `stamp` has their names and widths. `load_models` is called only when something is not in the
    cache, so a run without new content loads no model.
    """

    stamp: Stamp
    load_models: Callable[[], tuple[ImageEncoder, TextRetriever]]
    cache: EmbeddingStore

    def cached_pictures(self, digests: Iterable[str]) -> dict[str, Vector]:
        """Return the vectors of pictures that are in the cache, by digest."""
        return self.cache.get(self.stamp.encoder, self.stamp.image_width, digests)

    def encode_pictures(self, pictures: Mapping[str, Image.Image]) -> dict[str, Vector]:
        """Return the vector of each picture, by digest. Encode the new ones in one batch."""
        vectors = self.cached_pictures(pictures)
        new_digests = [digest for digest in pictures if digest not in vectors]
        if new_digests:
            encoder, _ = self.load_models()
            vectors_BD = encoder.encode_image([pictures[d] for d in new_digests], ORIGINAL)
            new_vectors = dict(zip(new_digests, vectors_BD, strict=True))
            self.cache.put(self.stamp.encoder, new_vectors)
            vectors |= new_vectors
        return vectors

    def encode_passages(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vector of each text, in order. Encode the new ones in one batch."""
        digests = [text_digest(text) for text in texts]
        vectors = self.cache.get(self.stamp.text, self.stamp.text_width, digests)
        new_texts = {d: t for d, t in zip(digests, texts, strict=True) if d not in vectors}
        if new_texts:
            _, text_retriever = self.load_models()
            vectors_BD = text_retriever.encode_passages(list(new_texts.values()))
            new_vectors = dict(zip(new_texts, vectors_BD, strict=True))
            self.cache.put(self.stamp.text, new_vectors)
            vectors |= new_vectors
        return [vectors[d] for d in digests]

    def trim(self, indexed_items: int) -> None:
        """Delete vectors of other encoders, and the oldest if there are too many for the index."""
        max_vectors = _VECTORS_PER_ITEM * indexed_items + _SPARE_VECTORS
        self.cache.trim((self.stamp.encoder, self.stamp.text), max_vectors)


def text_digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
