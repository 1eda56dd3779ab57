"""Mixtures of LoRA experts: router, parameterisation, allocation and rule are separate choices."""

from __future__ import annotations

from retrieval.experts.allocations import allocate
from retrieval.experts.config import ExpertConfig
from retrieval.experts.layer import MoELoRA, MoELoRALinear
from retrieval.experts.route import Route
from retrieval.experts.similarity import expert_cosine
from retrieval.experts.usage import ExpertLoad, expert_load

__all__ = [
    "ExpertConfig",
    "ExpertLoad",
    "MoELoRA",
    "MoELoRALinear",
    "Route",
    "allocate",
    "expert_cosine",
    "expert_load",
]
