"""E experts of rank R, all of them routed: the mixture of Uni-RAG (arXiv 2507.03868)."""

from __future__ import annotations

from retrieval.experts.paper import Paper
from retrieval.experts.parameterisations.base import LowRankExperts

__all__ = ["LoRAExperts"]


class LoRAExperts(LowRankExperts):
    """The router's gates are the experts' gates."""

    paper = Paper("Uni-RAG", "2507.03868", "MoE-LoRA")
