"""As many experts as the uncertainty asks for: DynMoLE (arXiv 2504.00661, hybrid routing)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from kernels.reference import top_p_gates
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.routers.base import Router, Routing, balance_loss, choice_shares

__all__ = ["DynMoLERouter", "tsallis_entropy"]


class DynMoLERouter(Router):
    """All experts where the Tsallis entropy is above a threshold, else the fewest that reach top_p.

    The entropy is divided by its largest value, so the threshold is in [0, 1]. The loss adds the
    mean entropy to the load balance: routers should become certain.
    """

    paper = Paper("DynMoLE", "2504.00661", "hybrid routing by Tsallis entropy and its loss")
    sparse = True

    class Options(MethodOptions):
        """What this method alone needs."""

        threshold: float = Field(0.9, ge=0, le=1, description="Entropy above which all are kept.")
        order: float = Field(1.1, gt=0, description="Order q of the Tsallis entropy; not 1.")

    options: Options

    def choose(self, probs_XF: Tensor) -> Routing:
        entropy_X = tsallis_entropy(probs_XF, self.options.order)
        sparse_XE, chosen_XE = top_p_gates(probs_XF, self.config.top_p)
        sparse_XE = sparse_XE / sparse_XE.sum(-1, keepdim=True)
        uncertain_X1 = (entropy_X > self.options.threshold)[..., None]
        gates_XE = torch.where(uncertain_X1, probs_XF, sparse_XE)
        share_E = choice_shares(chosen_XE | uncertain_X1)
        loss = self.config.balance_weight * balance_loss(probs_XF, share_E)
        return Routing(gates_XE, loss + self.config.entropy_weight * entropy_X.mean())


def tsallis_entropy(probs_XF: Tensor, order: float) -> Tensor:
    """Return the Tsallis entropy (X) of order q in units of its largest value, in [0, 1]."""
    count = probs_XF.shape[-1]
    if count == 1:
        return probs_XF.sum(-1) * 0
    tiny = torch.finfo(probs_XF.dtype).tiny
    powers_X = probs_XF.clamp_min(tiny).pow(order).sum(-1)
    return (1 - powers_X) / (1 - count ** (1 - order))
