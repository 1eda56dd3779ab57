"""The losses that training minimises.

B batch, D width of the vectors, S styles, K prototype width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ContrastiveLoss", "StyleLoss", "info_nce", "triplet"]

_MAX_SCALE = 100.0  # as in CLIP (arXiv 2103.00020, section 2.5)


def info_nce(a_BD: Tensor, b_BD: Tensor, scale: Tensor | float, copies_BB: Tensor) -> Tensor:
    """Return the symmetric InfoNCE of unit vectors; row i of `a` matches row i of `b`.

    `copies_BB` is true where two rows are copies, which do not count as negatives. Its diagonal is
    ignored.
    """
    logits_BB = scale * _cosines(a_BD, b_BD)
    excluded = copies_BB & ~torch.eye(len(a_BD), dtype=torch.bool, device=a_BD.device)
    logits_BB = logits_BB.masked_fill(excluded, -torch.inf)
    target_B = torch.arange(len(a_BD), device=a_BD.device)
    return (F.cross_entropy(logits_BB, target_B) + F.cross_entropy(logits_BB.T, target_B)) / 2


def triplet(a_BD: Tensor, b_BD: Tensor, margin: float, copies_BB: Tensor) -> Tensor:
    """Return the papers' triplet loss, with the hardest negative of the batch on either side.

    Distances are cosine distances. `copies_BB` as in `info_nce`.
    """
    cosine_BB = _cosines(a_BD, b_BD)
    positive_B = cosine_BB.diagonal()
    eye = torch.eye(len(a_BD), dtype=torch.bool, device=a_BD.device)
    negatives_BB = cosine_BB.masked_fill(copies_BB | eye, -torch.inf)
    losses = [F.relu(margin + negatives_BB.amax(axis) - positive_B) for axis in (0, 1)]
    return torch.stack(losses).mean()


def _cosines(a_BD: Tensor, b_BD: Tensor) -> Tensor:
    """Return the products of rows of unit length in float32 or wider, also under autocast.

    bf16 would round logits near 100 to half a unit, and cosines near 1 to steps of 0.004.
    """
    with torch.autocast(a_BD.device.type, enabled=False):
        dtype = torch.promote_types(a_BD.dtype, torch.float32)
        return a_BD.to(dtype) @ b_BD.to(dtype).T


class ContrastiveLoss(nn.Module):
    """InfoNCE with a learnt scale, or the triplet loss, which has no scale."""

    def __init__(self, triplet_margin: float | None = None, scale: float = 20.0) -> None:
        super().__init__()
        self.margin = triplet_margin
        self.log_scale = nn.Parameter(torch.tensor(scale).log())

    def forward(self, a_BD: Tensor, b_BD: Tensor, copies_BB: Tensor) -> Tensor:
        """Return the loss of rows that match; see `info_nce` and `triplet`."""
        if self.margin is not None:
            return triplet(a_BD, b_BD, self.margin, copies_BB)
        return info_nce(a_BD, b_BD, self.log_scale.exp().clamp(max=_MAX_SCALE), copies_BB)


class StyleLoss(nn.Module):
    """Cross entropy of prototypes against a learnt centre of each style.

    No other loss teaches the prototypes, and with them bank and routers, to tell styles apart.
    ProMoE (arXiv 2510.24711) routes by prototypes with a similar loss.
    """

    def __init__(self, styles: int, width: int, temperature: float = 0.1) -> None:
        super().__init__()
        self.centres_SK = nn.Parameter(torch.randn(styles, width))
        self.temperature = temperature

    def forward(self, prototypes_BK: Tensor, style_B: Tensor) -> Tensor:
        """Return the loss; `style_B` holds the index of each prototype's style."""
        logits_BS = _cosines(prototypes_BK, F.normalize(self.centres_SK, dim=1)) / self.temperature
        return F.cross_entropy(logits_BS, style_B)
