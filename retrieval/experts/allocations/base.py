"""The base of every allocation.

E experts, R rank.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Described
from retrieval.experts.registry import load

__all__ = ["Allocation", "RankGate", "allocate"]


class RankGate(nn.Module):
    """Learnt factors (E, R) of one layer's rank units, all 1 or all alike before training."""

    def forward(self) -> Tensor:
        """Return the factors (E, R)."""
        raise NotImplementedError

    def after_step(self) -> None:
        """Update what no gradient reaches; called after each step of the optimiser."""


class Allocation(Described):
    """Decides before training how many experts a layer has, and by a gate which ranks it keeps."""

    places: ClassVar[tuple[str, ...]] = ("depth",)
    learnt = False  # `build_rank_gate` builds one

    def __init__(self, config: ExpertConfig) -> None:
        self.config = config
        self.options: Any = config.options_of("allocation")

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if cls.learnt and not load("parameterisation", config.parameterisation).ranked:
            return (
                f"scales the ranks of experts, and parameterisation={config.parameterisation} has "
                "none; use parameterisation=lora"
            )
        return None

    def counts(self, layers: int, experts: int, minimum: int) -> tuple[int, ...]:
        """Return the number of experts of each layer; they add up to `layers * experts`."""
        return (experts,) * layers

    def build_rank_gate(self, experts: int, rank: int) -> RankGate | None:
        """Build the gate of one layer; None if the allocation does not learn."""
        return None


def allocate(config: ExpertConfig, layers: int) -> tuple[int, ...]:
    """Return the number of experts of each layer, first layer first.

    The numbers add up to `layers * config.experts`, and none is below `config.min_experts`.
    """
    assert layers >= 1, "a tower has at least one layer"
    allocation: Allocation = load("allocation", config.allocation)(config)
    return allocation.counts(layers, config.experts, config.min_experts)
