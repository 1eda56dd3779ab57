"""A linear layer with its LoRA experts: fused on CUDA, the reference on other devices.

The operators are registered with torch.library, so torch.compile and CUDA graphs capture them.
B batch, T tokens, M rows, G gate rows, K in, N out, E experts, R rank, C = E x R.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor

from kernels import reference
from kernels.designs import Layer, SavedTensors, backward, forward
from kernels.dispatch import DESIGNS, Design
from kernels.reference import Norm, check_shapes

__all__ = ["Norm", "moe_lora_delta", "moe_lora_linear"]

_FUSED_DTYPES = (torch.float16, torch.bfloat16, torch.float32)
_TENSOR_NAMES = ("x", "weight", "bias", "a", "b", "gates", "gamma", "beta")


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
    """Return x W^T + bias + scale * sum_e g_e (x A_e^T) B_e^T.

    x is (B, T, K) with gates per sample (B, E) or per token (B, T, E), or x is (M, K) with gates
    (M, E). The result has x's shape with N in place of K. x, W and bias share a dtype; A and B are
    cast to it. `norm` (K,) is applied to x before the layer, the exact GELU to the result. Under
    autocast, x, W, bias, A and B are cast to its dtype; with a norm, x is not cast and the norm is
    computed in fp32.

    On CUDA, fp16, bf16 and fp32 are fused, with sums in fp32. The dispatcher chooses the `design`
    unless one is passed (`kernels.dispatch`). All gradients exist, W's included, and are
    reproducible. Second derivatives raise an error. Other devices run `kernels.reference`. Raises
    `ValueError` if shapes, dtypes or devices do not fit together.
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
    if _uses_reference(x, design):
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
    """Return the sum of the experts alone, with the shapes and errors of `moe_lora_linear`."""
    check_shapes(x, a_ERK, b_ENR, gates)
    if _uses_reference(x, design):
        return reference.moe_lora_delta(x, a_ERK, b_ENR, gates, scale)
    return _fused(x, None, None, a_ERK, b_ENR, gates, scale, None, False, design)


def _uses_reference(x: Tensor, design: str | None) -> bool:
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
    for name, tensor in zip(_TENSOR_NAMES, tensors, strict=True):
        if tensor is None:
            continue
        if tensor.device != x.device:
            raise ValueError(f"{name} on {tensor.device}; expected {x.device}, x's device")
        if tensor.dtype not in _FUSED_DTYPES:
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
    # Per token, each gate row serves one token. Per sample, it serves all tokens of the sample.
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


def _unit_stride_rows(x: Tensor) -> Tensor:
    """Return x with adjacent columns adjacent in memory, as the kernels read it."""
    return x if x.stride(1) == 1 else x.contiguous()


def _launch_context(x: Tensor) -> Any:
    """Launch on x's device, with autocast off."""
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
    """Return the layer's output (M, N) and the `SavedTensors`, which are empty unless `save`."""
    with _launch_context(x):
        layer = _layer(weight, a, b, gates, gamma, beta, scale, eps, gelu, dtype)
        saved = SavedTensors.empty(x, layer) if save else None
        y = forward(design or None, _unit_stride_rows(x), bias, layer, saved)  # type: ignore[arg-type]
        return (y, *(saved or (y.new_empty(0) for _ in range(4))))


@_forward.register_fake
def _(x, weight, _bias, a, b, gates, gamma, beta, scale, eps, gelu, save, _design, dtype):  # type: ignore[no-untyped-def]
    layer = _layer(weight, a, b, gates, gamma, beta, scale, eps, gelu, dtype)
    y = x.new_empty(x.shape[0], b.shape[1], dtype=dtype)
    return (y, *(SavedTensors.empty(x, layer) if save else (y.new_empty(0) for _ in range(4))))


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
    pre_gelu: Tensor,
    scale: float,
    eps: float,
    gelu: bool,
    design: str,
    dtype: torch.dtype,
    needed: list[bool],
) -> list[Tensor]:
    """Return the gradients in the order of `_TENSOR_NAMES`, empty where none is needed."""
    with _launch_context(x):
        layer = _layer(weight, a, b, gates, gamma, beta, scale, eps, gelu, dtype)
        grads = backward(
            design or None,  # type: ignore[arg-type]
            dy.contiguous(),
            _unit_stride_rows(x),
            layer,
            SavedTensors(low, mean, rstd, pre_gelu),
            input_gradient=needed[0],
            weight_gradient=needed[1],
        )
    tensors = (x, weight, bias, a, b, gates, gamma, beta)
    return [
        grads[name].to(tensor.dtype).contiguous()
        if is_needed and tensor is not None
        else x.new_empty(0)
        for name, tensor, is_needed in zip(_TENSOR_NAMES, tensors, needed, strict=True)
    ]


@_backward.register_fake
def _(_dy, x, weight, bias, a, b, gates, gamma, beta, *rest):  # type: ignore[no-untyped-def]
    tensors, needed = (x, weight, bias, a, b, gates, gamma, beta), rest[-1]
    return [
        torch.empty_like(tensor, memory_format=torch.contiguous_format)
        if is_needed and tensor is not None
        else x.new_empty(0)
        for tensor, is_needed in zip(tensors, needed, strict=True)
    ]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, scale, eps, gelu, _, design, dtype = inputs
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, *output[1:])
    ctx.settings = (scale, eps, gelu, design, dtype)


def _gradients(ctx: Any, dy: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    needed = list(ctx.needs_input_grad[: len(_TENSOR_NAMES)])
    if dy is None:
        return (None,) * len(ctx.needs_input_grad)
    grads = _backward(dy, *ctx.saved_tensors, *ctx.settings, needed)
    tensor_grads = [g if is_needed else None for g, is_needed in zip(grads, needed, strict=True)]
    return (*tensor_grads, *[None] * (len(ctx.needs_input_grad) - len(tensor_grads)))


_forward.register_autograd(_gradients, setup_context=_setup)
