"""More experts where the router is less certain.

Huang et al., "Harder Tasks Need More Experts" (arXiv 2403.07652, section 3); DynMoLE (arXiv
2504.00661) does the same with LoRA experts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference import top_p_gates
from retrieval.experts.paper import Paper
from retrieval.experts.routers.base import Router, Routing, Selection, balance_loss, choice_shares

__all__ = ["TopPRouter"]


class TopPRouter(Router):
    """The fewest experts whose probabilities reach p; their gates are those probabilities.

    So gates sum to between p and 1. The loss includes the mean entropy: without it the router
    could get more experts for every input by staying undecided.
    """

    paper = Paper("Harder Tasks Need More Experts", "2403.07652", "section 3")
    sparse = True

    def choose(self, probs_XF: Tensor) -> Routing:
        gates_XE, chosen_XE = top_p_gates(probs_XF, self.config.top_p)
        loss = self.config.balance_weight * balance_loss(probs_XF, choice_shares(chosen_XE))
        # The log's slope is infinite at a probability of 0, so probabilities are clamped.
        tiny = torch.finfo(probs_XF.dtype).tiny
        entropy = -(probs_XF * probs_XF.clamp_min(tiny).log()).sum(-1).mean()
        return Routing(gates_XE, loss + self.config.entropy_weight * entropy)

    def selection(self) -> Selection | None:
        return None if self.shift_F is not None else Selection(p=self.config.top_p)
