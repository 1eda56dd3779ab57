"""All experts, weighted: the dense mixture of Uni-RAG's text (arXiv 2507.03868)."""

from __future__ import annotations

from torch import Tensor

from retrieval.experts.paper import Paper
from retrieval.experts.routers.base import Router, Routing, Selection

__all__ = ["SoftmaxRouter"]


class SoftmaxRouter(Router):
    """The gates are the softmax itself. No expert is left out, so there is no load to balance."""

    paper = Paper("Uni-RAG", "2507.03868", "the text on soft experts")

    def choose(self, probs_XF: Tensor) -> Routing:
        return Routing(probs_XF, probs_XF.new_zeros(()))

    def selection(self) -> Selection | None:
        return None if self.shift_F is not None else Selection()
