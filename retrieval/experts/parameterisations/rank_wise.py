"""Each rank is an expert: SMoRA (arXiv 2501.15103)."""

from __future__ import annotations

from torch import Tensor

from retrieval.experts.paper import Paper
from retrieval.experts.parameterisations.base import LowRankExperts
from retrieval.experts.routers import Router, Routing, build_router

__all__ = ["RankWiseExperts"]


class RankWiseExperts(LowRankExperts):
    """E * R experts of rank 1 with a router over all of them: the weights of E experts of rank R.

    `top_k` and `null_experts` of the settings are multiplied by R, so that the amount of
    computation stays the same.
    """

    paper = Paper("SMoRA", "2501.15103", "each rank an expert", "all ranks are computed; see smora")

    def shape(self, experts: int) -> tuple[int, int]:
        return experts * self.config.rank, 1

    def build_router(self, width: int, experts: int) -> Router:
        rank = self.config.rank
        multiplied = {
            "top_k": self.config.top_k * rank,
            "null_experts": self.config.null_experts * rank,
        }
        return build_router(self.config.model_copy(update=multiplied), width, experts * rank)

    def forward(self, h_XD: Tensor, served: Tensor | None = None) -> Routing:
        gates_XE, loss = super().forward(h_XD, served)
        # The gates have the same sum but are R times as many, so each is multiplied by R. Then R
        # equal gates compute the same as the single gate of an expert of rank R.
        return Routing(gates_XE * self.config.rank, loss)
