"""Experts are slices of the dense layer: Dynamic-DINO (arXiv 2507.17436).

E experts, K in, N out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Paper
from retrieval.experts.parameterisations.base import Experts, spread_gates

__all__ = ["SplitExperts"]


class SplitExperts(Experts):
    """The K inputs of a layer are split into E slices; a slice with its columns is an expert.

    y = sum_e m_e W_e x_e, where m_e = 1 + s (E g_e - 1). The strength s starts at 0, where the sum
    is the dense layer; so it is for any s when all gates are equal. At strength 1, an expert
    without a gate is left out.
    """

    paper = Paper(
        "Dynamic-DINO",
        "2507.17436",
        "granularity decomposition and start from the dense weights",
        "the slices stay frozen; the router and the strength are trained",
    )
    needs_weight = True
    places = ("depth",)

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__(config, inputs, outputs, width, experts)
        self.strength = nn.Parameter(torch.zeros(()))
        expert_K = torch.arange(inputs) * experts // inputs
        self.expert_K: Tensor
        self.register_buffer("expert_K", expert_K, persistent=False)

    def multipliers(self, gates: Tensor) -> Tensor:
        """Return m (..., E), what each slice's output is multiplied with."""
        return 1 + self.strength * (self.count * gates - 1)

    def change(self, x: Tensor, y: Tensor, gates: Tensor, weight_NK: Tensor | None) -> Tensor:
        assert weight_NK is not None
        change = (self.multipliers(spread_gates(gates, x)) - 1)[..., self.expert_K]
        return nn.functional.linear(x * change.to(x.dtype), weight_NK)
