"""Hard choice, soft gradient, on attention projections: LoRA-Mixer (arXiv 2507.00029)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from kernels.reference import top_k_gates
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.routers.base import Router, Routing, balance_loss, choice_shares

__all__ = ["LoRAMixerRouter"]


class LoRAMixerRouter(Router):
    """Forward takes the k best experts, backward reaches all of them (hard-soft routing).

    The specialisation balance loss is the load balance plus the mean entropy of single inputs: the
    load of all inputs should be even, and each input certain. Experts may be imported, trained and
    frozen (`retrieval/training/adapters.py`).
    """

    paper = Paper(
        "LoRA-Mixer",
        "2507.00029",
        "hard-soft routing and the specialisation balance loss",
        "experts add to a projection, where the paper puts them in series",
    )
    layers = ("qkv", "out")
    sparse = True

    class Options(MethodOptions):
        """What this method alone needs."""

        specialisation: float = Field(0.1, ge=0, description="Share of the entropy in the loss.")

    options: Options

    @classmethod
    def least_experts(cls, config: ExpertConfig) -> int:
        return config.top_k

    def choose(self, probs_XF: Tensor) -> Routing:
        hard_XE, chosen_XE = top_k_gates(probs_XF.detach(), self.config.top_k)
        gates_XE = hard_XE + probs_XF - probs_XF.detach()
        tiny = torch.finfo(probs_XF.dtype).tiny
        entropy = -(probs_XF * probs_XF.clamp_min(tiny).log()).sum(-1).mean()
        balance = balance_loss(probs_XF, choice_shares(chosen_XE))
        loss = self.config.balance_weight * (balance + self.options.specialisation * entropy)
        return Routing(gates_XE, loss)
