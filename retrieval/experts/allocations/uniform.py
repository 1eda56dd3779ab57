"""The same number of experts in every layer, as in Uni-RAG (arXiv 2507.03868)."""

from __future__ import annotations

from retrieval.experts.allocations.base import Allocation
from retrieval.experts.paper import Paper

__all__ = ["UniformAllocation"]


class UniformAllocation(Allocation):
    """Every layer has `experts` experts."""

    paper = Paper("Uni-RAG", "2507.03868", "MoE-LoRA")
    places = ("depth", "prompts")
