"""Parameterisations define one expert. A new one is one file and one line in the registry."""

from __future__ import annotations

from retrieval.experts.config import ExpertConfig
from retrieval.experts.parameterisations.base import Experts, LowRankExperts
from retrieval.experts.registry import load

__all__ = ["Experts", "LowRankExperts", "build_experts"]


def build_experts(
    config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
) -> Experts:
    """Build `experts` experts from `inputs` to `outputs`, with a router over inputs of `width`."""
    form: type[Experts] = load("parameterisation", config.parameterisation)
    return form(config, inputs, outputs, width, experts)
