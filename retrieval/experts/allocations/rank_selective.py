"""Importance by rank with a soft threshold: CoDyRA (arXiv 2412.01004, dynamic rank-selective LoRA).

E experts, R rank, K in, N out.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from retrieval.experts.allocations.base import Allocation, RankGate
from retrieval.experts.paper import MethodOptions, Paper

__all__ = ["RankImportance", "RankSelectiveAllocation", "merge"]


class RankImportance(RankGate):
    """A trained importance for each rank; what is below the threshold becomes zero."""

    def __init__(self, experts: int, rank: int, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.importance_ER = nn.Parameter(torch.ones(experts, rank))

    def forward(self) -> Tensor:
        return self.importance_ER

    @torch.no_grad()
    def after_step(self) -> None:
        shrunk_ER = (self.importance_ER.abs() - self.threshold).clamp_min(0)
        self.importance_ER.copy_(self.importance_ER.sign() * shrunk_ER)


class RankSelectiveAllocation(Allocation):
    """Each layer keeps as many ranks as it needs.

    With a single expert, `merge` adds the update to the frozen layer, and inference costs nothing.
    """

    paper = Paper(
        "CoDyRA",
        "2412.01004",
        "sparsity-promoting rank importance",
        "the threshold does not follow a schedule",
    )
    learnt = True

    class Options(MethodOptions):
        """What this method alone needs."""

        threshold: float = Field(1e-3, gt=0, description="Soft threshold of importance per step.")

    options: Options

    def build_rank_gate(self, experts: int, rank: int) -> RankGate:
        return RankImportance(experts, rank, self.options.threshold)


@torch.no_grad()
def merge(weight_NK: Tensor, a_ERK: Tensor, b_ENR: Tensor, gates_E: Tensor, scale: float) -> Tensor:
    """Return W + scale * sum_e g_e B_e A_e: one layer for gates that no input changes."""
    return weight_NK + scale * torch.einsum("e,enr,erk->nk", gates_E, b_ENR, a_ERK)
