"""The base of every rule of training.

B batch, K prototype width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Described, MethodOptions
from retrieval.experts.parameterisations import LowRankExperts
from retrieval.experts.registry import load

__all__ = ["Rule", "RuleBatch", "low_rank_experts", "several_experts"]


@dataclass(frozen=True)
class RuleBatch:
    """What a rule's loss sees of a batch of pictures: row i is figure `figures_B[i]`.

    `gates` are those of every layer, (B, E) or (B, T, E), with their gradient.
    """

    prototypes_BK: Tensor
    styles_B: Tensor
    figures_B: Tensor
    gates: Mapping[str, Tensor]


class Rule(Described):
    """Called by the training loop in this order, at every step: each method may do nothing."""

    places = ("depth",)

    def __init__(
        self, encoder: nn.Module, options: MethodOptions | None = None, steps: int = 1
    ) -> None:
        self.encoder, self.steps = encoder, steps
        self.options: Any = self.Options() if options is None else options

    def start_step(self, step: int) -> None:
        """Choose what is trained in this step."""

    def loss(self, batch: RuleBatch) -> Tensor | None:
        """Return an additional loss, already weighted."""
        return None

    def before_step(self, step: int) -> None:
        """Change the gradients, between `backward` and the optimiser's step."""

    def after_step(self, step: int) -> None:
        """Change the parameters after the optimiser's step."""


def low_rank_experts(encoder: nn.Module) -> list[LowRankExperts]:
    """Return all experts of `encoder` that are matrices A and B, trained as such."""
    return [m for m in encoder.modules() if isinstance(m, LowRankExperts) and m.a_ERK.requires_grad]


def several_experts(config: ExpertConfig) -> str | None:
    """Return the reason against a rule that needs several low-rank experts, or None."""
    if config.experts < 2:
        return (
            f"rule={config.rule} with experts={config.experts}: a single expert has no others; "
            "raise experts or use rule=none"
        )
    if not load("parameterisation", config.parameterisation).ranked:
        return (
            f"rule={config.rule} works on matrices A and B, which parameterisation="
            f"{config.parameterisation} does not train; use parameterisation=lora"
        )
    return None
