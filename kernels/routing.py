"""Compute routers' gates or mix a bank's prompts in one launch each, on CUDA without gradients.

With gradients, on other devices, and for more than 64 candidates the reference does the work.
L routers, X any leading dimensions, D router inputs or key width, F candidates, N entries, P
prompts per entry, W tower width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels import reference

__all__ = ["mix_prompts", "route"]

_MAX_CANDIDATES = 64  # one program orders them in its registers


def route(
    h_XD: Tensor,
    weight: Tensor,
    temperature: float,
    *,
    k: int | None = None,
    p: float | None = None,
    fused: bool | None = None,
) -> Tensor:
    """Return the softmax of h W^T / temperature in float32 or wider, also under autocast.

    `weight` is the matrix (F, D) of one router, which gets gates (X, F), or (L, F, D) of L routers,
    which get gates (L, X, F) in one launch. `k` keeps the k largest of each row and scales them to
    sum to 1 (GShard, arXiv 2006.16668). `p` keeps the fewest whose sum reaches p, unscaled (arXiv
    2403.07652). `fused` forces the kernel (True) or the reference (False). Raises `ValueError` if
    shapes, k, p or the temperature do not fit.
    """
    if weight.ndim not in (2, 3) or weight.shape[-1:] != h_XD.shape[-1:]:
        raise ValueError(
            f"h {tuple(h_XD.shape)}, weight {tuple(weight.shape)}; "
            "expected (..., D) and (F, D) or (L, F, D)"
        )
    candidates = weight.shape[-2]
    if temperature <= 0:
        raise ValueError(f"temperature {temperature}; expected a positive number")
    if k is not None and (p is not None or not 1 <= k <= candidates):
        raise ValueError(f"k {k}, p {p}; expected k from 1 to {candidates}, or p, not both")
    if p is not None and not 0 < p <= 1:
        raise ValueError(f"p {p}; expected more than 0, at most 1")
    weight_LFD = weight if weight.ndim == 3 else weight[None]
    if fused if fused is not None else _can_fuse(candidates, h_XD, weight_LFD):
        p_limit = 0.0 if p is None else p - reference.ROUNDING
        h_MD = h_XD.reshape(-1, h_XD.shape[-1])
        gates_LMF = _route(h_MD, weight_LFD, temperature, k or 0, p_limit)
        gates = gates_LMF.view(len(weight_LFD), *h_XD.shape[:-1], candidates)
    else:
        probs_XF = reference.probabilities(h_XD, weight_LFD.flatten(0, 1), temperature, candidates)
        if k is not None:
            probs_XF = reference.top_k_gates(probs_XF, k)[0]
        elif p is not None:
            probs_XF = reference.top_p_gates(probs_XF, p)[0]
        gates = probs_XF.movedim(-2, 0)
    return gates if weight.ndim == 3 else gates[0]


def mix_prompts(
    prototype_BD: Tensor,
    keys_ND: Tensor,
    prompts_NPW: Tensor,
    temperature: float,
    top_k: int | None = None,
    *,
    fused: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Mix the bank's prompts for each prototype, as `kernels.reference.mix_prompts` does.

    `fused` forces the kernel (True) or the reference (False).
    """
    entries = len(keys_ND)
    if fused is None:
        full_precision = prototype_BD.dtype == torch.float32
        fused = full_precision and _can_fuse(entries, prototype_BD, keys_ND, prompts_NPW)
    valid = keys_ND.shape[1:] == prototype_BD.shape[1:] and len(prompts_NPW) == entries
    valid = valid and temperature > 0 and (top_k is None or 1 <= top_k <= entries)
    if not fused or not valid:  # the reference raises the errors
        return reference.mix_prompts(prototype_BD, keys_ND, prompts_NPW, temperature, top_k)
    mixed_BJ, weights_BN = _mix(
        prototype_BD, keys_ND, prompts_NPW.flatten(1), temperature, top_k or 0
    )
    return mixed_BJ.unflatten(1, prompts_NPW.shape[1:]), weights_BN


def _can_fuse(candidates: int, inputs: Tensor, *weights: Tensor) -> bool:
    """Whether the kernel applies: on CUDA, without gradients, fp32 weights, few candidates."""
    gradient = torch.is_grad_enabled() and any(t.requires_grad for t in (inputs, *weights))
    matching = all(t.device == inputs.device and t.dtype == torch.float32 for t in weights)
    small = candidates <= _MAX_CANDIDATES
    return inputs.is_cuda and matching and not gradient and small and inputs.numel() > 0


@torch.library.custom_op("unirag::route", mutates_args=())
def _route(h: Tensor, weight: Tensor, temperature: float, k: int, p_limit: float) -> Tensor:
    from kernels.gpu.routing import route

    with torch.autocast(h.device.type, enabled=False):
        return route(_unit_stride_rows(h), weight, temperature, k, p_limit)


@_route.register_fake
def _(h, weight, _temperature, _k, _p_limit):  # type: ignore[no-untyped-def]
    return h.new_empty(len(weight), len(h), weight.shape[1], dtype=torch.float32)


@torch.library.custom_op("unirag::mix_prompts", mutates_args=())
def _mix(
    prototype: Tensor, keys: Tensor, prompts: Tensor, temperature: float, k: int
) -> tuple[Tensor, Tensor]:
    from kernels.gpu.routing import mix

    return mix(_unit_stride_rows(prototype), keys, prompts, temperature, k)


@_mix.register_fake
def _(prototype, keys, prompts, _temperature, _k):  # type: ignore[no-untyped-def]
    rows = len(prototype)
    return (
        prototype.new_empty(rows, prompts.shape[1], dtype=torch.float32),
        prototype.new_empty(rows, len(keys), dtype=torch.float32),
    )


def _unit_stride_rows(x: Tensor) -> Tensor:
    """Return x with adjacent columns adjacent in memory, as the kernels read it."""
    return x if x.stride(1) == 1 else x.contiguous()
