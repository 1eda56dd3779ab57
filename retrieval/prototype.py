"""Style prototypes: short vectors for the style of a picture or for a text.

B batch, G Gram features, S sentence width, D prototype width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Prototypes"]


class Prototypes(nn.Module):
    """Projects Gram features and sentence vectors to unit vectors (B, D).

    As in Uni-Retrieval (arXiv 2502.05863), section 4.1, Gram features come from a frozen CNN, and
    sentence vectors from a frozen text encoder. Speech is transcribed first.
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
        """Measure mean and deviation of the Gram features on a sample of pictures of all styles."""
        x_BG = _signed_root(gram_BG.float())
        self.mean_G.copy_(x_BG.mean(0))
        self.deviation_G.copy_(x_BG.std(0).clamp_min(1e-3))

    def from_gram(self, gram_BG: Tensor) -> Tensor:
        """Return the prototypes of pictures."""
        scaled_BG = (_signed_root(gram_BG) - self.mean_G) / self.deviation_G
        return F.normalize(self.gram(scaled_BG), dim=1)

    def from_sentence(self, sentence_BS: Tensor) -> Tensor:
        """Return the prototypes of texts; `sentence_BS` are unit vectors."""
        return F.normalize(self.sentence(sentence_BS * sentence_BS.shape[1] ** 0.5), dim=1)


def _signed_root(x_BG: Tensor) -> Tensor:
    """Shorten the long tails that products of activations have."""
    return x_BG.sign() * x_BG.abs().sqrt()
