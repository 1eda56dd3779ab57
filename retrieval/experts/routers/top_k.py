"""The k likeliest experts (GShard, arXiv 2006.16668; Switch, arXiv 2101.03961)."""

from __future__ import annotations

import torch
from torch import Tensor

from retrieval.experts.routers.base import Routed, Router, balance, shares

__all__ = ["TopKRouter", "choose"]


class TopKRouter(Router):
    """Gates of the chosen sum to 1, the others are exactly 0."""

    def forward(self, h_XD: Tensor) -> Routed:
        probs_XE = self.probabilities(h_XD)
        gates_XE, chosen_XE = choose(probs_XE, self.config.top_k)
        return Routed(gates_XE, self.config.balance_weight * balance(probs_XE, shares(chosen_XE)))


def choose(probs_XE: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row, scaled to sum 1 among zeros; and where they are (boolean)."""
    assert k <= probs_XE.shape[-1], "the settings and the allocation see to it"
    best_Xk = probs_XE.topk(k, dim=-1).indices
    chosen_XE = torch.zeros_like(probs_XE, dtype=torch.bool).scatter(-1, best_Xk, True)
    kept_XE = probs_XE * chosen_XE
    total_X1 = kept_XE.sum(-1, keepdim=True)
    if k == 1:
        # p / p is constant: its gradient would tell the router nothing of the task.
        total_X1 = total_X1.detach()
    return kept_XE / total_X1, chosen_XE
