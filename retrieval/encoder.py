"""What an image encoder and a text retriever are to the rest of the system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = [
    "ORIGINAL",
    "ImageEncoder",
    "StyleDetection",
    "TextRetriever",
    "Vectors",
    "normalize_rows",
]

Vectors = NDArray[np.float32]
ORIGINAL = "original"  # the style of a gallery


@dataclass(frozen=True, slots=True)
class StyleDetection:
    """How a query picture was taken: shares of styles, and of experts over all adapted layers.

    Each sums to 1; empty where the encoder has no styles, or no experts.
    """

    styles: Mapping[str, float] = field(default_factory=dict)
    experts: tuple[float, ...] = ()


class ImageEncoder(Protocol):
    """Pictures and words as unit vectors of one space.

    `name` identifies the weights: vectors under different names cannot be compared.
    """

    name: str
    width: int

    @property
    def styles(self) -> tuple[str, ...]:
        """Names that `style` may take, beside `auto` and `original`."""
        ...

    def encode_image(self, images: Sequence[Image.Image], style: str = "auto") -> Vectors:
        """(B, width) float32, rows of unit length. `original` is the style of a gallery."""
        ...

    def encode_with_styles(
        self, images: Sequence[Image.Image], style: str = "auto"
    ) -> tuple[Vectors, list[StyleDetection]]:
        """As `encode_image`, and how each picture was taken."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """(B, width) float32, rows of unit length."""
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


def normalize_rows(vectors: Vectors) -> Vectors:
    """Rows scaled to unit length; a row of zeros stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)
