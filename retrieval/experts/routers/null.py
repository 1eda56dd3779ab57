"""Null experts stand for using fewer: AdaMoE (arXiv 2406.13233, section 3)."""

from __future__ import annotations

from torch import Tensor

from kernels.reference import top_k_gates
from retrieval.experts.config import ExpertConfig
from retrieval.experts.routers.base import Router, Routing, balance, shares

__all__ = ["NullRouter"]


class NullRouter(Router):
    """Top-k over E experts and some null experts that compute nothing and get no gate.

    Between 0 and k of the gates (X, E) are not 0, and they sum to at most 1. They are normalised
    over all k chosen, nulls included, unlike AdaMoE, which divides by the real ones' sum: it has
    to keep a pretrained model's scale, while our experts start at zero, and this way the task
    itself teaches the router how much of an input to leave alone.
    """

    def __init__(self, config: ExpertConfig, width: int, experts: int) -> None:
        super().__init__(config, width, experts, idle=config.null_experts)

    def routed(self, probs_XF: Tensor) -> Routing:
        gates_XF, chosen_XF = top_k_gates(probs_XF, self.config.top_k)  # experts, then nulls
        share_F = shares(chosen_XF)
        # Which of the nulls is taken makes no difference, so they are balanced by their mean load.
        share_F[self.experts :] = share_F[self.experts :].mean()
        loss = self.config.balance_weight * balance(probs_XF, share_F)
        return Routing(gates_XF[..., : self.experts], loss)

    def served(self, h_XD: Tensor) -> Tensor:
        return self._served(h_XD, k=self.config.top_k)
