"""Routing enforced by domain: contrastive learning with one expert per domain (arXiv 2401.15713).

B batch, T tokens, E experts, S styles.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.rules.base import Rule, RuleBatch

__all__ = ["DomainRule"]


class DomainRule(Rule):
    """Each style has its expert; a loss on the gates enforces that its pictures go there.

    Style s belongs to expert s modulo the number of experts.
    """

    paper = Paper(
        "Precise Vector Embeddings",
        "2401.15713",
        "enforced routing by domain",
        "a loss teaches the routers, so that serving needs no domain label",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        weight: float = Field(0.1, gt=0, description="Weight of the loss on the gates.")

    options: Options

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if config.router in ("mixer",) or config.parameterisation in ("flylora", "mora"):
            return "teaches a router, and this mixture has none that learns; use router=softmax"
        return None

    def loss(self, batch: RuleBatch) -> Tensor | None:
        losses = []
        for gates in batch.gates.values():
            gates_BE = gates.mean(1) if gates.ndim == 3 else gates
            expert_B = batch.styles_B % gates_BE.shape[-1]
            share_B = gates_BE / gates_BE.sum(-1, keepdim=True).clamp_min(1e-6)
            chosen_B = share_B.gather(-1, expert_B[:, None])[:, 0]
            losses.append(-chosen_B.clamp_min(1e-6).log().mean())
        return self.options.weight * torch.stack(losses).mean() if losses else None
