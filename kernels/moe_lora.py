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
from kernels.reference import Before, Norm, check_shapes

__all__ = ["Before", "Norm", "moe_lora_delta", "moe_lora_linear"]

_FUSED_DTYPES = (torch.float16, torch.bfloat16, torch.float32)
_TENSOR_NAMES = ("x", "weight", "bias", "a", "b", "gates", "gamma", "beta", "residual")


def moe_lora_linear(
    x: Tensor,
    weight_NK: Tensor,
    bias_N: Tensor | None,
    a_ERK: Tensor,
    b_ENR: Tensor,
    gates: Tensor,
    scale: float,
    *,
    before: Before = None,
    residual: Tensor | None = None,
    design: Design | None = None,
) -> Tensor:
    """Return residual + z W^T + bias + scale * sum_e g_e (z A_e^T) B_e^T, where z = before(x).

    x is (B, T, K) with gates per sample (B, E) or per token (B, T, E), or x is (M, K) with gates
    (M, E). The result has x's shape with N in place of K, and so has `residual`. x, W and bias
    share a dtype; A and B are cast to it. `before` is a `Norm` (K,), "gelu" (the exact one) or
    None. Under autocast, x, W, bias, A and B are cast to its dtype; x is not cast before a norm or
    GELU, which are computed in fp32.

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
    if isinstance(before, Norm):
        if not before.weight_K.shape == before.bias_K.shape == (inputs,):
            raise ValueError(
                f"norm {tuple(before.weight_K.shape)} and {tuple(before.bias_K.shape)}; "
                f"expected ({inputs},) as in x"
            )
    elif before not in (None, "gelu"):
        raise ValueError(f"before {before!r}; expected a Norm, 'gelu' or None")
    if residual is not None and residual.shape != (*x.shape[:-1], outputs):
        raise ValueError(
            f"residual {tuple(residual.shape)}; expected {(*x.shape[:-1], outputs)} as the result"
        )
    if _uses_reference(x, design):
        return reference.moe_lora_linear(
            x, weight_NK, bias_N, a_ERK, b_ENR, gates, scale, before=before, residual=residual
        )
    return _fused(x, weight_NK, bias_N, a_ERK, b_ENR, gates, scale, before, residual, design)


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
    return _fused(x, None, None, a_ERK, b_ENR, gates, scale, None, None, design)


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
    before: Before,
    residual: Tensor | None,
    design: str | None,
) -> Tensor:
    norm = before if isinstance(before, Norm) else None
    gamma_K, beta_K = (norm.weight_K, norm.bias_K) if norm else (None, None)
    tensors = (x, weight_NK, bias_N, a_ERK, b_ENR, gates, gamma_K, beta_K, residual)
    for name, tensor in zip(_TENSOR_NAMES, tensors, strict=True):
        if tensor is None:
            continue
        if tensor.device != x.device:
            raise ValueError(f"{name} on {tensor.device}; expected {x.device}, x's device")
        if tensor.dtype not in _FUSED_DTYPES:
            raise ValueError(f"{name} {tensor.dtype}; expected float16, bfloat16 or float32")
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x = x if before is not None else x.to(dtype)
    else:
        dtype = x.dtype
        for name, tensor in (("weight", weight_NK), ("bias", bias_N)):
            if tensor is not None and tensor.dtype != dtype:
                raise ValueError(f"{name} {tensor.dtype}, x {dtype}; expected the same dtype")
    if residual is not None and residual.dtype != dtype:
        # Under autocast the residual stays in fp32, and so does the sum.
        y = _fused(x, weight_NK, bias_N, a_ERK, b_ENR, gates, scale, before, None, design)
        return residual + y
    # Per token, each gate row serves one token. Per sample, it serves all tokens of the sample.
    gates_GE = gates.flatten(0, -2) if gates.ndim == x.ndim else gates
    needed = [t is not None and t.requires_grad for t in tensors]
    # W, A and B are passed as they are: the copies of W are found by the tensor itself.
    y_MN, *_ = _forward(
        x.flatten(0, -2),
        weight_NK,
        bias_N,
        a_ERK,
        b_ENR,
        gates_GE,
        gamma_K,
        beta_K,
        None if residual is None else residual.flatten(0, -2),
        float(scale),
        norm.eps if norm else 0.0,
        before == "gelu",
        torch.is_grad_enabled() and any(needed),
        design or "",
        dtype,
    )
    return y_MN.unflatten(0, x.shape[:-1]) if x.ndim == 3 else y_MN


def _layer(
    weight_NK: Tensor | None,
    bias_N: Tensor | None,
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
    before: Before = "gelu" if gelu else None
    if gamma_K is not None and beta_K is not None:
        before = Norm(gamma_K, beta_K, eps)
    return Layer(weight_NK, bias_N, a_ERK, b_ENR, gates_GE, scale, before, dtype)


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
    residual: Tensor | None,
    scale: float,
    eps: float,
    gelu: bool,
    save: bool,
    design: str,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the layer's output (M, N) and the `SavedTensors`, which are empty unless `save`."""
    with _launch_context(x):
        layer = _layer(weight, bias, a, b, gates, gamma, beta, scale, eps, gelu, dtype)
        saved = SavedTensors.empty(x, layer) if save else None
        residual = None if residual is None else _unit_stride_rows(residual)
        y = forward(design or None, _unit_stride_rows(x), layer, residual, saved)  # type: ignore[arg-type]
        return (y, *(saved or (y.new_empty(0) for _ in range(3))))


