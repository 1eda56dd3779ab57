"""Layers with experts: on a frozen linear layer of a tower, or on the bank's prompts.

B batch, T tokens, K in, N out, D prototype width, P prompts per entry, W tower width.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from kernels.moe_lora import Before, Norm, moe_lora_delta, moe_lora_linear
from retrieval.attention import FusableLinear
from retrieval.experts.config import ExpertConfig
from retrieval.experts.parameterisations import build_experts
from retrieval.experts.route import Route

__all__ = ["MoELoRA", "MoELoRALinear"]


class _RoutedExperts(nn.Module):
    """Experts, and the route that brings the prototype and collects the gates."""

    def __init__(
        self,
        config: ExpertConfig,
        route: Route,
        name: str,
        *,
        inputs: int,
        outputs: int,
        width: int,
        experts: int | None,
    ) -> None:
        super().__init__()
        self.config, self.route, self.name = config, route, name
        router_width = inputs if config.routed_by == "token" else width
        count = config.experts if experts is None else experts
        self.experts = build_experts(config, inputs, outputs, router_width, count)
        if config.routed_by == "prototype":
            route.add_router(self.experts.router)

    def gates(self, x: Tensor) -> Tensor | None:
        """Return the gates of each sample or token of `x` and record them with the route.

        None while the route is idle.
        """
        by_token = self.config.routed_by == "token"
        router_input = (x if self.route.active else None) if by_token else self.route.prototype_BD
        if router_input is None:
            return None
        served = None if by_token else self.route.served_gates(self.experts.router)
        routing = self.experts(router_input, served)
        self.route.record(self.name, routing)
        return routing.gates


class MoELoRALinear(_RoutedExperts, FusableLinear):
    """y = x W^T + bias + scale * sum_e g_e (x A_e^T) B_e^T, for x (B, T, K) or (B, K).

    W and bias are frozen and named as in `nn.Linear`, so that a tower's weights still load. `width`
    is the width of the prototype. `experts` overrides `config.experts` for this layer.
    """

    def __init__(
        self,
        weight_NK: Tensor,
        bias_N: Tensor | None,
        config: ExpertConfig,
        route: Route,
        name: str,
        *,
        width: int,
        experts: int | None = None,
    ) -> None:
        outputs, inputs = weight_NK.shape
        super().__init__(
            config, route, name, inputs=inputs, outputs=outputs, width=width, experts=experts
        )
        self.experts.to(weight_NK.device)
        self.weight = nn.Parameter(weight_NK.detach(), requires_grad=False)
        self.bias = None if bias_N is None else nn.Parameter(bias_N.detach(), requires_grad=False)

    @classmethod
    def wrap(
        cls,
        linear: nn.Linear,
        config: ExpertConfig,
        route: Route,
        name: str,
        *,
        width: int,
        experts: int | None = None,
    ) -> Self:
        """Build the replacement of `linear`; both share the memory of the weights."""
        return cls(linear.weight, linear.bias, config, route, name, width=width, experts=experts)

    def forward(
        self, x: Tensor, before: nn.Module | None = None, residual: Tensor | None = None
    ) -> Tensor:
        operation = None if before is None else self._kernel_operation(before)
        if before is not None and operation is None:
            x = before(x)
        gates = self.gates(x)
        if gates is None:
            y = nn.functional.linear(x, self.weight, self.bias)
            return y if residual is None else residual + y
        return moe_lora_linear(
            x,
            self.weight,
            self.bias,
            self.experts.a_ERK,
            self.experts.b_ENR,
            gates,
            self.config.scale,
            before=operation,
            residual=residual,
        )

    def _kernel_operation(self, before: nn.Module) -> Before:
        """Return `before` for a kernel that runs it together with the layer; None if none can.

        None can when tokens are routed: their gates are computed between `before` and the layer.
        """
        if self.config.routed_by == "token" or self.route.prototype_BD is None:
            return None
        if type(before) is nn.GELU and before.approximate == "none":
            return "gelu"
        return _kernel_norm(before)

    @torch.no_grad()
    def cast_experts(self) -> None:
        """Cast A and B to the dtype of W for serving, which saves the cast in every call."""
        for matrix in (self.experts.a_ERK, self.experts.b_ENR):
            matrix.data = matrix.to(self.weight.dtype)


def _kernel_norm(module: nn.Module) -> Norm | None:
    """Convert a LayerNorm over one dimension with weight and bias; None for any other module."""
    if not isinstance(module, nn.LayerNorm) or len(module.normalized_shape) != 1:
        return None
    if module.weight is None or module.bias is None:
        return None
    return Norm(module.weight, module.bias, module.eps)


class MoELoRA(_RoutedExperts):
    """P' = P + scale * sum_e g_e (P A_e^T) B_e^T for prompts (B, P, W).

    The experts of Uni-RAG (arXiv 2507.03868). `width` is the width of the prototype and
    `prompt_width` is W.
    """

    def __init__(
        self, config: ExpertConfig, route: Route, name: str, *, prompt_width: int, width: int
    ) -> None:
        super().__init__(
            config,
            route,
            name,
            inputs=prompt_width,
            outputs=prompt_width,
            width=width,
            experts=None,
        )

    def forward(self, prompts_BPW: Tensor) -> Tensor:
        gates = self.gates(prompts_BPW)
        if gates is None:
            return prompts_BPW
        a_ERK, b_ENR = self.experts.a_ERK, self.experts.b_ENR
        return prompts_BPW + moe_lora_delta(prompts_BPW, a_ERK, b_ENR, gates, self.config.scale)
