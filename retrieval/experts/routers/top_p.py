"""As many experts as the uncertainty asks for.

Huang et al., "Harder Tasks Need More Experts" (arXiv 2403.07652, section 3); DynMoLE (arXiv
2504.00661) does the same with LoRA experts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from retrieval.experts.routers.base import Routed, Router, balance, shares

__all__ = ["TopPRouter"]

# What rounding may add to or take from a cumulative sum of float32 probabilities.
_ROUNDING = 1e-6


class TopPRouter(Router):
    """The fewest experts whose probabilities reach p; their gates are those probabilities.

    So gates sum to between p and 1. The loss also holds the mean entropy: without it the router
    could buy more experts for every input by staying undecided.
    """

    def forward(self, h_XD: Tensor) -> Routed:
        probs_XE = self.probabilities(h_XD)
        sorted_XE, order_XE = probs_XE.sort(dim=-1, descending=True)
        before_XE = sorted_XE.cumsum(-1) - sorted_XE
        needed_XE = before_XE < self.config.top_p - _ROUNDING
        chosen_XE = torch.zeros_like(needed_XE).scatter(-1, order_XE, needed_XE)
        loss = self.config.balance_weight * balance(probs_XE, shares(chosen_XE))
        # The log's slope at a probability of 0 is infinite: it is cut off where floats end.
        tiny = torch.finfo(probs_XE.dtype).tiny
        entropy = -(probs_XE * probs_XE.clamp_min(tiny).log()).sum(-1).mean()
        return Routed(probs_XE * chosen_XE, loss + self.config.entropy_weight * entropy)
