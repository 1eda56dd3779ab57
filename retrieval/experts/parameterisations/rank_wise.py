"""Each rank an expert: SMoRA (arXiv 2501.15103)."""

from __future__ import annotations

from torch import Tensor

from retrieval.experts.parameterisations.base import Experts
from retrieval.experts.routers import Router, Routing, build_router

__all__ = ["RankWiseExperts"]


class RankWiseExperts(Experts):
    """E * R experts of rank 1, as many weights as E of rank R, and a router over all of them.

    `top_k` and `null_experts` of the settings are taken R times, so that as much is computed.
    """

    def shape(self, experts: int) -> tuple[int, int]:
        return experts * self.config.rank, 1

    def build_router(self, width: int, experts: int) -> Router:
        rank = self.config.rank
        finer = {
            "top_k": self.config.top_k * rank,
            "null_experts": self.config.null_experts * rank,
        }
        return build_router(self.config.model_copy(update=finer), width, experts * rank)

    def forward(self, h_XD: Tensor) -> Routing:
        gates_XE, loss = self.router(h_XD)
        # The gates share the same sum among R times as many; equal gates within what was one
        # expert then compute what that expert would.
        return Routing(gates_XE * self.config.rank, loss)
