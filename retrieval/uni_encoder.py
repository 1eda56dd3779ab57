"""The Uni-Retrieval encoder in service: pictures and texts in, vectors and detected styles out.

B batch, D width of the vectors, K prototype width, S styles, E experts, T tokens.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data.errors import BadInput
from retrieval.cuda_graphs import CAPTURED_BATCH_SIZES, GraphedEncoder
from retrieval.encoder import ORIGINAL, StyleDetection, Vectors, normalize_rows
from retrieval.enrolment import Enrolment
from retrieval.tower import TowerInputs
from retrieval.uni_retrieval import EncodedBatch, UniRetrieval

__all__ = ["UniEncoder"]

_BATCH_SIZE = CAPTURED_BATCH_SIZES[-1]
_CONFIDENT_SHARE = 0.8  # above this share of a style, a query moves the style's key
_STYLE_TEMPERATURE = 0.1  # of the style weights, as in the loss that trained the prototypes


class UniEncoder:
    """An `ImageEncoder`. Threads may share it: it runs one forward pass at a time.

    Indexed figures are encoded in style `original`, which never counts as an enrolled style, so a
    style that is enrolled later changes no stored vector.
    """

    def __init__(
        self,
        name: str,
        encoder: UniRetrieval,
        enrolled: Sequence[Enrolment] = (),
        style_follow_rate: float = 0.0,
    ) -> None:
        """`style_follow_rate`, in [0, 1], is how far confident queries move an enrolled key."""
        self.name, self.width = name, encoder.tower.width
        self.encoder = encoder.eval()
        self.enrolled = list(enrolled)
        self._style_follow_rate = style_follow_rate
        self._lock = threading.Lock()
        self._forward_image = GraphedEncoder(self.encoder)

    @property
    def styles(self) -> tuple[str, ...]:
        """The values of `style` besides `auto`."""
        return (*self.encoder.styles, *(e.name for e in self.enrolled))

    def set_enrolled(self, enrolled: Sequence[Enrolment]) -> None:
        """Replace the enrolled styles."""
        with self._lock:
            self.enrolled = list(enrolled)

    def encode_image(self, images: Sequence[Image.Image], style: str = "auto") -> Vectors:
        return self.encode_with_styles(images, style)[0]

    def encode_with_styles(
        self, images: Sequence[Image.Image], style: str = "auto"
    ) -> tuple[Vectors, list[StyleDetection]]:
        """Return the vectors of `encode_image` and the style detected in each picture.

        Raises `BadInput` for a style that is not in `styles`.
        """
        self._check_style(style)
        batches: list[Vectors] = []
        detections: list[StyleDetection] = []
        for start in range(0, len(images), _BATCH_SIZE):
            prepared = self.encoder.tower.prepare_images(images[start : start + _BATCH_SIZE])
            with self._lock, torch.inference_mode():
                self._check_style(style)  # again: the styles may have changed
                names = self.styles
                vectors_BD, styles_BS, experts = self.encode_batch(prepared, style)
            batches.append(vectors_BD.cpu().numpy())
            detections += [
                StyleDetection(dict(zip(names, row, strict=True)), tuple(shares))
                for row, shares in zip(styles_BS.tolist(), experts, strict=True)
            ]
        return self._join(batches), detections

    def encode_batch(
        self, prepared: TowerInputs, style: str = "auto"
    ) -> tuple[Tensor, Tensor, list[list[float]]]:
        """Return vectors (B, D), style weights (B, S) and expert shares (B lists) of one batch."""
        picture_BK = style_BK = self.encoder.prototypes.from_gram(prepared.features_BG)
        if style in self.encoder.styles and style != ORIGINAL:
            row = self.encoder.styles.index(style)
            style_BK = self.encoder.centroids_SK[row].expand_as(picture_BK)
        encoded = self._forward_image(prepared, style_BK)
        vectors_BD, styles_BS = self.apply_enrolments(encoded.vectors_BD, picture_BK, style)
        return vectors_BD, styles_BS, _expert_shares(encoded, len(picture_BK))

    def apply_enrolments(
        self, vectors_BD: Tensor, prototypes_BK: Tensor, style: str = "auto"
    ) -> tuple[Tensor, Tensor]:
        """Move vectors of enrolled styles towards the gallery.

        Returns all vectors (B, D) and the style weights (B, S).
        """
        styles_BS = self._style_weights(prototypes_BK, style)
        vectors_BD = vectors_BD.clone()
        trained = len(self.encoder.styles)
        for i, entry in enumerate(self.enrolled):
            rows_B = styles_BS.argmax(1) == trained + i
            vectors_BD[rows_B] = entry.apply(vectors_BD[rows_B])
            confident_B = rows_B & (styles_BS[:, trained + i] > _CONFIDENT_SHARE)
            if self._style_follow_rate and style == "auto" and confident_B.any():
                self.enrolled[i] = entry.move_key(
                    prototypes_BK[confident_B], self._style_follow_rate
                )
        return vectors_BD, styles_BS

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        batches: list[Vectors] = []
        for start in range(0, len(texts), _BATCH_SIZE):
            prepared = self.encoder.tower.prepare_texts(texts[start : start + _BATCH_SIZE])
            with self._lock, torch.inference_mode():
                batches.append(self.encoder.forward_text(prepared).vectors_BD.cpu().numpy())
        return self._join(batches)

    def _join(self, batches: Sequence[Vectors]) -> Vectors:
        if not batches:
            return np.empty((0, self.width), np.float32)
        return normalize_rows(np.concatenate(batches))

    def _check_style(self, style: str) -> None:
        if style not in ("auto", ORIGINAL, *self.styles):
            raise BadInput(
                f"style {style!r} is not known; expected auto or one of {', '.join(self.styles)}"
            )

    def _style_weights(self, prototypes_BK: Tensor, style: str) -> Tensor:
        """Return weights (B, S), rows of sum 1: a softmax for `auto`, else all on `style`.

        For `original` the softmax leaves out the enrolled styles.
        """
        centres = [self.encoder.centroids_SK, *(e.key_K[None] for e in self.enrolled)]
        cosine_BS = prototypes_BK @ torch.cat(centres).T
        if style not in ("auto", ORIGINAL):
            cosine_BS = torch.full_like(cosine_BS, -torch.inf)
            cosine_BS[:, self.styles.index(style)] = 0
        elif style == ORIGINAL:
            cosine_BS[:, len(self.encoder.styles) :] = -torch.inf
        return (cosine_BS / _STYLE_TEMPERATURE).softmax(1)


def _expert_shares(encoded: EncodedBatch, size: int) -> list[list[float]]:
    """Return each expert's share per picture, (B, E), a mean over layers.

    If layers have different numbers of experts, only layers with the most common number count.
    """
    gates = [g.mean(1) if g.ndim == 3 else g for g in encoded.gates.values()]
    if not gates:
        return [[] for _ in range(size)]
    count = max((g.shape[1] for g in gates), key=[g.shape[1] for g in gates].count)
    total_BE = torch.stack([g for g in gates if g.shape[1] == count]).mean(0)
    shares_BE = total_BE / total_BE.sum(1, keepdim=True).clamp_min(1e-9)
    return [[float(v) for v in row] for row in shares_BE.tolist()]
