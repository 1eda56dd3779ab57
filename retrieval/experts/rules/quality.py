"""Prototypes of the distortion and not of the content: Re-IQA's quality encoder (arXiv 2304.00451).

B batch, K prototype width.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.rules.base import Rule, RuleBatch

__all__ = ["QualityRule"]


class QualityRule(Rule):
    """Contrastive loss on the prototypes: one distortion of other figures is alike.

    The same figure in another style is a negative, so the prototype has to ignore the content.
    """

    paper = Paper(
        "Re-IQA",
        "2304.00451",
        "quality-aware contrastive module",
        "styles are the distortions; the paper's overlapping crops are not drawn",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        weight: float = Field(0.1, gt=0, description="Weight of the loss.")
        temperature: float = Field(0.1, gt=0, description="Divisor of the cosines.")

    options: Options

    def loss(self, batch: RuleBatch) -> Tensor | None:
        logits_BB = batch.prototypes_BK.float() @ batch.prototypes_BK.float().T
        logits_BB = logits_BB / self.options.temperature
        own_BB = torch.eye(len(logits_BB), dtype=torch.bool, device=logits_BB.device)
        same_figure_BB = batch.figures_B[:, None] == batch.figures_B
        positive_BB = (batch.styles_B[:, None] == batch.styles_B) & ~same_figure_BB
        log_share_BB = logits_BB.masked_fill(own_BB, -torch.inf).log_softmax(-1)
        count_B = positive_BB.sum(-1)
        if not count_B.any():
            return None
        total_B = torch.where(positive_BB, log_share_BB, 0.0).sum(-1)
        return -self.options.weight * (total_B / count_B.clamp_min(1))[count_B > 0].mean()
