"""Bits by outlier score: QuantMoE-Bench (arXiv 2406.08155, outlier-aware weight scorer).

E experts, R rank, K in, N out.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from retrieval.experts.compression.base import Calibration, Compact, Compression
from retrieval.experts.compression.quantise import quantise_experts
from retrieval.experts.paper import MethodOptions, Paper

__all__ = ["QuantMoE"]


class QuantMoE(Compression):
    """The experts with the strongest outliers get more bits, because outliers stretch the grid."""

    paper = Paper(
        "QuantMoE-Bench",
        "2406.08155",
        "outlier-aware weight scorer",
        "no block predictor; values lie on the grid of their bits but are stored as floats",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        high_bits: int = Field(8, ge=1, le=16, description="Bits of experts with outliers.")
        low_bits: int = Field(3, ge=1, le=16, description="Bits of the others.")
        share: float = Field(0.25, ge=0, le=1, description="Share of experts with high bits.")

    options: Options

    def outlier_scores(self, a_ERK: Tensor, b_ENR: Tensor) -> Tensor:
        """Return the largest ratio (E) of a row's largest value to its mean, over A and B."""
        ratios = [
            (m.abs().amax(-1) / m.abs().mean(-1).clamp_min(1e-12)).amax(-1) for m in (a_ERK, b_ENR)
        ]
        return torch.maximum(*ratios)

    def compress(self, a_ERK: Tensor, b_ENR: Tensor, sample: Calibration) -> Compact:
        count = round(self.options.share * len(a_ERK))
        high = set(self.outlier_scores(a_ERK, b_ENR).topk(count).indices.tolist())
        bits = [
            self.options.high_bits if e in high else self.options.low_bits
            for e in range(len(a_ERK))
        ]
        return quantise_experts(a_ERK, b_ENR, bits)
