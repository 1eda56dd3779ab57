"""Learnt prototypes choose the experts: ProMoE (arXiv 2510.24711, two-step router)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from kernels.reference import top_k_gates
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.routers.base import Router, Routing, linear_fp32

__all__ = ["ProMoERouter"]


class ProMoERouter(Router):
    """First a partition, then the nearest prototypes by cosine.

    Expert 0 serves the unconditional inputs alone: those whose cosine to every prototype is below
    `condition`. The others choose the k nearest of the conditional experts. The routing contrastive
    loss pulls the mean of the inputs of an expert to its prototype and from the others'.
    """

    paper = Paper(
        "ProMoE",
        "2510.24711",
        "conditional routing, prototypical routing, routing contrastive loss",
        "an encoder has no unconditional samples; inputs far from every prototype take their place",
    )
    sparse = True

    class Options(MethodOptions):
        """What this method alone needs."""

        condition: float = Field(0.0, ge=-1, le=1, description="Cosine of conditional inputs.")
        contrast: float = Field(0.1, ge=0, description="Weight of the routing contrastive loss.")

    options: Options

    @classmethod
    def least_experts(cls, config: ExpertConfig) -> int:
        return config.top_k + 1

    def cosines(self, h_XD: Tensor) -> Tensor:
        """Return the cosines (X, E - 1) of inputs and the prototypes of the conditional experts."""
        return linear_fp32(F.normalize(h_XD.float(), dim=-1), F.normalize(self.weight[1:], dim=-1))

    def forward(self, h_XD: Tensor, served_XE: Tensor | None = None) -> Routing:
        cosine_XC = self.cosines(h_XD)
        logits_XC = cosine_XC / self.config.temperature
        if self.shift_F is not None:
            logits_XC = logits_XC + self.shift_F[1:]
        gates_XC, chosen_XC = top_k_gates(logits_XC.softmax(-1), self.config.top_k)
        conditional_X1 = (cosine_XC.amax(-1, keepdim=True) >= self.options.condition).to(gates_XC)
        gates_XE = torch.cat([1 - conditional_X1, gates_XC * conditional_X1], dim=-1)
        return Routing(gates_XE, self.options.contrast * self._contrast(h_XD, chosen_XC))

    def _contrast(self, h_XD: Tensor, chosen_XC: Tensor) -> Tensor:
        """Return the contrastive loss of each chosen expert's mean input and the prototypes."""
        h_MD, chosen_MC = h_XD.flatten(0, -2).float(), chosen_XC.flatten(0, -2).float()
        used_C = chosen_MC.sum(0) > 0
        mean_CD = (chosen_MC.T @ h_MD) / chosen_MC.sum(0).clamp_min(1)[:, None]
        logits_CC = self.cosines(mean_CD) / self.config.temperature
        target_C = torch.arange(len(logits_CC), device=h_XD.device)
        return F.cross_entropy(logits_CC[used_C], target_C[used_C])
