"""A learnt number of experts per input: MC#'s online top-any pruning (arXiv 2510.10962)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from kernels.reference import top_k_gates
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.routers.base import Router, Routing, linear_fp32

__all__ = ["TopAnyRouter"]


class TopAnyRouter(Router):
    """Among the k best experts, a head chooses how many an input keeps: 1 to k, best first.

    The head is trained with Gumbel noise and a straight-through choice. The loss asks for few
    experts; serving takes the most likely number.
    """

    paper = Paper("MC#", "2510.10962", "online top-any pruning", "trained with the experts")
    sparse = True

    class Options(MethodOptions):
        """What this method alone needs."""

        sparsity: float = Field(0.01, ge=0, description="Weight of the mean number of experts.")

    options: Options

    def __init__(self, config: ExpertConfig, width: int, experts: int) -> None:
        super().__init__(config, width, experts)
        self.counts_kD = nn.Parameter(torch.randn(config.top_k, width) * 0.02)

    @classmethod
    def least_experts(cls, config: ExpertConfig) -> int:
        return config.top_k

    def forward(self, h_XD: Tensor, served_XE: Tensor | None = None) -> Routing:
        gates_XE, _ = top_k_gates(self.probabilities(h_XD), self.config.top_k)
        logits_Xk = linear_fp32(h_XD, self.counts_kD)
        soft_Xk = logits_Xk.softmax(-1)
        if self.training:
            choice_Xk = nn.functional.gumbel_softmax(logits_Xk, hard=True)
        else:
            choice_Xk = nn.functional.one_hot(soft_Xk.argmax(-1), self.config.top_k).float()
        # Rank r of the best experts is kept if the chosen count is above r.
        kept_Xk = choice_Xk.flip(-1).cumsum(-1).flip(-1)
        best_Xk = gates_XE.topk(self.config.top_k, dim=-1).indices
        kept_XE = torch.zeros_like(gates_XE).scatter(-1, best_Xk, kept_Xk)
        gates_XE = gates_XE * kept_XE
        # Detached: with a single kept expert, g / g would be constant and teach nothing.
        gates_XE = gates_XE / gates_XE.sum(-1, keepdim=True).detach().clamp_min(1e-9)
        counts = torch.arange(1, self.config.top_k + 1, device=h_XD.device)
        few = self.options.sparsity * (soft_Xk * counts).sum(-1).mean()
        return Routing(gates_XE, few)
