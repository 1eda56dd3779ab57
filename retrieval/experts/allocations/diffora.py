"""Which modules adapt at all: DiffoRA (arXiv 2502.08905, differential adaptation matrix).

E experts, R rank.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pydantic import Field
from torch import Tensor, nn

from retrieval.experts.allocations.base import Allocation, RankGate
from retrieval.experts.paper import MethodOptions, Paper

__all__ = ["DiffoRAAllocation", "ModuleMask", "discretise"]


class ModuleMask(RankGate):
    """One relaxed choice in (0, 1) for a whole module: adapt or leave alone.

    It starts at 1/2, doubled so that the experts start at their usual scale. Once it is discrete,
    an adapted module has factor 1 and any other 0.
    """

    def __init__(self, experts: int, rank: int, keep: float) -> None:
        super().__init__()
        self.shape, self.keep = (experts, rank), keep
        self.logit = nn.Parameter(torch.zeros(()))
        self.discrete: Tensor
        self.register_buffer("discrete", torch.full((), -1.0))  # -1: still relaxed

    def forward(self) -> Tensor:
        relaxed = 2 * self.logit.sigmoid()
        return torch.where(self.discrete < 0, relaxed, self.discrete).expand(self.shape)


class DiffoRAAllocation(Allocation):
    """The mask of each module is trained with the experts; at the end the best modules are kept."""

    paper = Paper(
        "DiffoRA",
        "2502.08905",
        "continuous relaxation and discretisation of the adaptation matrix",
        "mask and experts train together on the same batches; no second run after the choice",
    )
    learnt = True

    class Options(MethodOptions):
        """What this method alone needs."""

        keep: float = Field(0.5, gt=0, le=1, description="Share of modules that stay adapted.")

    options: Options

    def build_rank_gate(self, experts: int, rank: int) -> RankGate:
        return ModuleMask(experts, rank, self.options.keep)


@torch.no_grad()
def discretise(modules: Iterable[nn.Module]) -> None:
    """Keep the modules with the largest logits, the share `keep`, and shut the others' experts."""
    masks = [m for module in modules for m in module.modules() if isinstance(m, ModuleMask)]
    if not masks:
        return
    adapted = max(1, round(masks[0].keep * len(masks)))
    order = sorted(masks, key=lambda m: float(m.logit), reverse=True)
    for place, mask in enumerate(order):
        mask.discrete.fill_(float(place < adapted))
