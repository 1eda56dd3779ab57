"""A linear layer and its LoRA experts, fused on CUDA; elsewhere the reference.

B batch, T tokens, M rows, G gate rows, K in, N out, E experts, R rank, C = E x R.
The operators are registered with torch.library, so torch.compile and CUDA graphs capture them.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor

from kernels import reference
from kernels.designs import Layer, Saved, backward, forward
from kernels.dispatch import DESIGNS, Design
from kernels.reference import Norm, check_shapes

__all__ = ["Norm", "moe_lora_delta", "moe_lora_linear"]

_FUSED = (torch.float16, torch.bfloat16, torch.float32)
_PLACES = ("x", "weight", "bias", "a", "b", "gates", "gamma", "beta")


def moe_lora_linear(
    x: Tensor,
    weight_NK: Tensor,
    bias_N: Tensor | None,
    a_ERK: Tensor,
    b_ENR: Tensor,
    gates: Tensor,
    scale: float,
    *,
    norm: Norm | None = None,
    gelu: bool = False,
    design: Design | None = None,
) -> Tensor:
    """x W^T + bias + scale * sum_e g_e (x A_e^T) B_e^T, of x's shape with N for K.

    x is (B, T, K) with gates per sample (B, E) or per token (B, T, E), or (M, K) with gates (M, E).
    x, W, bias share a dtype, to which A and B are cast. `norm` (K,) comes before, the exact GELU
    after. Under autocast all but a normed x are cast to its dtype, and the norm is taken in fp32.

    On CUDA fp16, bf16 and fp32 are fused, with sums in fp32; `design` of `kernels.dispatch` is
    chosen by size unless it is given. Every gradient is there, W's included, and is the same every
    time; not the gradient of a gradient, which raises. Elsewhere it is `kernels.reference`.
    `ValueError` for shapes, dtypes and devices that do not go together.
    """
    check_shapes(x, a_ERK, b_ENR, gates)
    outputs, inputs = b_ENR.shape[1], x.shape[-1]
    if weight_NK.shape != (outputs, inputs):
        raise ValueError(
            f"weight {tuple(weight_NK.shape)}; expected ({outputs}, {inputs}) as in b and x"
        )
    if bias_N is not None and bias_N.shape != (outputs,):
        raise ValueError(f"bias {tuple(bias_N.shape)}; expected ({outputs},) as in b")
    if norm is not None and not norm.weight_K.shape == norm.bias_K.shape == (inputs,):
        raise ValueError(
            f"norm {tuple(norm.weight_K.shape)} and {tuple(norm.bias_K.shape)}; "
            f"expected ({inputs},) as in x"
        )
    if _plain(x, design):
        return reference.moe_lora_linear(
            x, weight_NK, bias_N, a_ERK, b_ENR, gates, scale, norm=norm, gelu=gelu
        )
    return _fused(x, weight_NK, bias_N, a_ERK, b_ENR, gates, scale, norm, gelu, design)


def moe_lora_delta(
    x: Tensor,
    a_ERK: Tensor,
    b_ENR: Tensor,
    gates: Tensor,
    scale: float,
    *,
    design: Design | None = None,
) -> Tensor:
    """What the experts of `moe_lora_linear` add, without the layer; shapes and errors as there."""
    check_shapes(x, a_ERK, b_ENR, gates)
    if _plain(x, design):
        return reference.moe_lora_delta(x, a_ERK, b_ENR, gates, scale)
    return _fused(x, None, None, a_ERK, b_ENR, gates, scale, None, False, design)


def _plain(x: Tensor, design: str | None) -> bool:
    if design is None:
        return not x.is_cuda or x.dtype == torch.float64
    if design not in DESIGNS:
        raise ValueError(f"design {design!r}; expected one of {', '.join(DESIGNS)}")
    return False


def _fused(
    x: Tensor,
    weight_NK: Tensor | None,
    bias_N: Tensor | None,
    a_ERK: Tensor,
    b_ENR: Tensor,
    gates: Tensor,
    scale: float,
    norm: Norm | None,
    gelu: bool,
    design: str | None,
) -> Tensor:
    gamma_K, beta_K = (norm.weight_K, norm.bias_K) if norm is not None else (None, None)
    tensors = (x, weight_NK, bias_N, a_ERK, b_ENR, gates, gamma_K, beta_K)
    for name, tensor in zip(_PLACES, tensors, strict=True):
        if tensor is None:
            continue
        if tensor.device != x.device:
            raise ValueError(f"{name} on {tensor.device}; expected {x.device}, where x is")
        if tensor.dtype not in _FUSED:
            raise ValueError(f"{name} {tensor.dtype}; expected float16, bfloat16 or float32")
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x = x if norm is not None else x.to(dtype)
        weight_NK = None if weight_NK is None else weight_NK.to(dtype)
        bias_N = None if bias_N is None else bias_N.to(dtype)
    else:
        dtype = x.dtype
        for name, tensor in (("weight", weight_NK), ("bias", bias_N)):
            if tensor is not None and tensor.dtype != dtype:
                raise ValueError(f"{name} {tensor.dtype}, x {dtype}; expected the same dtype")
    # Gates per token are one row each; per sample, one row serves the tokens of its sample.
    gates_GE = gates.flatten(0, -2) if gates.ndim == x.ndim else gates
    needed = [t is not None and t.requires_grad for t in tensors]
    y_MN, *_ = _forward(
        x.flatten(0, -2),
        weight_NK,
        bias_N,
        a_ERK,
        b_ENR,
        gates_GE,
        gamma_K,
        beta_K,
        float(scale),
        norm.eps if norm is not None else 0.0,
        gelu,
        torch.is_grad_enabled() and any(needed),
        design or "",
        dtype,
    )
    return y_MN.unflatten(0, x.shape[:-1]) if x.ndim == 3 else y_MN


def _layer(
    weight_NK: Tensor | None,
    a_ERK: Tensor,
    b_ENR: Tensor,
    gates_GE: Tensor,
    gamma_K: Tensor | None,
    beta_K: Tensor | None,
    scale: float,
    eps: float,
    gelu: bool,
    dtype: torch.dtype,
) -> Layer:
    norm = None if gamma_K is None or beta_K is None else Norm(gamma_K, beta_K, eps)
    return Layer(weight_NK, a_ERK.to(dtype), b_ENR.to(dtype), gates_GE, scale, norm, gelu)


def _rows(x: Tensor) -> Tensor:
    """With neighbours in a row next to each other, as the kernels read them."""
    return x if x.stride(1) == 1 else x.contiguous()


def _on(x: Tensor) -> Any:
    """Launches go to x's device, and nothing inside is cast again."""
    stack = contextlib.ExitStack()
    stack.enter_context(torch.autocast(x.device.type, enabled=False))
    if x.is_cuda:
        stack.enter_context(torch.cuda.device(x.device))
    return stack


