"""The k most likely experts (GShard, arXiv 2006.16668; Switch, arXiv 2101.03961)."""

from __future__ import annotations

from torch import Tensor

from kernels.reference import top_k_gates
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Paper
from retrieval.experts.routers.base import Router, Routing, Selection, balance_loss, choice_shares

__all__ = ["TopKRouter"]


class TopKRouter(Router):
    """Gates of the chosen experts sum to 1, the others are exactly 0."""

    paper = Paper("GShard", "2006.16668", "top-k gating and load balance")
    sparse = True

    @classmethod
    def least_experts(cls, config: ExpertConfig) -> int:
        return config.top_k

    def choose(self, probs_XF: Tensor) -> Routing:
        gates_XE, chosen_XE = top_k_gates(probs_XF, self.config.top_k)
        loss = self.config.balance_weight * balance_loss(probs_XF, choice_shares(chosen_XE))
        return Routing(gates_XE, loss)

    def selection(self) -> Selection | None:
        return None if self.shift_F is not None else Selection(k=self.config.top_k)
