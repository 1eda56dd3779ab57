"""Some experts serve all inputs: DeepSeekMoE (arXiv 2401.06066, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from retrieval.experts.paper import Paper
from retrieval.experts.parameterisations.base import LowRankExperts
from retrieval.experts.routers import Router, Routing, build_router

__all__ = ["SharedExperts"]


class SharedExperts(LowRankExperts):
    """The first `shared` of the E experts are always on with gate 1; the others are routed."""

    paper = Paper("DeepSeekMoE", "2401.06066", "section 3.2")

    def build_router(self, width: int, experts: int) -> Router:
        return build_router(self.config, width, experts - self.config.shared)

    def forward(self, h_XD: Tensor, served: Tensor | None = None) -> Routing:
        gates_XE, loss = super().forward(h_XD, served)
        shared_gates = gates_XE.new_ones(*gates_XE.shape[:-1], self.config.shared)
        return Routing(torch.cat([shared_gates, gates_XE], dim=-1), loss)
