"""Experts in place: beside a frozen linear layer of a tower, or on the bank's prompts.

B batch, T tokens, K in, N out, D prototype width, P prompts per entry, W tower width.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from kernels.moe_lora import Norm, moe_lora_delta, moe_lora_linear
from retrieval.attention import FusableLinear
from retrieval.experts.config import ExpertConfig
from retrieval.experts.parameterisations import build_experts
from retrieval.experts.route import Route

__all__ = ["MoELoRA", "MoELoRALinear"]


class _Routed(nn.Module):
    """Experts, and where their gates come from."""

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
        read = inputs if config.routed_by == "token" else width
        count = config.experts if experts is None else experts
        self.experts = build_experts(config, inputs, outputs, read, count)

    def gates(self, x: Tensor) -> Tensor | None:
        """Per sample or per token of `x`, and left with the route; None if that is idle."""
        by_token = self.config.routed_by == "token"
        read = (x if self.route.active else None) if by_token else self.route.prototype_BD
        if read is None:
            return None
        routed = self.experts(read)
        self.route.record(self.name, routed)
        return routed.gates


class MoELoRALinear(_Routed, FusableLinear):
    """y = x W^T + bias + scale * sum_e g_e (x A_e^T) B_e^T, for x (B, T, K) or (B, K).

    W and bias are frozen and keep the names of `nn.Linear`, so a tower's weights still fit. `width`
    is that of the prototype; `experts` is this layer's share if the allocation gave it one.
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
        """In place of `linear`, with which it shares its weights' memory."""
        return cls(linear.weight, linear.bias, config, route, name, width=width, experts=experts)

    def forward(
        self, x: Tensor, norm: nn.Module | None = None, act: nn.Module | None = None
    ) -> Tensor:
        whole = self._whole(norm, act)
        if norm is not None and not whole:
            x = norm(x)
        gates = self.gates(x)
        if gates is None:
            y = nn.functional.linear(x, self.weight, self.bias)
        else:
            y = moe_lora_linear(
                x,
                self.weight,
                self.bias,
                self.experts.a_ERK,
                self.experts.b_ENR,
                gates,
                self.config.scale,
                norm=_norm(norm) if whole else None,
                gelu=whole and act is not None,
            )
        return y if whole or act is None else act(y)

    def _whole(self, norm: nn.Module | None, act: nn.Module | None) -> bool:
        """Whether norm and activation are part of the operation; tokens' gates lie between."""
        if self.config.routed_by == "token" or self.route.prototype_BD is None:
            return False
        known = act is None or (type(act) is nn.GELU and act.approximate == "none")
        return known and (norm is None or _norm(norm) is not None)

    @torch.no_grad()
    def cast_experts(self) -> None:
        """Take A and B in W's dtype, for serving: else they are cast at every call."""
        for matrix in (self.experts.a_ERK, self.experts.b_ENR):
            matrix.data = matrix.to(self.weight.dtype)


def _norm(module: nn.Module | None) -> Norm | None:
    """The module if it is a LayerNorm over one dimension with weight and bias, else None."""
    if not isinstance(module, nn.LayerNorm) or len(module.normalized_shape) != 1:
        return None
    if module.weight is None or module.bias is None:
        return None
    return Norm(module.weight, module.bias, module.eps)


class MoELoRA(_Routed):
    """P' = P + scale * sum_e g_e (P A_e^T) B_e^T for prompts (B, P, W): PAPER.md, method 3.

    `width` is that of the prototype, `prompt_width` is W.
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
