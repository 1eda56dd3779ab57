"""The first `mini` encoder: pooled EfficientNet-Lite0 features, pictures only.

It knows no words and no styles: text reaches figures through captions and labels instead, and a
query picture is compared as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from retrieval.efficientnet import EfficientNetLite0
from retrieval.encoder import Vectors, unit

__all__ = ["PooledEncoder"]

_BATCH = 32


class PooledEncoder:
    """1280-d features of a frozen CNN, averaged over the picture and scaled to unit length."""

    width = 1280
    cross_modal = False

    def __init__(self, name: str, folder: Path, device: str = "cpu") -> None:
        self.name = name
        self._tower = EfficientNetLite0(folder, device, torch.float32)

    def encode_image(self, images: Sequence[Image.Image], style: str = "auto") -> Vectors:
        parts = [
            self._tower.features(self._tower.preprocess(images[i : i + _BATCH])).float().cpu()
            for i in range(0, len(images), _BATCH)
        ]
        return unit(torch.cat(parts).numpy() if parts else torch.empty(0, self.width).numpy())

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        raise TypeError(f"{self.name} encodes pictures only; ask `cross_modal` first")
