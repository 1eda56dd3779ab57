"""Rank-1 experts that activate themselves: MoRA for continual learning (arXiv 2506.21035).

X any leading dimensions, U rank units, K in, N out.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.parameterisations.base import LowRankExperts
from retrieval.experts.routers import Routing

__all__ = ["MoRAExperts"]


class MoRAExperts(LowRankExperts):
    """Each unit's own activation says how relevant it is; the most relevant share a budget.

    `freeze_and_grow` ends a task: the units so far are frozen and new ones are added. Units compete
    only with those of their own task, so what the old units add stays the same bit by bit.
    """

    paper = Paper(
        "MoRA",
        "2506.21035",
        "self-activated sparse mixture of ranks",
        "the budget is per task and fixed; ranks are not pruned while training",
    )
    self_gated = True

    class Options(MethodOptions):
        """What this method alone needs."""

        budget: int = Field(8, ge=1, description="Rank units that are active per input and task.")
        sharpness: float = Field(8.0, gt=0, description="Factor of cosines before the softmax.")
        tasks: int = Field(1, ge=1, le=64, description="Tasks so far; all but the last are frozen.")

    options: Options

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__(config, inputs, outputs, width, experts)
        self.tasks = self.options.tasks
        units = experts * config.rank * (self.tasks - 1)
        self.old_a_U1K: Tensor
        self.old_b_UN1: Tensor
        self.register_buffer("old_a_U1K", torch.zeros(units, 1, inputs))
        self.register_buffer("old_b_UN1", torch.zeros(units, outputs, 1))

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if config.router != "softmax":
            return f"chooses by itself; leave router={config.router} out"
        if config.allocation in ("diffora", "rank_selective"):
            return f"allocation={config.allocation} scales ranks, which would change frozen ones"
        return None

    def shape(self, experts: int) -> tuple[int, int]:
        return experts * self.config.rank, 1

    def forward(self, h_XD: Tensor, served: Tensor | None = None) -> Routing:
        gates = [self._activate(h_XD, a) for a in self.old_a_U1K.chunk(max(1, self.tasks - 1))]
        gates_XU = torch.cat([*gates, self._activate(h_XD, self.a_ERK)], dim=-1)
        return Routing(gates_XU, gates_XU.new_zeros(()))

    def _activate(self, h_XD: Tensor, a_U1K: Tensor) -> Tensor:
        """Return the gates of one task's units: softmax of cosines, the best within the budget."""
        cosine_XU = F.normalize(h_XD.float(), dim=-1) @ F.normalize(a_U1K[:, 0].float(), dim=-1).T
        probs_XU = (self.options.sharpness * cosine_XU).softmax(-1)
        active = min(self.options.budget, probs_XU.shape[-1])
        best_XU = probs_XU.topk(active, dim=-1).indices
        chosen_XU = torch.zeros_like(probs_XU).scatter(-1, best_XU, 1.0)
        return probs_XU * chosen_XU * self.config.rank

    def matrices(self) -> tuple[Tensor, Tensor]:
        return torch.cat([self.old_a_U1K, self.a_ERK]), torch.cat([self.old_b_UN1, self.b_ENR])

    @torch.no_grad()
    def freeze_and_grow(self) -> None:
        """Freeze the units trained so far and add as many new ones, which change nothing yet."""
        self.old_a_U1K = torch.cat([self.old_a_U1K, self.a_ERK.detach()])
        self.old_b_UN1 = torch.cat([self.old_b_UN1, self.b_ENR.detach()])
        self.a_ERK.uniform_(-(self.a_ERK.shape[-1] ** -0.5), self.a_ERK.shape[-1] ** -0.5)
        self.b_ENR.zero_()
        self.tasks += 1
