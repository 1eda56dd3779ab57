"""Compute the norm or GELU before a layer, the product with A (shrink) and the gates in one kernel.

M rows, K in, E experts, R rank, C = E x R.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.dispatch import Tile, shrunk_width
from kernels.gpu.common import (
    apply_before,
    apply_gates,
    multiply_add,
    precision_options,
    rank_space_sizes,
    row_statistics,
)
from kernels.reference import Before, Norm

__all__ = ["shrink", "shrink_kernel"]


@triton.jit
def shrink_kernel(
    x,  # (M, K), rows stride_xm apart
    gamma,  # (K,), read if BEFORE is "norm"
    beta,  # (K,), read if BEFORE is "norm"
    a,  # (E, R, K), any strides
    gates,  # (M / T, E), any strides
    gated_out,  # (M, WIDTH), rows stride_s apart
    copy_out,  # (M, K), rows stride_s apart, written if COPY
    low_out,  # (M, C) fp32, written if SAVE
    mean_out,  # (M,) fp32, written if SAVE and BEFORE is "norm"
    rstd_out,  # (M,) fp32, written if SAVE and BEFORE is "norm"
    M,
    K,
    T,
    scale,
    eps,
    stride_xm,
    stride_ae,
    stride_ar,
    stride_ak,
    stride_g,
    stride_e,
    stride_s,
    C: tl.constexpr,
    R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_W: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BEFORE: tl.constexpr,
    COPY: tl.constexpr,
    SAVE: tl.constexpr,
    UPCAST: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Write the gated rank space of BLOCK_M rows, and a copy of the layer's input if COPY."""
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    ranks = tl.arange(0, BLOCK_C)
    inside_M1 = (rows < M)[:, None]
    at_M1 = rows.to(tl.int64)[:, None] * stride_xm
    to_M1 = rows.to(tl.int64)[:, None] * stride_s
    a_1C = ((ranks // R).to(tl.int64) * stride_ae + (ranks % R) * stride_ar)[None, :]
    inside_1C = (ranks < C)[None, :]
    mean_M, rstd_M = 0.0, 0.0
    if BEFORE == "norm":
        mean_M, rstd_M = row_statistics(x, at_M1, inside_M1, K, eps, BLOCK_M, BLOCK_K)
    low_MC = tl.full((BLOCK_M, BLOCK_C), 0.0, tl.float32)
    for k in range(0, K, BLOCK_K):
        columns = k + tl.arange(0, BLOCK_K)
        inside = inside_M1 & (columns < K)[None, :]
        x_MK = tl.load(x + at_M1 + columns[None, :], mask=inside, other=0.0)
        x_MK = apply_before(x_MK, gamma, beta, columns, K, mean_M, rstd_M, BEFORE)
        x_MK = x_MK.to(a.dtype.element_ty)
        if COPY:
            tl.store(copy_out + to_M1 + columns[None, :], x_MK, mask=inside)
        a_KC = tl.load(
            a + a_1C + columns[:, None] * stride_ak,
            mask=(columns < K)[:, None] & inside_1C,
            other=0.0,
        )
        low_MC = multiply_add(x_MK, a_KC, low_MC, UPCAST, PRECISION)
    gated_MC = apply_gates(low_MC, gates, rows, ranks, M, T, scale, stride_g, stride_e, C, R)
    to_MC = gated_out + to_M1 + ranks[None, :]
    tl.store(to_MC, gated_MC.to(gated_out.dtype.element_ty), mask=inside_M1 & inside_1C)
    # Column C is one, the factor of the bias. The columns behind it are zero.
    behind = C + tl.arange(0, BLOCK_W)
    one_MW = tl.where(inside_M1 & (behind == C)[None, :], 1.0, 0.0).to(gated_out.dtype.element_ty)
    tl.store(
        gated_out + to_M1 + behind[None, :], one_MW, mask=inside_M1 & (behind < WIDTH)[None, :]
    )
    if SAVE:
        at = rows.to(tl.int64)[:, None] * C + ranks[None, :]
        tl.store(low_out + at, low_MC, mask=inside_M1 & inside_1C)
        if BEFORE == "norm":
            tl.store(mean_out + rows, mean_M, mask=rows < M)
            tl.store(rstd_out + rows, rstd_M, mask=rows < M)


def shrink(
    x_MK: Tensor,
    before: Before,
    a_ERK: Tensor,
    gates_GE: Tensor,
    scale: float,
    saved: tuple[Tensor, Tensor, Tensor] | None,
    tile: Tile,
    *,
    copy: bool,
) -> Tensor:
    """Return `[before(x) | S | 1 | 0]` (M, K + W) if `copy`, else `[S | 1 | 0]` (M, W).

    The dtype is A's. S is scale * gates * (before(x) A^T), W is `shrunk_width(C)`. Fills `saved`
    with before(x) A^T (M, C) and, for a norm, the mean and 1 / deviation (M,) of the rows.
    """
    rows, inputs = x_MK.shape
    ranks = a_ERK.shape[0] * a_ERK.shape[1]
    width = shrunk_width(ranks)
    start = inputs if copy else 0
    out = torch.empty(rows, start + width, dtype=a_ERK.dtype, device=x_MK.device)
    low, mean, rstd = saved or (out, out, out)
    norm = before if isinstance(before, Norm) else None
    gamma, beta = (norm.weight_K, norm.bias_K) if norm else (x_MK, x_MK)
    shrink_kernel[(triton.cdiv(rows, tile.block_m),)](
        x_MK,
        gamma,
        beta,
        a_ERK,
        gates_GE,
        out[:, start:],
        out,
        low,
        mean,
        rstd,
        rows,
        inputs,
        rows // gates_GE.shape[0],
        scale,
        norm.eps if norm else 0.0,
        x_MK.stride(0),
        *a_ERK.stride(),
        *gates_GE.stride(),
        out.stride(0),
        **rank_space_sizes(gates_GE, ranks),
        WIDTH=width,
        BLOCK_W=triton.next_power_of_2(width - ranks),
        BLOCK_M=tile.block_m,
        BLOCK_K=tile.block_k,
        BEFORE="norm" if norm else before or "none",
        COPY=copy,
        SAVE=saved is not None,
        **precision_options(a_ERK.dtype, x_MK.device),
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return out
