"""Prune by gate times output norm on a few examples: EASY-EP (arXiv 2504.06792).

E experts, F kept, X sampled inputs, K in, N out.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from retrieval.experts.compression.base import Calibration, Compact, Compression
from retrieval.experts.paper import MethodOptions, Paper

__all__ = ["EasyEP"]


class EasyEP(Compression):
    """An expert matters by the sum of g_e |B_e A_e x|; the least important experts are dropped.

    Inputs count by how much all experts together change them.
    """

    paper = Paper(
        "EASY-EP",
        "2504.06792",
        "output-aware expert importance, token contribution",
        "a token's contribution is the size of the change relative to the token",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        keep: float = Field(0.5, gt=0, le=1, description="Share of experts that remain.")

    options: Options

    def importance(self, a_ERK: Tensor, b_ENR: Tensor, sample: Calibration) -> Tensor:
        """Return the importance (E) of each expert."""
        outputs_EXN = torch.einsum("xk,erk,enr->exn", sample.x_XK, a_ERK, b_ENR)
        gated_EXN = outputs_EXN * sample.gates_XE.T[..., None]
        contribution_X = gated_EXN.sum(0).norm(dim=-1) / sample.x_XK.norm(dim=-1).clamp_min(1e-9)
        return (gated_EXN.norm(dim=-1) * contribution_X).sum(-1)

    def compress(self, a_ERK: Tensor, b_ENR: Tensor, sample: Calibration) -> Compact:
        count = max(1, round(self.options.keep * len(a_ERK)))
        best_F = self.importance(a_ERK, b_ENR, sample).topk(count).indices.sort().values
        mix_EF = torch.eye(len(a_ERK), dtype=a_ERK.dtype, device=a_ERK.device)[:, best_F]
        return Compact(a_ERK[best_F], b_ENR[best_F], mix_EF)