@torch.library.custom_op("unirag::moe_lora", mutates_args=())
def _forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    a: Tensor,
    b: Tensor,
    gates: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    scale: float,
    eps: float,
    gelu: bool,
    save: bool,
    design: str,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The layer (M, N), and what `Saved` holds, empty unless `save`."""
    with _on(x):
        layer = _layer(weight, a, b, gates, gamma, beta, scale, eps, gelu, dtype)
        saved = Saved.like(x, layer) if save else None
        y = forward(design or None, _rows(x), bias, layer, saved)  # type: ignore[arg-type]
        return (y, *(saved or (y.new_empty(0) for _ in range(4))))


@_forward.register_fake
def _(x, weight, _bias, a, b, gates, gamma, beta, scale, eps, gelu, save, _design, dtype):  # type: ignore[no-untyped-def]
    layer = _layer(weight, a, b, gates, gamma, beta, scale, eps, gelu, dtype)
    y = x.new_empty(x.shape[0], b.shape[1], dtype=dtype)
    return (y, *(Saved.like(x, layer) if save else (y.new_empty(0) for _ in range(4))))


@torch.library.custom_op("unirag::moe_lora_backward", mutates_args=())
def _backward(
    dy: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    a: Tensor,
    b: Tensor,
    gates: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    low: Tensor,
    mean: Tensor,
    rstd: Tensor,
    before: Tensor,
    scale: float,
    eps: float,
    gelu: bool,
    design: str,
    dtype: torch.dtype,
    needed: list[bool],
) -> list[Tensor]:
    """Gradients in the order of `_PLACES`; empty where none is needed."""
    with _on(x):
        layer = _layer(weight, a, b, gates, gamma, beta, scale, eps, gelu, dtype)
        grads = backward(
            design or None,  # type: ignore[arg-type]
            dy.contiguous(),
            _rows(x),
            layer,
            Saved(low, mean, rstd, before),
            inputs=needed[0],
            weight=needed[1],
        )
    tensors = (x, weight, bias, a, b, gates, gamma, beta)
    return [
        grads[name].to(tensor.dtype).contiguous()
        if wanted and tensor is not None
        else x.new_empty(0)
        for name, tensor, wanted in zip(_PLACES, tensors, needed, strict=True)
    ]


@_backward.register_fake
def _(_dy, x, weight, bias, a, b, gates, gamma, beta, *rest):  # type: ignore[no-untyped-def]
    tensors, needed = (x, weight, bias, a, b, gates, gamma, beta), rest[-1]
    return [
        torch.empty_like(tensor, memory_format=torch.contiguous_format)
        if wanted and tensor is not None
        else x.new_empty(0)
        for tensor, wanted in zip(tensors, needed, strict=True)
    ]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, scale, eps, gelu, _, design, dtype = inputs
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, *output[1:])
    ctx.settings = (scale, eps, gelu, design, dtype)


def _gradients(ctx: Any, dy: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    needed = list(ctx.needs_input_grad[: len(_PLACES)])
    if dy is None:
        return (None,) * len(ctx.needs_input_grad)
    grads = _backward(dy, *ctx.saved_tensors, *ctx.settings, needed)
    given = [g if wanted else None for g, wanted in zip(grads, needed, strict=True)]
    return (*given, *[None] * (len(ctx.needs_input_grad) - len(given)))


_forward.register_autograd(_gradients, setup_context=_setup)
