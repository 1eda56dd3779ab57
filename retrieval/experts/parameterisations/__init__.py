"""Parameterisations define one expert. A new one is one file and one line here."""

from __future__ import annotations

from retrieval.experts.config import ExpertConfig
from retrieval.experts.parameterisations.base import Experts
from retrieval.experts.parameterisations.lora import LoRAExperts
from retrieval.experts.parameterisations.rank_wise import RankWiseExperts
from retrieval.experts.parameterisations.shared import SharedExperts

__all__ = ["PARAMETERISATIONS", "Experts", "build_experts"]

PARAMETERISATIONS: dict[str, type[Experts]] = {
    "lora": LoRAExperts,
    "rank_wise": RankWiseExperts,
    "shared": SharedExperts,
}


def build_experts(
    config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
) -> Experts:
    """Build `experts` experts from `inputs` to `outputs`, with a router over inputs of `width`."""
    return PARAMETERISATIONS[config.parameterisation](config, inputs, outputs, width, experts)
