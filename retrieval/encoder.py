"""What an image encoder and a text retriever are to the rest of the system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["ImageEncoder", "TextRetriever", "unit"]

Vectors = NDArray[np.float32]


class ImageEncoder(Protocol):
    """Pictures, and where `cross_modal` also words, as unit vectors of one space.

    `name` identifies the weights: vectors under different names cannot be compared.
    """

    name: str
    width: int
    cross_modal: bool

    def encode_image(self, images: Sequence[Image.Image], style: str = "auto") -> Vectors:
        """(B, width) float32, rows of unit length. `style` names the query style, or `auto`."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """(B, width) float32, rows of unit length; only where `cross_modal`."""
        ...


class TextRetriever(Protocol):
    """Questions and passages as unit vectors of one space."""

    name: str
    width: int

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """(B, width) float32, rows of unit length."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """(B, width) float32, rows of unit length."""
        ...


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to unit length; a row of zeros stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)
