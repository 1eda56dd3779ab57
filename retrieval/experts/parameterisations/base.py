"""The base of every parameterisation: matrices for `moe_lora_delta`, and a router for the gates.

E experts, R rank, K in, N out, D width of the router's input, X any leading dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.routers import Router, Routing, build_router

__all__ = ["Experts"]


class Experts(nn.Module):
    """`a_ERK`, `b_ENR` and a router; `forward` returns gates (X, E) for inputs (X, D).

    As in LoRA, A is uniform within 1 / sqrt(K) and B is zero, so new experts change nothing. A
    subclass decides the shape of the matrices (`shape`), which experts are routed (`build_router`)
    and how the router's gates become the experts' gates (`forward`).
    """

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__()
        self.config = config
        self.router = self.build_router(width, experts)
        count, rank = self.shape(experts)
        self.a_ERK = nn.Parameter(torch.empty(count, rank, inputs))
        self.b_ENR = nn.Parameter(torch.zeros(count, outputs, rank))
        nn.init.uniform_(self.a_ERK, -(inputs**-0.5), inputs**-0.5)

    def shape(self, experts: int) -> tuple[int, int]:
        """Return E and R of the matrices."""
        return experts, self.config.rank

    def build_router(self, width: int, experts: int) -> Router:
        """Build the router over the experts, for inputs of `width`."""
        return build_router(self.config, width, experts)

    def forward(self, h_XD: Tensor, served: Tensor | None = None) -> Routing:
        """Return the gates (X, E) and the router's loss for inputs (X, D).

        `served` are the router's gates if they are known already.
        """
        return self.router(h_XD, served)
