"""Style prototypes: what a query looks like, or that it is words, as a point of one small space.

B batch, G Gram features, S sentence width, D prototype width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Prototypes"]


class Prototypes(nn.Module):
    """Unit vectors (B, D) from Gram features or sentence vectors, through a projection for each.

    Uni-Retrieval (arXiv 2502.05863), section 4.1: Gram features of a frozen CNN for pictures, a
    frozen text encoder for words; speech is transcribed first.
    """

    def __init__(self, gram: int, sentence: int, width: int) -> None:
        super().__init__()
        self.mean_G: Tensor
        self.deviation_G: Tensor
        self.register_buffer("mean_G", torch.zeros(gram))
        self.register_buffer("deviation_G", torch.ones(gram))
        self.gram = nn.Linear(gram, width)
        self.sentence = nn.Linear(sentence, width)

    @torch.no_grad()
    def fit(self, gram_BG: Tensor) -> None:
        """Take mean and deviation of the features from a sample of pictures of every style."""
        x_BG = _damped(gram_BG.float())
        self.mean_G.copy_(x_BG.mean(0))
        self.deviation_G.copy_(x_BG.std(0).clamp_min(1e-3))

    def from_gram(self, gram_BG: Tensor) -> Tensor:
        scaled_BG = (_damped(gram_BG) - self.mean_G) / self.deviation_G
        return F.normalize(self.gram(scaled_BG), dim=1)

    def from_sentence(self, sentence_BS: Tensor) -> Tensor:
        return F.normalize(self.sentence(sentence_BS * sentence_BS.shape[1] ** 0.5), dim=1)


def _damped(x_BG: Tensor) -> Tensor:
    """Products of activations have long tails; their signed roots do not."""
    return x_BG.sign() * x_BG.abs().sqrt()
