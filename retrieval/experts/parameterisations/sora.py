"""Ranks with a gate that can close: SoRA (arXiv 2311.11696, proximal step).

E experts, R rank.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.parameterisations.base import LowRankExperts

__all__ = ["SoRAExperts"]


class SoRAExperts(LowRankExperts):
    """Each rank has a gate with an L1 penalty, applied as a proximal step after the optimiser's.

    The proximal step is a soft threshold, so gates become exactly zero, and `pruned` without those
    ranks computes the same.
    """

    paper = Paper("SoRA", "2311.11696", "sparse low-rank adaptation", "the threshold is constant")

    class Options(MethodOptions):
        """What this method alone needs."""

        threshold: float = Field(1e-3, gt=0, description="Soft threshold of the gates per step.")

    options: Options

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__(config, inputs, outputs, width, experts)
        self.gate_ER = nn.Parameter(torch.ones(self.a_ERK.shape[:2]))

    def matrices(self) -> tuple[Tensor, Tensor]:
        a_ERK, b_ENR = super().matrices()
        return a_ERK * self.gate_ER[..., None], b_ENR

    @torch.no_grad()
    def after_step(self) -> None:
        super().after_step()
        shrunk_ER = (self.gate_ER.abs() - self.options.threshold).clamp_min(0)
        self.gate_ER.copy_(self.gate_ER.sign() * shrunk_ER)

    def pruned(self) -> list[tuple[Tensor, Tensor]]:
        """Return A (r, K) and B (N, r) of each expert, without the ranks whose gate is zero."""
        a_ERK, b_ENR = self.matrices()
        kept_ER = self.gate_ER != 0
        return [(a[kept], b[:, kept]) for a, b, kept in zip(a_ERK, b_ENR, kept_ER, strict=True)]
