"""Null experts let an input use fewer experts: AdaMoE (arXiv 2406.13233, section 3)."""

from __future__ import annotations

from torch import Tensor

from kernels.reference import top_k_gates
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Paper
from retrieval.experts.routers.base import Router, Routing, Selection, balance_loss, choice_shares

__all__ = ["NullRouter"]


class NullRouter(Router):
    """Top-k over E experts and some null experts that compute nothing and get no gate.

    At most k of the gates (X, E) are not 0, and their sum is at most 1: gates are normalised over
    all k chosen experts, null experts included. AdaMoE normalises over the chosen real experts
    only, because it must keep the scale of a pretrained model. Our experts start at zero, so the
    router can learn from the task how much the experts should change an input.
    """

    paper = Paper(
        "AdaMoE", "2406.13233", "section 3", "gates are normalised over the null experts too"
    )
    sparse = True

    @classmethod
    def least_experts(cls, config: ExpertConfig) -> int:
        return max(1, config.top_k - config.null_experts)

    def __init__(self, config: ExpertConfig, width: int, experts: int) -> None:
        super().__init__(config, width, experts, null_experts=config.null_experts)

    def choose(self, probs_XF: Tensor) -> Routing:
        gates_XF, chosen_XF = top_k_gates(probs_XF, self.config.top_k)
        share_F = choice_shares(chosen_XF)
        # Null experts are interchangeable, so each of them gets their mean load.
        share_F[self.experts :] = share_F[self.experts :].mean()
        loss = self.config.balance_weight * balance_loss(probs_XF, share_F)
        return Routing(gates_XF[..., : self.experts], loss)

    def selection(self) -> Selection | None:
        return None if self.shift_F is not None else Selection(k=self.config.top_k)
