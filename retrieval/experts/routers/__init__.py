"""Routers choose and weight the experts of an input. A new one is one file and one line here."""

from __future__ import annotations

from retrieval.experts.config import ExpertConfig
from retrieval.experts.routers.base import Router, Routing, served_gates
from retrieval.experts.routers.null import NullRouter
from retrieval.experts.routers.softmax import SoftmaxRouter
from retrieval.experts.routers.top_k import TopKRouter
from retrieval.experts.routers.top_p import TopPRouter

__all__ = ["ROUTERS", "Router", "Routing", "build_router", "served_gates"]

ROUTERS: dict[str, type[Router]] = {
    "softmax": SoftmaxRouter,
    "top_k": TopKRouter,
    "top_p": TopPRouter,
    "null": NullRouter,
}


def build_router(config: ExpertConfig, width: int, experts: int) -> Router:
    """Build the router that `config` names, over `experts` experts, for inputs of `width`."""
    return ROUTERS[config.router](config, width, experts)
