"""Rank units of all experts, clustered: LoRA-LEGO (arXiv 2409.16167, minimal semantic units).

E experts, R rank, U = E x R units, F clusters, K in, N out.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from retrieval.experts.clusters import cluster
from retrieval.experts.compression.base import Calibration, Compact, Compression
from retrieval.experts.paper import MethodOptions, Paper

__all__ = ["LoRALego"]


class LoRALego(Compression):
    """A rank with its row of A and its column of B is a unit; alike units become one.

    The order of experts and of ranks makes no difference. If every unit is kept, nothing changes.
    The gate of a cluster sums those of its units.
    """

    paper = Paper(
        "LoRA-LEGO",
        "2409.16167",
        "rank-wise clustering with reweighting",
        "clusters keep their gates, so the result is a mixture and not a single adapter",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        keep: float = Field(0.5, gt=0, le=1, description="Share of rank units that remain.")

    options: Options

    def compress(self, a_ERK: Tensor, b_ENR: Tensor, sample: Calibration) -> Compact:
        count, rank = a_ERK.shape[:2]
        a_UK, b_UN = a_ERK.flatten(0, 1), b_ENR.mT.flatten(0, 1)
        expert_U = torch.arange(count, device=a_UK.device).repeat_interleave(rank)
        # A unit is its product, so its two halves get the same length.
        length_a, length_b = (x.norm(dim=-1).clamp_min(1e-12) for x in (a_UK, b_UN))
        even_U1 = (length_b / length_a).sqrt()[:, None]
        units_UW = torch.cat([a_UK * even_U1, b_UN / even_U1.clamp_min(1e-12)], dim=-1)
        clusters = max(1, round(self.options.keep * len(units_UW)))
        cluster_U = cluster(units_UW, clusters)
        centres, mixes = [], []
        for c in range(clusters):
            member_U = cluster_U == c
            centre_W = units_UW[member_U].mean(0) if member_U.any() else units_UW[0] * 0
            # Averages are shorter than their members: the paper's reweighting restores the length.
            length = units_UW[member_U].norm(dim=-1).mean() if member_U.any() else 0.0
            centres.append(centre_W * (length / centre_W.norm().clamp_min(1e-12)))
            mixes.append(torch.bincount(expert_U[member_U], minlength=count).to(a_UK.dtype))
        centres_FW = torch.stack(centres)
        a_F1K = centres_FW[:, None, : a_UK.shape[1]]
        return Compact(a_F1K, centres_FW[:, a_UK.shape[1] :, None], torch.stack(mixes, dim=1))
