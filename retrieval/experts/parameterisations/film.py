"""An expert is a scale and a shift: MoFME (arXiv 2312.16610, feature-wise modulation).

E experts, N out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Paper
from retrieval.experts.parameterisations.base import Experts, spread_gates

__all__ = ["FiLMExperts"]


class FiLMExperts(Experts):
    """y' = y + sum_e g_e (gamma_e * y + beta_e): 2 N parameters an expert over one shared layer."""

    paper = Paper(
        "MoFME",
        "2312.16610",
        "feature-wise linear modulated experts",
        "each expert modulates a layer of the tower instead of a shared block of its own",
    )

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__(config, inputs, outputs, width, experts)
        self.gamma_EN = nn.Parameter(torch.zeros(experts, outputs))
        self.beta_EN = nn.Parameter(torch.zeros(experts, outputs))

    def change(self, x: Tensor, y: Tensor, gates: Tensor, weight_NK: Tensor | None) -> Tensor:
        gates = spread_gates(gates, x).to(y.dtype)
        return (gates @ self.gamma_EN.to(y.dtype)) * y + gates @ self.beta_EN.to(y.dtype)
