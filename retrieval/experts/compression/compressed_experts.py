"""Main experts stay, the others share a compact one: Compressed Experts (arXiv 2503.00634).

E experts, R rank, K in, N out.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from retrieval.experts.compression.base import Calibration, Compact, Compression, dense
from retrieval.experts.paper import MethodOptions, Paper

__all__ = ["CompressedExperts"]


class CompressedExperts(Compression):
    """The most used experts stay as they are; one expert of their rank takes in all others.

    It is the best approximation of the others' usage-weighted mean, and its gate is their sum. Of
    k chosen experts, the auxiliary ones so cost one.
    """

    paper = Paper(
        "Compressed Experts",
        "2503.00634",
        "main experts and compressed auxiliary experts",
        "the compact expert comes from an SVD and is not fine-tuned",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        main: int = Field(2, ge=1, description="Experts of a layer that stay as they are.")

    options: Options

    def compress(self, a_ERK: Tensor, b_ENR: Tensor, sample: Calibration) -> Compact:
        count, rank = a_ERK.shape[:2]
        order_E = sample.gates_XE.mean(0).argsort(descending=True)
        main_E, other_E = order_E[: self.options.main], order_E[self.options.main :]
        mix_EF = torch.zeros(count, len(main_E) + 1, dtype=a_ERK.dtype, device=a_ERK.device)
        mix_EF[main_E, torch.arange(len(main_E), device=a_ERK.device)] = 1
        mix_EF[other_E, -1] = 1
        if not len(other_E):
            return Compact(a_ERK[main_E], b_ENR[main_E], mix_EF[:, :-1])
        usage_O = sample.gates_XE[:, other_E].mean(0).clamp_min(1e-9)
        mean_NK = torch.einsum("o,onk->nk", usage_O / usage_O.sum(), dense(a_ERK, b_ENR)[other_E])
        u, s, v = torch.linalg.svd(mean_NK, full_matrices=False)
        a_1RK, b_1NR = (s[:rank, None] * v[:rank])[None], u[None, :, :rank]
        return Compact(torch.cat([a_ERK[main_E], a_1RK]), torch.cat([b_ENR[main_E], b_1NR]), mix_EF)
