"""Compute norm, base, experts and GELU in one launch.

x W^T and x A^T accumulate in the same loop over K.

M rows, K in, N out, E experts, R rank, C = E x R.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.dispatch import Tile
from kernels.gpu.common import (
    apply_gates,
    apply_norm,
    gelu,
    multiply_add,
    precision_options,
    rank_space_sizes,
    row_statistics,
)
from kernels.reference import Norm

__all__ = ["one_pass", "one_pass_kernel"]


@triton.jit
def one_pass_kernel(
    x,  # (M, K), rows stride_xm apart
    gamma,  # (K,), read if NORM
    beta,  # (K,), read if NORM
    weight,  # (N, K), any strides, read if BASE
    bias,  # (N,), read if BIAS
    a,  # (E, R, K), any strides
    b,  # (E, N, R), any strides
    gates,  # (M / T, E), any strides
    out,  # (M, N)
    pre_gelu,  # (M, N), the input of GELU, written if SAVE and GELU
    low_out,  # (M, C) fp32, written if SAVE
    mean_out,  # (M,) fp32, written if SAVE and NORM
    rstd_out,  # (M,) fp32, written if SAVE and NORM
    M,
    N,
    K,
    T,
    scale,
    eps,
    stride_xm,
    stride_wn,
    stride_wk,
    stride_ae,
    stride_ar,
    stride_ak,
    stride_be,
    stride_bn,
    stride_br,
    stride_g,
    stride_e,
    C: tl.constexpr,
    R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    NORM: tl.constexpr,
    BASE: tl.constexpr,
    BIAS: tl.constexpr,
    GELU: tl.constexpr,
    SAVE: tl.constexpr,
    UPCAST: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Write one tile (BLOCK_M, BLOCK_N) of the output, and what backward needs if SAVE."""
    # Column tiles of the same rows run side by side, so x is read from memory only once.
    tiles_n = tl.cdiv(N, BLOCK_N)
    rows = tl.program_id(0) // tiles_n * BLOCK_M + tl.arange(0, BLOCK_M)
    columns_n = tl.program_id(0) % tiles_n * BLOCK_N + tl.arange(0, BLOCK_N)
    ranks = tl.arange(0, BLOCK_C)
    inside_M1, inside_1N = (rows < M)[:, None], (columns_n < N)[None, :]
    inside_1C = (ranks < C)[None, :]
    x_M1 = rows.to(tl.int64)[:, None] * stride_xm
    if NORM:
        mean_M, rstd_M = row_statistics(x, x_M1, inside_M1, K, eps, BLOCK_M, BLOCK_K)

    columns = tl.arange(0, BLOCK_K)
    x_at = x + x_M1 + columns[None, :]
    w_1N = columns_n.to(tl.int64)[None, :] * stride_wn
    w_at = weight + w_1N + columns.to(tl.int64)[:, None] * stride_wk
    a_1C = ((ranks // R).to(tl.int64) * stride_ae + (ranks % R) * stride_ar)[None, :]
    a_at = a + a_1C + columns.to(tl.int64)[:, None] * stride_ak
    acc_MN = tl.full((BLOCK_M, BLOCK_N), 0.0, tl.float32)
    low_MC = tl.full((BLOCK_M, BLOCK_C), 0.0, tl.float32)
    for k in range(0, K, BLOCK_K):
        remaining = K - k
        x_MK = tl.load(x_at, mask=inside_M1 & (columns < remaining)[None, :], other=0.0)
        if NORM:
            x_MK = apply_norm(x_MK, gamma, beta, k + columns, K, mean_M, rstd_M)
            x_MK = x_MK.to(a.dtype.element_ty)
        if BASE:
            w_KN = tl.load(w_at, mask=(columns < remaining)[:, None] & inside_1N, other=0.0)
            acc_MN = multiply_add(x_MK, w_KN, acc_MN, UPCAST, PRECISION)
        a_KC = tl.load(a_at, mask=(columns < remaining)[:, None] & inside_1C, other=0.0)
        low_MC = multiply_add(x_MK, a_KC, low_MC, UPCAST, PRECISION)
        x_at += BLOCK_K
        w_at += BLOCK_K * stride_wk
        a_at += BLOCK_K * stride_ak

    gated_MC = apply_gates(low_MC, gates, rows, ranks, M, T, scale, stride_g, stride_e, C, R)
    b_C1 = ((ranks // R).to(tl.int64) * stride_be + (ranks % R) * stride_br)[:, None]
    b_CN = tl.load(
        b + b_C1 + columns_n.to(tl.int64)[None, :] * stride_bn,
        mask=(ranks < C)[:, None] & inside_1N,
        other=0.0,
    )
    acc_MN = multiply_add(gated_MC.to(b.dtype.element_ty), b_CN, acc_MN, UPCAST, PRECISION)
    if BIAS:
        acc_MN += tl.load(bias + columns_n, mask=columns_n < N, other=0.0).to(tl.float32)[None, :]
    at = rows.to(tl.int64)[:, None] * N + columns_n[None, :]
    if GELU:
        if SAVE:
            tl.store(pre_gelu + at, acc_MN.to(out.dtype.element_ty), mask=inside_M1 & inside_1N)
        acc_MN = gelu(acc_MN)
    tl.store(out + at, acc_MN.to(out.dtype.element_ty), mask=inside_M1 & inside_1N)
    if SAVE:
        column = tl.program_id(0) % tiles_n
        if column == 0:  # only one column tile writes the per-row results
            low_at = low_out + rows.to(tl.int64)[:, None] * C + ranks[None, :]
            tl.store(low_at, low_MC, mask=inside_M1 & inside_1C)
            if NORM:
                tl.store(mean_out + rows, mean_M, mask=rows < M)
                tl.store(rstd_out + rows, rstd_M, mask=rows < M)


def one_pass(
    x_MK: Tensor,
    norm: Norm | None,
    weight_NK: Tensor | None,
    bias_N: Tensor | None,
    a_ERK: Tensor,
    b_ENR: Tensor,
    gates_GE: Tensor,
    scale: float,
    saved: tuple[Tensor, Tensor, Tensor] | None,
    pre_gelu_MN: Tensor | None,
    tile: Tile,
    *,
    gelu: bool,
) -> Tensor:
    """Return the whole layer (M, N), or only the sum of the experts if there is no weight.

    Fills `saved` with x A^T (M, C) and, if there is a norm, the mean and 1 / deviation (M,) of the
    rows. Fills `pre_gelu_MN` with the input of GELU.
    """
    rows, inputs = x_MK.shape
    outputs = b_ENR.shape[1]
    ranks = a_ERK.shape[0] * a_ERK.shape[1]
    out = torch.empty(rows, outputs, dtype=a_ERK.dtype, device=x_MK.device)
    low, mean, rstd = saved or (out, out, out)
    gamma, beta = (norm.weight_K, norm.bias_K) if norm else (x_MK, x_MK)
    one_pass_kernel[(triton.cdiv(rows, tile.block_m) * triton.cdiv(outputs, tile.block_n),)](
        x_MK,
        gamma,
        beta,
        out if weight_NK is None else weight_NK,
        out if bias_N is None else bias_N,
        a_ERK,
        b_ENR,
        gates_GE,
        out,
        out if pre_gelu_MN is None else pre_gelu_MN,
        low,
        mean,
        rstd,
        rows,
        outputs,
        inputs,
        rows // gates_GE.shape[0],
        scale,
        norm.eps if norm else 0.0,
        x_MK.stride(0),
        *((0, 0) if weight_NK is None else weight_NK.stride()),
        *a_ERK.stride(),
        *b_ENR.stride(),
        *gates_GE.stride(),
        **rank_space_sizes(gates_GE, ranks),
        BLOCK_M=tile.block_m,
        BLOCK_N=tile.block_n,
        BLOCK_K=tile.block_k,
        NORM=norm is not None,
        BASE=weight_NK is not None,
        BIAS=bias_N is not None,
        GELU=gelu,
        SAVE=saved is not None,
        **precision_options(a_ERK.dtype, x_MK.device),
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return out
