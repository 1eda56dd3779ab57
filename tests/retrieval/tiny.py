"""A tiny encoder with fakes for its frozen models, for tests of code that uses an encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from retrieval.efficientnet import GRAM, PATCHES, TAPS, CnnFeatures
from retrieval.encoder import normalize_rows
from retrieval.experts import ExpertConfig
from retrieval.mini_tower import MiniConfig, MiniTower
from retrieval.prompt_bank import BankConfig
from retrieval.uni_retrieval import UniConfig, UniRetrieval

SIZES = MiniConfig(
    width=32, depth=2, heads=2, hidden=48, text_hidden=48, detail=3, sentence=16, out=24
)


class FakeCnn:
    """Patches are the picture's pixels at 7 x 7; the Gram features its mean colours."""

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        small = [np.asarray(i.convert("RGB").resize((7, 7)), np.float32) for i in images]
        return torch.from_numpy(np.stack(small)) / 127.5 - 1

    def extract(self, x_BHWC: Tensor) -> CnnFeatures:
        pixels_BTC = x_BHWC.flatten(1, 2)
        assert pixels_BTC.shape[1] == PATCHES
        patches = pixels_BTC.repeat(1, 1, sum(TAPS) // 3 + 1)[..., : sum(TAPS)]
        colours = pixels_BTC.mean(1).repeat(1, GRAM // 3 + 1)[:, :GRAM]
        return CnnFeatures(patches.contiguous(), colours.contiguous())


class FakeSentences:
    """A text becomes the counts of its letters."""

    name, width = "letters", 16

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), 16), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for letter in text:
                row[ord(letter) % 16] += 1
        return normalize_rows(rows)

    encode_queries = encode_passages


def tiny_encoder(seed: int = 0, trained: bool = True, **settings: object) -> UniRetrieval:
    """Build an encoder with bank, prompt experts and depth experts, active if `trained`."""
    torch.manual_seed(seed)
    config = {
        "bank": BankConfig(entries=3, prompts=2, width=8),
        "experts": ExpertConfig(experts=2, rank=2),
        "depth": ExpertConfig(experts=4, rank=2),
        **settings,
    }
    tower = MiniTower(SIZES, FakeCnn(), FakeSentences())  # type: ignore[arg-type]
    encoder = UniRetrieval(tower, UniConfig(prototype=8, sentence=16, **config))  # type: ignore[arg-type]
    if trained:
        with torch.no_grad():
            for name, parameter in encoder.named_parameters():
                if name.endswith(("gate_H", "b_ENR")):
                    parameter.normal_(0, 0.3)
    return encoder.eval()
