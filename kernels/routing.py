"""Gates of a router and prompts of a bank, one launch each on CUDA where no gradient is asked for.

X any leading dimensions, D what is read, F candidates, N entries, P prompts per entry, W tower
width. With gradients, on other devices, and beyond 64 candidates it is the reference.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels import reference

__all__ = ["mix_prompts", "route"]

_MOST = 64  # candidates that one program orders in its registers


def route(
    h_XD: Tensor,
    weight_FD: Tensor,
    temperature: float,
    *,
    k: int | None = None,
    p: float | None = None,
    fused: bool | None = None,
) -> Tensor:
    """Gates (X, F), float32 or wider: a softmax of h W^T / temperature.

    With `k` the k largest of each row, scaled to sum 1 (GShard, arXiv 2006.16668); with `p` the
    fewest that reach p, as they are (arXiv 2403.07652). `fused` overrules the choice of path.
    `ValueError` for shapes, k, p or a temperature that do not fit.
    """
    candidates = len(weight_FD)
    if weight_FD.ndim != 2 or weight_FD.shape[1:] != h_XD.shape[-1:]:
        raise ValueError(
            f"h {tuple(h_XD.shape)}, weight {tuple(weight_FD.shape)}; expected (..., D), (F, D)"
        )
    if temperature <= 0:
        raise ValueError(f"temperature {temperature}; expected a positive number")
    if k is not None and (p is not None or not 1 <= k <= candidates):
        raise ValueError(f"k {k}, p {p}; expected k from 1 to {candidates}, or p, not both")
    if p is not None and not 0 < p <= 1:
        raise ValueError(f"p {p}; expected more than 0, at most 1")
    if fused if fused is not None else _fits(candidates, h_XD, weight_FD):
        below = 0.0 if p is None else p - reference.ROUNDING
        gates_MF = _route(h_XD.reshape(-1, h_XD.shape[-1]), weight_FD, temperature, k or 0, below)
        return gates_MF.view(*h_XD.shape[:-1], candidates)
    probs_XF = reference.probabilities(h_XD, weight_FD, temperature)
    if k is not None:
        return reference.top_k_gates(probs_XF, k)[0]
    return probs_XF if p is None else reference.top_p_gates(probs_XF, p)[0]


def mix_prompts(
    prototype_BD: Tensor,
    keys_ND: Tensor,
    prompts_NPW: Tensor,
    temperature: float,
    top_k: int | None = None,
    *,
    fused: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """`kernels.reference.mix_prompts`; `fused` overrules the choice of path."""
    entries = len(keys_ND)
    if fused is None:
        exact = prototype_BD.dtype == torch.float32
        fused = exact and _fits(entries, prototype_BD, keys_ND, prompts_NPW)
    checked = keys_ND.shape[1:] == prototype_BD.shape[1:] and len(prompts_NPW) == entries
    checked = checked and temperature > 0 and (top_k is None or 1 <= top_k <= entries)
    if not fused or not checked:  # the reference says what does not fit
        return reference.mix_prompts(prototype_BD, keys_ND, prompts_NPW, temperature, top_k)
    mixed_BJ, weights_BN = _mix(
        prototype_BD, keys_ND, prompts_NPW.flatten(1), temperature, top_k or 0
    )
    return mixed_BJ.unflatten(1, prompts_NPW.shape[1:]), weights_BN


def _fits(candidates: int, read: Tensor, *others: Tensor) -> bool:
    """On CUDA, without gradients, few enough, and in fp32, as routing is exact."""
    grad = torch.is_grad_enabled() and any(t.requires_grad for t in (read, *others))
    same = all(t.device == read.device and t.dtype == torch.float32 for t in others)
    return read.is_cuda and same and not grad and candidates <= _MOST and read.numel() > 0


@torch.library.custom_op("unirag::route", mutates_args=())
def _route(h: Tensor, weight: Tensor, temperature: float, k: int, below: float) -> Tensor:
    from kernels.gpu.choice import route

    with torch.autocast(h.device.type, enabled=False):
        return route(_rows(h), weight, temperature, k, below)


@_route.register_fake
def _(h, weight, _temperature, _k, _below):  # type: ignore[no-untyped-def]
    return h.new_empty(len(h), len(weight), dtype=torch.float32)


@torch.library.custom_op("unirag::mix_prompts", mutates_args=())
def _mix(
    prototype: Tensor, keys: Tensor, prompts: Tensor, temperature: float, k: int
) -> tuple[Tensor, Tensor]:
    from kernels.gpu.choice import mix

    return mix(_rows(prototype), keys, prompts, temperature, k)


@_mix.register_fake
def _(prototype, keys, prompts, _temperature, _k):  # type: ignore[no-untyped-def]
    rows = len(prototype)
    return (
        prototype.new_empty(rows, prompts.shape[1], dtype=torch.float32),
        prototype.new_empty(rows, len(keys), dtype=torch.float32),
    )


def _rows(x: Tensor) -> Tensor:
    """With neighbours in a row next to each other, as the kernels read them."""
    return x if x.stride(1) == 1 else x.contiguous()
