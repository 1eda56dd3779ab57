"""Compute base, experts and residual in one launch.

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
    load_b,
    multiply_add,
    precision_options,
    rank_space_sizes,
)

__all__ = ["one_pass", "one_pass_kernel"]


@triton.jit
def one_pass_kernel(
    x,  # (M, K), rows stride_xm apart
    weight,  # (N, K), any strides, read if BASE
    bias,  # (N,), read if BIAS
    residual,  # (M, N), rows stride_rm apart, read if RESIDUAL
    a,  # (E, R, K), any strides
    b,  # (E, N, R), any strides
    gates,  # (M / T, E), any strides
    out,  # (M, N)
    low_out,  # (M, C) fp32, written if SAVE
    M,
    N,
    K,
    T,
    scale,
    stride_xm,
    stride_wn,
    stride_wk,
    stride_rm,
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
    BASE: tl.constexpr,
    BIAS: tl.constexpr,
    RESIDUAL: tl.constexpr,
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
        if BASE:
            w_KN = tl.load(w_at, mask=(columns < remaining)[:, None] & inside_1N, other=0.0)
            acc_MN = multiply_add(x_MK, w_KN, acc_MN, UPCAST, PRECISION)
        a_KC = tl.load(a_at, mask=(columns < remaining)[:, None] & inside_1C, other=0.0)
        low_MC = multiply_add(x_MK, a_KC, low_MC, UPCAST, PRECISION)
        x_at += BLOCK_K
        w_at += BLOCK_K * stride_wk
        a_at += BLOCK_K * stride_ak

    gated_MC = apply_gates(low_MC, gates, rows, ranks, M, T, scale, stride_g, stride_e, C, R)
    b_CN = load_b(b, ranks, columns_n, N, stride_be, stride_bn, stride_br, C, R)
    acc_MN = multiply_add(gated_MC.to(b.dtype.element_ty), b_CN, acc_MN, UPCAST, PRECISION)
    if BIAS:
        acc_MN += tl.load(bias + columns_n, mask=columns_n < N, other=0.0).to(tl.float32)[None, :]
    if RESIDUAL:
        r_at = residual + rows.to(tl.int64)[:, None] * stride_rm + columns_n[None, :]
        acc_MN += tl.load(r_at, mask=inside_M1 & inside_1N, other=0.0).to(tl.float32)
    at = rows.to(tl.int64)[:, None] * N + columns_n[None, :]
    tl.store(out + at, acc_MN.to(out.dtype.element_ty), mask=inside_M1 & inside_1N)
    if SAVE:
        column = tl.program_id(0) % tiles_n
        if column == 0:  # only one column tile writes the rank space
            low_at = low_out + rows.to(tl.int64)[:, None] * C + ranks[None, :]
            tl.store(low_at, low_MC, mask=inside_M1 & inside_1C)


def one_pass(
    x_MK: Tensor,
    weight_NK: Tensor | None,
    bias_N: Tensor | None,
    a_ERK: Tensor,
    b_ENR: Tensor,
    gates_GE: Tensor,
    scale: float,
    residual_MN: Tensor | None,
    low_out_MC: Tensor | None,
    tile: Tile,
) -> Tensor:
    """Return the whole layer (M, N), or only the sum of the experts if there is no weight.

    Adds `residual_MN` if there is one. Fills `low_out_MC` with x A^T in fp32.
    """
    rows, inputs = x_MK.shape
    outputs = b_ENR.shape[1]
    ranks = a_ERK.shape[0] * a_ERK.shape[1]
    out = torch.empty(rows, outputs, dtype=a_ERK.dtype, device=x_MK.device)
    one_pass_kernel[(triton.cdiv(rows, tile.block_m) * triton.cdiv(outputs, tile.block_n),)](
        x_MK,
        out if weight_NK is None else weight_NK,
        out if bias_N is None else bias_N,
        out if residual_MN is None else residual_MN,
        a_ERK,
        b_ENR,
        gates_GE,
        out,
        out if low_out_MC is None else low_out_MC,
        rows,
        outputs,
        inputs,
        rows // gates_GE.shape[0],
        scale,
        x_MK.stride(0),
        *((0, 0) if weight_NK is None else weight_NK.stride()),
        0 if residual_MN is None else residual_MN.stride(0),
        *a_ERK.stride(),
        *b_ENR.stride(),
        *gates_GE.stride(),
        **rank_space_sizes(gates_GE, ranks),
        BLOCK_M=tile.block_m,
        BLOCK_N=tile.block_n,
        BLOCK_K=tile.block_k,
        BASE=weight_NK is not None,
        BIAS=bias_N is not None,
        RESIDUAL=residual_MN is not None,
        SAVE=low_out_MC is not None,
        **precision_options(a_ERK.dtype, x_MK.device),
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return out
