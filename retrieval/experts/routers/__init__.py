"""Routers choose and weight the experts of an input. A new one is a file and a registry line."""

from __future__ import annotations

from retrieval.experts.config import ExpertConfig
from retrieval.experts.registry import load
from retrieval.experts.routers.base import Router, Routing, served_gates

__all__ = ["Router", "Routing", "build_router", "served_gates"]


def build_router(config: ExpertConfig, width: int, experts: int) -> Router:
    """Build the router that `config` names, over `experts` experts, for inputs of `width`."""
    router: Router = load("router", config.router)(config, width, experts)
    return router
