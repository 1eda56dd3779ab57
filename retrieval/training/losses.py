"""What training makes small.

B batch, D width of the vectors, S styles, K prototype width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ContrastiveLoss", "StyleLoss", "info_nce", "triplet"]

_HIGHEST_SCALE = 100.0  # as CLIP bounds it (arXiv 2103.00020, section 2.5)


def info_nce(a_BD: Tensor, b_BD: Tensor, scale: Tensor | float, same_BB: Tensor) -> Tensor:
    """Symmetric InfoNCE of unit vectors, row i of `a` belonging to row i of `b`.

    `same_BB` is true where two rows are so alike that neither is a negative of the other; its
    diagonal is not looked at.
    """
    # not under autocast: bf16 resolves logits of 100 to half a unit only
    with torch.autocast(a_BD.device.type, enabled=False):
        wide = torch.promote_types(a_BD.dtype, torch.float32)
        logits_BB = scale * a_BD.to(wide) @ b_BD.to(wide).T
    excluded = same_BB & ~torch.eye(len(a_BD), dtype=torch.bool, device=a_BD.device)
    logits_BB = logits_BB.masked_fill(excluded, -torch.inf)
    target_B = torch.arange(len(a_BD), device=a_BD.device)
    return (F.cross_entropy(logits_BB, target_B) + F.cross_entropy(logits_BB.T, target_B)) / 2


def triplet(a_BD: Tensor, b_BD: Tensor, margin: float, same_BB: Tensor) -> Tensor:
    """The papers' loss: cosine distance, and the hardest negative of the batch on either side."""
    cosine_BB = a_BD @ b_BD.T
    own_B = cosine_BB.diagonal()
    eye = torch.eye(len(a_BD), dtype=torch.bool, device=a_BD.device)
    others_BB = cosine_BB.masked_fill(same_BB | eye, -torch.inf)
    losses = [F.relu(margin + others_BB.amax(axis) - own_B) for axis in (0, 1)]
    return torch.stack(losses).mean()


class ContrastiveLoss(nn.Module):
    """InfoNCE with a learned temperature, or the triplet loss, which has none."""

    def __init__(self, triplet_margin: float | None = None, scale: float = 20.0) -> None:
        super().__init__()
        self.margin = triplet_margin
        self.log_scale = nn.Parameter(torch.tensor(scale).log())

    def forward(self, a_BD: Tensor, b_BD: Tensor, same_BB: Tensor) -> Tensor:
        if self.margin is not None:
            return triplet(a_BD, b_BD, self.margin, same_BB)
        return info_nce(a_BD, b_BD, self.log_scale.exp().clamp(max=_HIGHEST_SCALE), same_BB)


class StyleLoss(nn.Module):
    """Cross entropy of prototypes against a learned centre for each style.

    Without it nothing tells the bank's keys and the routers apart what the styles are; ProMoE
    (arXiv 2510.24711) routes by prototypes with a loss of this kind.
    """

    def __init__(self, styles: int, width: int, temperature: float = 0.1) -> None:
        super().__init__()
        self.centres_SK = nn.Parameter(torch.randn(styles, width))
        self.temperature = temperature

    def forward(self, prototypes_BK: Tensor, style_B: Tensor) -> Tensor:
        logits_BS = prototypes_BK @ F.normalize(self.centres_SK, dim=1).T / self.temperature
        return F.cross_entropy(logits_BS, style_B)
