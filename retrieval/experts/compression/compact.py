"""Experts after a compression: fewer or smaller matrices behind the router of before.

E experts of the router, F compact experts, R rank, K in, N out, X any leading dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from retrieval.experts.paper import Paper
from retrieval.experts.parameterisations import Experts, LowRankExperts
from retrieval.experts.routers import Routing

if TYPE_CHECKING:
    from retrieval.experts.compression.base import Compact
    from retrieval.experts.layer import MoELoRALinear

__all__ = ["CompactExperts", "CompressedShape", "make_compact"]


class CompressedShape(BaseModel):
    """What a checkpoint must know to rebuild compressed experts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(description="The method of family `compression` that was used.")
    experts: int = Field(ge=1, description="Experts of a layer afterwards.")
    rank: int = Field(ge=1, description="Rank of one of them.")


class CompactExperts(Experts):
    """The gates of the E experts before, mixed to gates of the F experts there are now."""

    paper = Paper("ours", "", "the form that compressions leave behind")
    fused = True

    def __init__(
        self, before: LowRankExperts, shape: CompressedShape, inputs: int, outputs: int
    ) -> None:
        nn.Module.__init__(self)
        self.config, self.options = before.config, before.options
        self.count, self.router = shape.experts, before.router
        gates = len(before.a_ERK)
        self.before = before
        # Only the way from the router to the gates of before is needed.
        before.a_ERK, before.b_ENR, before.ranks = None, None, None  # type: ignore[assignment]
        self.a_FRK = nn.Parameter(torch.zeros(shape.experts, shape.rank, inputs))
        self.b_FNR = nn.Parameter(torch.zeros(shape.experts, outputs, shape.rank))
        self.mix_EF: Tensor
        self.register_buffer("mix_EF", torch.zeros(gates, shape.experts))

    def forward(self, h_XD: Tensor, served: Tensor | None = None) -> Routing:
        gates_XE, loss = self.before(h_XD, served)
        return Routing(gates_XE @ self.mix_EF, loss)

    def matrices(self) -> tuple[Tensor, Tensor]:
        return self.a_FRK, self.b_FNR

    @torch.no_grad()
    def fill(self, compact: Compact) -> None:
        """Take the matrices and the mix of a compression."""
        self.a_FRK.copy_(compact.a_FRK)
        self.b_FNR.copy_(compact.b_FNR)
        self.mix_EF.copy_(compact.mix_EF)


def make_compact(layer: MoELoRALinear, shape: CompressedShape) -> CompactExperts:
    """Put empty compact experts in place of the experts of `layer` and return them."""
    assert isinstance(layer.experts, LowRankExperts)
    outputs, inputs = layer.weight.shape
    compact = CompactExperts(layer.experts, shape, inputs, outputs).to(layer.weight.device)
    layer.experts = compact
    return compact
