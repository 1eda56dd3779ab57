"""As many experts as the uncertainty asks for.

Huang et al., "Harder Tasks Need More Experts" (arXiv 2403.07652, section 3); DynMoLE (arXiv
2504.00661) does the same with LoRA experts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference import top_p_gates
from retrieval.experts.routers.base import Router, Routing, balance, shares

__all__ = ["TopPRouter"]


class TopPRouter(Router):
    """The fewest experts whose probabilities reach p; their gates are those probabilities.

    So gates sum to between p and 1. The loss also holds the mean entropy: without it the router
    could buy more experts for every input by staying undecided.
    """

    def routed(self, probs_XF: Tensor) -> Routing:
        gates_XE, chosen_XE = top_p_gates(probs_XF, self.config.top_p)
        loss = self.config.balance_weight * balance(probs_XF, shares(chosen_XE))
        # The log's slope at a probability of 0 is infinite: it is cut off where floats end.
        tiny = torch.finfo(probs_XF.dtype).tiny
        entropy = -(probs_XF * probs_XF.clamp_min(tiny).log()).sum(-1).mean()
        return Routing(gates_XE, loss + self.config.entropy_weight * entropy)

    def served(self, h_XD: Tensor) -> Tensor:
        return self._served(h_XD, p=self.config.top_p)
