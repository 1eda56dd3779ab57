"""The k likeliest experts (GShard, arXiv 2006.16668; Switch, arXiv 2101.03961)."""

from __future__ import annotations

from torch import Tensor

from kernels.reference import top_k_gates
from retrieval.experts.routers.base import Router, Routing, balance, shares

__all__ = ["TopKRouter"]


class TopKRouter(Router):
    """Gates of the chosen sum to 1, the others are exactly 0."""

    def routed(self, probs_XF: Tensor) -> Routing:
        gates_XE, chosen_XE = top_k_gates(probs_XF, self.config.top_k)
        return Routing(gates_XE, self.config.balance_weight * balance(probs_XF, shares(chosen_XE)))

    def served(self, h_XD: Tensor) -> Tensor:
        return self._served(h_XD, k=self.config.top_k)
