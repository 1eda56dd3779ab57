"""The base of every form of an expert: a router for the gates, and what the experts add to a layer.

B batch, T tokens, E experts, R rank, K in, N out, D width of the router's input, X any leading
dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kernels.reference import moe_lora_delta
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Described
from retrieval.experts.registry import load
from retrieval.experts.routers import Router, Routing, build_router

if TYPE_CHECKING:
    from retrieval.experts.route import Route

__all__ = ["Experts", "LowRankExperts", "spread_gates"]


class Experts(nn.Module, Described):
    """A router and the experts; `forward` returns gates (X, E) for inputs (X, D).

    A subclass decides which experts are routed (`build_router`), how the router's gates become the
    experts' gates (`forward`), and what the experts add to their layer's output (`change`). New
    experts must change nothing.
    """

    fused = False  # `matrices` go to the fused kernel
    self_gated = False  # the gates come from the layer's own input, without a router
    needs_weight = False  # the experts change a frozen layer, so they cannot adapt prompts
    ranked = False  # rank units can be scaled one by one

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__()
        self.config = config
        self.options: Any = config.options_of("parameterisation")
        self.count = experts
        self.router: Router | None = None
        if not self.self_gated:
            self.router = self.build_router(width, experts)

    def build_router(self, width: int, experts: int) -> Router:
        """Build the router over the experts, for inputs of `width`."""
        return build_router(self.config, width, experts)

    def bind(self, route: Route) -> None:
        """Take what the layer shares with other layers of its tower."""
        if self.router is not None:
            self.router.bind(route)

    def forward(self, h_XD: Tensor, served: Tensor | None = None) -> Routing:
        """Return the gates (X, E) and the router's loss for inputs (X, D).

        `served` are the router's gates if they are known already.
        """
        assert self.router is not None
        routing: Routing = self.router(h_XD, served)
        return routing

    def matrices(self) -> tuple[Tensor, Tensor] | None:
        """Return A (E, R, K) and B (E, N, R) if the experts are such matrices, else None."""
        return None

    def change(self, x: Tensor, y: Tensor, gates: Tensor, weight_NK: Tensor | None) -> Tensor:
        """Return what is added to the layer's output y (..., N) for its input x (..., K).

        `gates` are (B, E) or (B, T, E). `weight_NK` is the frozen layer's, None for prompts.
        """
        raise NotImplementedError

    def after_step(self) -> None:
        """Update what no gradient reaches; called after each step of the optimiser."""
        if self.router is not None:
            self.router.after_step()

    def cast(self, dtype: torch.dtype) -> None:
        """Cast the experts for serving, if that saves a cast in every call."""


class LowRankExperts(Experts):
    """Experts of matrices `a_ERK` and `b_ENR`.

    As in LoRA, A is uniform within 1 / sqrt(K) and B is zero. A subclass decides the shape of the
    matrices (`shape`). A learnt allocation scales their ranks.
    """

    fused = True
    ranked = True

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__(config, inputs, outputs, width, experts)
        count, rank = self.shape(experts)
        self.a_ERK = nn.Parameter(torch.empty(count, rank, inputs))
        self.b_ENR = nn.Parameter(torch.zeros(count, outputs, rank))
        nn.init.uniform_(self.a_ERK, -(inputs**-0.5), inputs**-0.5)
        allocation = load("allocation", config.allocation)(config)
        self.ranks: nn.Module | None = allocation.build_rank_gate(count, rank)
        if self.router is not None and self.router.needs_adapters:
            self.a_ERK.requires_grad_(False)
            self.b_ENR.requires_grad_(False)

    def shape(self, experts: int) -> tuple[int, int]:
        """Return E and R of the matrices."""
        return experts, self.config.rank

    def matrices(self) -> tuple[Tensor, Tensor]:
        if self.ranks is None:
            return self.a_ERK, self.b_ENR
        return self.a_ERK * self.ranks()[..., None], self.b_ENR

    def change(self, x: Tensor, y: Tensor, gates: Tensor, weight_NK: Tensor | None) -> Tensor:
        return moe_lora_delta(x, *self.matrices(), gates, self.config.scale)

    def after_step(self) -> None:
        super().after_step()
        if self.ranks is not None:
            self.ranks.after_step()  # type: ignore[operator]

    @torch.no_grad()
    def cast(self, dtype: torch.dtype) -> None:
        self.a_ERK.data, self.b_ENR.data = self.a_ERK.to(dtype), self.b_ENR.to(dtype)


def spread_gates(gates: Tensor, x: Tensor) -> Tensor:
    """Return gates that broadcast over the tokens of x: (B, E) becomes (B, 1, E)."""
    return gates[:, None] if gates.ndim < x.ndim else gates
