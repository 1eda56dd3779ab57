"""The interfaces of the image encoder and the text retriever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    "batches_by_length",
    "normalize_rows",
]

Vectors = NDArray[np.float32]
ORIGINAL = "original"  # the style of indexed figures


@dataclass(frozen=True, slots=True)
class StyleDetection:
    """The style detected in a query picture, and the experts that encoded it.

    `styles` holds each style's share, `experts` each expert's mean share over all adapted layers.
    Each sums to 1, and is empty if the encoder has no styles or no experts.
    """

    styles: Mapping[str, float] = field(default_factory=dict)
    experts: tuple[float, ...] = ()


class ImageEncoder(Protocol):
    """Encodes pictures and texts as unit vectors of one space.

    `name` identifies the weights: vectors under different names cannot be compared.
    """

    name: str
    width: int

    @property
    def styles(self) -> tuple[str, ...]:
        """The values of `style` besides `auto` and `original`."""
        ...

    def encode_image(self, images: Sequence[Image.Image], style: str = "auto") -> Vectors:
        """Return (B, width) float32, rows of unit length. Figures are indexed as `original`."""
        ...

    def encode_with_styles(
        self, images: Sequence[Image.Image], style: str = "auto"
    ) -> tuple[Vectors, list[StyleDetection]]:
        """Return the vectors of `encode_image` and the style detected in each picture."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """Return (B, width) float32, rows of unit length."""
        ...


class TextRetriever(Protocol):
    """Encodes questions and passages as unit vectors of one space."""

    name: str
    width: int

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return (B, width) float32, rows of unit length."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return (B, width) float32, rows of unit length."""
        ...


def normalize_rows(vectors: Vectors) -> Vectors:
    """Scale rows to unit length; rows of zeros stay zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)


def batches_by_length(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Yield the indices of texts of similar length, so that a batch needs little padding.

    A padded batch has `tokens` tokens at most, or a single text.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
