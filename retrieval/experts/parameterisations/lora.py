"""E experts of rank R, all of them routed: the mixture of Uni-RAG (arXiv 2507.03868)."""

from __future__ import annotations

from retrieval.experts.parameterisations.base import Experts

__all__ = ["LoRAExperts"]


class LoRAExperts(Experts):
    """The router's gates are the experts' gates."""
