"""Gates that trust certain experts: MoFME's uncertainty-aware router (arXiv 2312.16610)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.routers.base import Router, Routing, linear_fp32

__all__ = ["UncertainRouter"]


class UncertainRouter(Router):
    """Several passes with dropout give each expert's gate a mean and a variance.

    Gates are the means, divided by the deviation and normalised: an expert about which the passes
    disagree counts less. The dropout masks come from a seed, so an encoder stays deterministic.
    """

    paper = Paper(
        "MoFME",
        "2312.16610",
        "uncertainty-aware router by Monte Carlo dropout",
        "the masks are fixed while serving",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        passes: int = Field(8, ge=2, le=64, description="Passes with dropout.")
        dropout: float = Field(0.1, gt=0, lt=1, description="Share of inputs that a pass drops.")

    options: Options

    def __init__(self, config: ExpertConfig, width: int, experts: int) -> None:
        super().__init__(config, width, experts)
        generator = torch.Generator().manual_seed(0)
        keep = 1 - self.options.dropout
        mask_SD = (torch.rand(self.options.passes, width, generator=generator) < keep) / keep
        self.register_buffer("mask_SD", mask_SD, persistent=False)

    def passes(self, h_XD: Tensor) -> Tensor:
        """Return the probabilities (S, X, E) of every pass."""
        mask_SD: Tensor = self.mask_SD  # type: ignore[assignment]
        if self.training:
            mask_SD = F.dropout(torch.ones_like(mask_SD), self.options.dropout)
        ones = (1,) * (h_XD.ndim - 1)
        dropped = h_XD.float() * mask_SD.reshape(len(mask_SD), *ones, -1)
        return self.softmax(linear_fp32(dropped, self.weight))

    def probabilities(self, h_XD: Tensor) -> Tensor:
        probs_SXE = self.passes(h_XD)
        trusted_XE = probs_SXE.mean(0) / (probs_SXE.std(0) + 1e-2)
        return trusted_XE / trusted_XE.sum(-1, keepdim=True)

    def choose(self, probs_XF: Tensor) -> Routing:
        return Routing(probs_XF, probs_XF.new_zeros(()))
