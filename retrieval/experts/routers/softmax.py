"""All experts, weighted: the dense mixture of Uni-RAG's text (arXiv 2507.03868)."""

from __future__ import annotations

from torch import Tensor

from retrieval.experts.routers.base import Routed, Router

__all__ = ["SoftmaxRouter"]


class SoftmaxRouter(Router):
    """Gates are the softmax itself; nothing is left out, so there is no load to balance."""

    def forward(self, h_XD: Tensor) -> Routed:
        gates_XE = self.probabilities(h_XD)
        return Routed(gates_XE, gates_XE.new_zeros(()))
