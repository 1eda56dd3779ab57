"""Embed the texts of one answer, each text once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Embed", "EmbedOnce", "Vector"]

Vector = NDArray[np.float32]  # (D,), unit length
# Texts to unit vectors, (B, D) float32. unirag/app passes the text retriever's passage encoder.
Embed = Callable[[Sequence[str]], NDArray[np.float32]]


class EmbedOnce:
    """An `Embed` that remembers every vector, so that no text is embedded twice.

    `vectors` are vectors that the caller already has, by text. Use one object per answer: it keeps
    everything that it embeds. Not for several threads.
    """

    def __init__(self, embed: Embed, vectors: Mapping[str, Vector]) -> None:
        self._embed = embed
        self._vectors = dict(vectors)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of `texts` in their order, (B, D)."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._embed(new), strict=True))
        return np.stack([self._vectors[text] for text in texts])
