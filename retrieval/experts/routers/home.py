"""A hierarchy of gates: HoME (arXiv 2408.05430); its experts are form `normalised`."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.routers.base import Router, Routing, linear_fp32

__all__ = ["HierarchicalRouter"]


class HierarchicalRouter(Router):
    """A meta gate shares an input among groups of experts, and a gate within each group goes on.

    The gate of an expert is the product, so the gates of a group sum to the group's gate.
    """

    paper = Paper(
        "HoME",
        "2408.05430",
        "hierarchy of gates",
        "the groups are parts of one layer's experts, not levels of towers for tasks",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        groups: int = Field(2, ge=1, description="Groups of experts, of nearly equal sizes.")

    options: Options

    def __init__(self, config: ExpertConfig, width: int, experts: int) -> None:
        super().__init__(config, width, experts)
        groups = min(self.options.groups, experts)
        self.groups_GD = nn.Parameter(torch.randn(groups, width) * 0.02)
        self.register_buffer("group_E", torch.arange(experts) * groups // experts, persistent=False)

    def probabilities(self, h_XD: Tensor) -> Tensor:
        groups_XG = (linear_fp32(h_XD, self.groups_GD) / self.config.temperature).softmax(-1)
        logits_XE = linear_fp32(h_XD, self.weight) / self.config.temperature
        if self.shift_F is not None:
            logits_XE = logits_XE + self.shift_F
        shares = []
        for g in range(len(self.groups_GD)):
            member_E = self.group_E == g
            shares.append(groups_XG[..., g : g + 1] * logits_XE[..., member_E].softmax(-1))
        return torch.cat(shares, dim=-1)

    def choose(self, probs_XF: Tensor) -> Routing:
        return Routing(probs_XF, probs_XF.new_zeros(()))