@_forward.register_fake
def _(x, weight, bias, a, b, gates, gamma, beta, _residual, scale, eps, gelu, save, _design, dtype):  # type: ignore[no-untyped-def]
    layer = _layer(weight, bias, a, b, gates, gamma, beta, scale, eps, gelu, dtype)
    y = x.new_empty(x.shape[0], b.shape[1], dtype=dtype)
    return (y, *(SavedTensors.empty(x, layer) if save else (y.new_empty(0) for _ in range(3))))


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
    scale: float,
    eps: float,
    gelu: bool,
    design: str,
    dtype: torch.dtype,
    needed: list[bool],
) -> list[Tensor]:
    """Return the gradients in the order of `_TENSOR_NAMES` but residual, empty if not needed."""
    tensors = (x, weight, bias, a, b, gates, gamma, beta)
    names = frozenset(
        name for name, is_needed in zip(_TENSOR_NAMES[:-1], needed, strict=True) if is_needed
    )
    with _launch_context(x):
        layer = _layer(weight, bias, a, b, gates, gamma, beta, scale, eps, gelu, dtype)
        saved = SavedTensors(low, mean, rstd)
        x_MK = _unit_stride_rows(x)
        grads = backward(design or None, dy.contiguous(), x_MK, layer, saved, names)  # type: ignore[arg-type]
    return [
        grads[name].to(tensor.dtype).contiguous()
        if name in names and tensor is not None
        else x.new_empty(0)
        for name, tensor in zip(_TENSOR_NAMES[:-1], tensors, strict=True)
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
    *tensors, _residual, scale, eps, gelu, _save, design, dtype = inputs
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, *output[1:])
    ctx.settings = (scale, eps, gelu, design, dtype)


def _gradients(ctx: Any, dy: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    if dy is None:
        return (None,) * len(ctx.needs_input_grad)
    *needed, residual_needed = ctx.needs_input_grad[: len(_TENSOR_NAMES)]
    tensor_grads: list[Tensor | None] = [None] * len(needed)
    if any(needed):
        grads = _backward(dy, *ctx.saved_tensors, *ctx.settings, needed)
        tensor_grads = [g if n else None for g, n in zip(grads, needed, strict=True)]
    tensor_grads.append(dy if residual_needed else None)
    return (*tensor_grads, *[None] * (len(ctx.needs_input_grad) - len(tensor_grads)))


_forward.register_autograd(_gradients, setup_context=_setup)
