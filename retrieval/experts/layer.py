"""Layers with experts: on a frozen linear layer of a tower, or on the bank's prompts.

B batch, T tokens, K in, N out, D prototype width, P prompts per entry, W tower width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from torch import Tensor, nn

from kernels.moe_lora import Before, Norm, moe_lora_delta, moe_lora_linear
from retrieval.attention import FusableLinear
from retrieval.experts.config import ExpertConfig
from retrieval.experts.parameterisations import build_experts
from retrieval.experts.route import Route
from retrieval.experts.routers import Routing

__all__ = ["MoELoRA", "MoELoRALinear", "recorded_inputs"]


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
        self.experts.bind(route)
        router = self.experts.router
        if (
            config.routed_by == "prototype"
            and router is not None
            and router.selection() is not None
        ):
            route.add_router(router)

    @property
    def routes_inputs(self) -> bool:
        """True if the gates come from the layer's own input, not from the prototype."""
        return self.experts.self_gated or self.config.routed_by == "token"

    def gates(self, x: Tensor) -> Tensor | None:
        """Return the gates of each sample or token of `x` and record them with the route.

        None while the route is idle.
        """
        by_input = self.routes_inputs
        router_input = (x if self.route.active else None) if by_input else self.route.prototype_BD
        if router_input is None:
            return None
        router = self.experts.router
        served = None if by_input or router is None else self.route.served_gates(router)
        routing = self.experts(router_input, served)
        if (gates := self.route.overrides.get(self.name)) is not None:
            routing = Routing(gates.to(routing.gates), routing.loss)
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
        if self.experts.fused and (matrices := self.experts.matrices()) is not None:
            return moe_lora_linear(
                x,
                self.weight,
                self.bias,
                *matrices,
                gates,
                self.config.scale,
                before=operation,
                residual=residual,
            )
        y = nn.functional.linear(x, self.weight, self.bias)
        y = y + self.experts.change(x, y, gates, self.weight)
        return y if residual is None else residual + y

    def _kernel_operation(self, before: nn.Module) -> Before:
        """Return `before` for a kernel that runs it together with the layer; None if none can.

        None can when the layer's input is routed: its gates are computed between `before` and the
        layer.
        """
        if self.routes_inputs or not self.experts.fused or self.route.prototype_BD is None:
            return None
        if type(before) is nn.GELU and before.approximate == "none":
            return "gelu"
        return _kernel_norm(before)

    def cast_experts(self) -> None:
        """Cast the experts to the dtype of W for serving, which saves the cast in every call."""
        self.experts.cast(self.weight.dtype)


@contextmanager
def recorded_inputs(layers: Iterable[MoELoRALinear]) -> Iterator[dict[str, Tensor]]:
    """Yield a dictionary that every forward pass fills with the layers' inputs, by layer name."""
    inputs: dict[str, Tensor] = {}

    def record(layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        x, before = arguments[0], arguments[1] if len(arguments) > 1 else None
        assert isinstance(layer, MoELoRALinear)
        inputs[layer.name] = (x if before is None else before(x)).detach()

    hooks = [layer.register_forward_pre_hook(record) for layer in layers]
    try:
        yield inputs
    finally:
        for hook in hooks:
            hook.remove()


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
        if self.experts.fused and (matrices := self.experts.matrices()) is not None:
            change_BPW = moe_lora_delta(prompts_BPW, *matrices, gates, self.config.scale)
        else:
            change_BPW = self.experts.change(prompts_BPW, prompts_BPW, gates, None)
        return prompts_BPW + change_BPW
