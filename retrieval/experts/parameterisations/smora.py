"""Only the chosen ranks are computed: SMoRA (arXiv 2501.15103, sparse activation of ranks).

B batch, T tokens, U rank units, S chosen units, K in, N out.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Paper
from retrieval.experts.parameterisations.rank_wise import RankWiseExperts
from retrieval.experts.registry import load

__all__ = ["SMoRAExperts"]


class SMoRAExperts(RankWiseExperts):
    """As `rank_wise`, but a sample reads no other matrices than those of its chosen rank units."""

    paper = Paper(
        "SMoRA",
        "2501.15103",
        "sparse activation of ranks",
        "plain torch gathers the ranks; the paper's kernel indexes them",
    )
    fused = False
    example: ClassVar = {"router": "top_k"}

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if load("router", config.router).sparse:
            return None
        return "computes only chosen ranks, and this router chooses all; use router=top_k or null"

    def change(self, x: Tensor, y: Tensor, gates: Tensor, weight_NK: Tensor | None) -> Tensor:
        a_U1K, b_UN1 = self.matrices()
        a_UK, b_UN = a_U1K[:, 0].to(x.dtype), b_UN1[..., 0].to(x.dtype)
        gates = (gates * self.config.scale).to(x.dtype)
        if gates.ndim == x.ndim:  # per token: the units that any token of the batch has chosen
            units_S = (gates != 0).flatten(0, -2).any(0).nonzero()[:, 0]
            return ((x @ a_UK[units_S].T) * gates[..., units_S]) @ b_UN[units_S]
        most = int((gates != 0).sum(-1).max())
        units_BS = gates.abs().topk(max(1, most), dim=-1).indices
        low_BTS = torch.einsum("btk,bsk->bts", x, a_UK[units_BS])
        return torch.einsum("bts,bs,bsn->btn", low_BTS, gates.gather(-1, units_BS), b_UN[units_BS])
