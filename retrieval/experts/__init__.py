"""Mixtures of LoRA experts: router, parameterisation and allocation are three separate choices."""

from __future__ import annotations

from retrieval.experts.allocation import allocate
from retrieval.experts.config import ExpertConfig
from retrieval.experts.layer import MoELoRA, MoELoRALinear
from retrieval.experts.orthogonal import OrthogonalRule, expert_cosine
from retrieval.experts.route import Route
from retrieval.experts.usage import ExpertLoad, expert_load

__all__ = [
    "ExpertConfig",
    "ExpertLoad",
    "MoELoRA",
    "MoELoRALinear",
    "OrthogonalRule",
    "Route",
    "allocate",
    "expert_cosine",
    "expert_load",
]
