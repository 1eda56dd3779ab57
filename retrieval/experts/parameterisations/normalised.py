"""Normalised experts with a smooth activation: HoME (arXiv 2408.05430, expert normalisation).

B batch, T tokens, E experts, R rank.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from retrieval.experts.paper import Paper
from retrieval.experts.parameterisations.base import LowRankExperts, spread_gates

__all__ = ["NormalisedExperts"]


class NormalisedExperts(LowRankExperts):
    """Expert e adds g_e B_e swish(norm(A_e x)): no expert can fall silent.

    HoME found ReLU experts of which over 90 % of the activations were zero, and normalises before a
    swish so that experts have outputs of one size.
    """

    paper = Paper(
        "HoME",
        "2408.05430",
        "expert normalisation and swish",
        "layer norm over the rank instead of batch norm, so that single queries can be encoded",
    )
    fused = False

    def activations(self, x: Tensor) -> Tensor:
        """Return the hidden values (..., E, R) of all experts."""
        a_ERK, _ = super().matrices()
        low = torch.einsum("...k,erk->...er", x, a_ERK.to(x.dtype))
        return F.silu(F.layer_norm(low.float(), low.shape[-1:])).to(x.dtype)

    def matrices(self) -> None:  # type: ignore[override]
        """Return None: the experts are not linear."""

    def change(self, x: Tensor, y: Tensor, gates: Tensor, weight_NK: Tensor | None) -> Tensor:
        gated = self.activations(x) * (spread_gates(gates, x) * self.config.scale)[..., None].to(
            x.dtype
        )
        return torch.einsum("...er,enr->...n", gated, self.b_ENR.to(x.dtype))
