"""The k most likely experts (GShard, arXiv 2006.16668; Switch, arXiv 2101.03961)."""

from __future__ import annotations

from torch import Tensor

from kernels.reference import top_k_gates
from retrieval.experts.routers.base import Router, Routing, Selection, balance_loss, choice_shares

__all__ = ["TopKRouter"]


class TopKRouter(Router):
    """Gates of the chosen experts sum to 1, the others are exactly 0."""

    def choose(self, probs_XF: Tensor) -> Routing:
        gates_XE, chosen_XE = top_k_gates(probs_XF, self.config.top_k)
        loss = self.config.balance_weight * balance_loss(probs_XF, choice_shares(chosen_XE))
        return Routing(gates_XE, loss)

    def selection(self) -> Selection:
        return Selection(k=self.config.top_k)
