"""The Uni-Retrieval encoder at work: pictures and words in, vectors and the query's style out.

B batch, D width of the vectors, K prototype width, S styles.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data.errors import BadInput
from retrieval.encoder import ORIGINAL, StyleDetection, Vectors, normalize_rows
from retrieval.enrolment import Enrolment
from retrieval.graphs import SIZES, Graphed
from retrieval.tower import TowerInputs
from retrieval.uni import EncodedBatch, UniRetrieval

__all__ = ["UniEncoder"]

_BATCH = SIZES[-1]
_SURE = 0.8  # share of a style from which a query moves its key
_SHARP = 0.1  # temperature of the style weights, that of the loss which taught the prototypes


class UniEncoder:
    """An `ImageEncoder`. Safe to share between threads: one forward at a time.

    A gallery is encoded in style `original`, from which enrolled styles are kept out: what is
    enrolled later never changes a stored vector.
    """

    def __init__(
        self,
        name: str,
        encoder: UniRetrieval,
        enrolled: Sequence[Enrolment] = (),
        follow: float = 0.0,
    ) -> None:
        """`follow`, in [0, 1], is the rate at which confident queries move an enrolled key."""
        self.name, self.width = name, encoder.tower.width
        self.encoder = encoder.eval()
        self.enrolled = list(enrolled)
        self._follow = follow
        self._lock = threading.Lock()
        self._image = Graphed(self.encoder)

    @property
    def styles(self) -> tuple[str, ...]:
        """Names that `style` may take, beside `auto`."""
        return (*self.encoder.styles, *(e.name for e in self.enrolled))

    def set_enrolled(self, enrolled: Sequence[Enrolment]) -> None:
        """Tell these enrolled styles apart from now on, and no others."""
        with self._lock:
            self.enrolled = list(enrolled)

    def encode_image(self, images: Sequence[Image.Image], style: str = "auto") -> Vectors:
        return self.encode_with_styles(images, style)[0]

    def encode_with_styles(
        self, images: Sequence[Image.Image], style: str = "auto"
    ) -> tuple[Vectors, list[StyleDetection]]:
        """Vectors (B, D) as `encode_image`, and how each picture was taken.

        Raises `BadInput` for a style that is not in `styles`.
        """
        self._check(style)
        vectors, seen = [], []
        for start in range(0, len(images), _BATCH):
            looked = self.encoder.tower.prepare_images(images[start : start + _BATCH])
            with self._lock, torch.inference_mode():
                self._check(style)  # styles may come and go between two forwards
                names = self.styles
                part, styles_BS, experts = self.encode(looked, style)
            vectors.append(part.cpu().numpy())
            seen += [
                StyleDetection(dict(zip(names, row, strict=True)), tuple(shares))
                for row, shares in zip(styles_BS.tolist(), experts, strict=True)
            ]
        return normalize_rows(np.concatenate(vectors)) if vectors else np.empty(
            (0, self.width), "f4"
        ), seen

    def encode(
        self, looked: TowerInputs, style: str = "auto"
    ) -> tuple[Tensor, Tensor, list[list[float]]]:
        """Vectors (B, D), style weights (B, S) and expert shares (B lists) of one batch."""
        given_BK = own_BK = self.encoder.prototypes.from_gram(looked.features_BG)
        if style in self.encoder.styles and style != ORIGINAL:
            at = self.encoder.styles.index(style)
            given_BK = self.encoder.centroids_SK[at].expand_as(own_BK)
        encoded = self._image(looked, given_BK)
        vectors_BD, styles_BS = self.apply_enrolments(encoded.vectors_BD, own_BK, style)
        return vectors_BD, styles_BS, _shares(encoded, len(own_BK))

    def apply_enrolments(
        self, vectors_BD: Tensor, prototypes_BK: Tensor, style: str = "auto"
    ) -> tuple[Tensor, Tensor]:
        """Vectors (B, D) with those of enrolled styles brought home, and style weights (B, S)."""
        styles_BS = self._style_weights(prototypes_BK, style)
        vectors_BD = vectors_BD.clone()
        trained = len(self.encoder.styles)
        for i, entry in enumerate(self.enrolled):
            rows_B = styles_BS.argmax(1) == trained + i
            vectors_BD[rows_B] = entry.apply(vectors_BD[rows_B])
            sure_B = rows_B & (styles_BS[:, trained + i] > _SURE)
            if self._follow and style == "auto" and sure_B.any():
                self.enrolled[i] = entry.move_key(prototypes_BK[sure_B], self._follow)
        return vectors_BD, styles_BS

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        parts = []
        for start in range(0, len(texts), _BATCH):
            looked = self.encoder.tower.prepare_texts(texts[start : start + _BATCH])
            with self._lock, torch.inference_mode():
                parts.append(self.encoder.forward_text(looked).vectors_BD.cpu().numpy())
        return normalize_rows(np.concatenate(parts)) if parts else np.empty((0, self.width), "f4")

    def _check(self, style: str) -> None:
        if style not in ("auto", ORIGINAL, *self.styles):
            raise BadInput(
                f"style {style!r} is not known; expected auto or one of {', '.join(self.styles)}"
            )

    def _style_weights(self, own_BK: Tensor, style: str) -> Tensor:
        """(B, S), rows of sum 1: a softmax over the styles, or all on the one that is given."""
        centres = [self.encoder.centroids_SK, *(e.key_K[None] for e in self.enrolled)]
        cosine_BS = own_BK @ torch.cat(centres).T
        if style not in ("auto", ORIGINAL):
            cosine_BS = torch.full_like(cosine_BS, -torch.inf)
            cosine_BS[:, self.styles.index(style)] = 0
        elif style == ORIGINAL:
            cosine_BS[:, len(self.encoder.styles) :] = -torch.inf
        return (cosine_BS / _SHARP).softmax(1)


def _shares(encoded: EncodedBatch, size: int) -> list[list[float]]:
    """(B, E) shares of the experts, a mean over layers with the most common number of experts."""
    gates = [g.mean(1) if g.ndim == 3 else g for g in encoded.gates.values()]
    if not gates:
        return [[] for _ in range(size)]
    count = max((g.shape[1] for g in gates), key=[g.shape[1] for g in gates].count)
    total_BE = torch.stack([g for g in gates if g.shape[1] == count]).mean(0)
    shares_BE = total_BE / total_BE.sum(1, keepdim=True).clamp_min(1e-9)
    return [[float(v) for v in row] for row in shares_BE.tolist()]
