"""The GEMM that follows `shrink`: its accumulator starts from the sum of the experts.

M rows, K in, N out, E experts, R rank, C = E x R.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.dispatch import Tile, padded_ranks
from kernels.gpu.common import gelu, multiply_add, precision_options

__all__ = ["split", "split_kernel"]

_GROUPED_ROW_TILES = 8  # they run side by side and find their columns of W in L2


@triton.jit
def split_kernel(
    x,  # (M, K), rows stride_xm apart
    weight,  # (N, K), any strides
    bias,  # (N,), read if BIAS
    low,  # (M, C), gated, rows stride_lm apart
    b,  # (E, N, R), any strides
    out,  # (M, N)
    pre_gelu,  # (M, N), the input of GELU, written if SAVE and GELU
    M,
    N,
    K,
    stride_xm,
    stride_wn,
    stride_wk,
    stride_lm,
    stride_be,
    stride_bn,
    stride_br,
    C: tl.constexpr,
    R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP: tl.constexpr,
    BIAS: tl.constexpr,
    GELU: tl.constexpr,
    SAVE: tl.constexpr,
    UPCAST: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Write one tile (BLOCK_M, BLOCK_N) of the output, and the input of GELU if SAVE."""
    tiles_m, tiles_n = tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N)
    program = tl.program_id(0)
    first_tile = program // (GROUP * tiles_n) * GROUP
    height = tl.minimum(tiles_m - first_tile, GROUP)
    inner = program % (GROUP * tiles_n)
    rows = (first_tile + inner % height) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns_n = (inner // height) * BLOCK_N + tl.arange(0, BLOCK_N)
    ranks = tl.arange(0, BLOCK_C)
    inside_M1, inside_1N = (rows < M)[:, None], (columns_n < N)[None, :]

    low_MC = tl.load(
        low + rows.to(tl.int64)[:, None] * stride_lm + ranks[None, :],
        mask=inside_M1 & (ranks < C)[None, :],
        other=0.0,
    )
    b_C1 = ((ranks // R).to(tl.int64) * stride_be + (ranks % R) * stride_br)[:, None]
    b_CN = tl.load(
        b + b_C1 + columns_n.to(tl.int64)[None, :] * stride_bn,
        mask=(ranks < C)[:, None] & inside_1N,
        other=0.0,
    )
    acc_MN = tl.full((BLOCK_M, BLOCK_N), 0.0, tl.float32)
    acc_MN = multiply_add(low_MC, b_CN, acc_MN, UPCAST, PRECISION)

    columns = tl.arange(0, BLOCK_K)
    x_at = x + rows.to(tl.int64)[:, None] * stride_xm + columns[None, :]
    w_1N = columns_n.to(tl.int64)[None, :] * stride_wn
    w_at = weight + w_1N + columns.to(tl.int64)[:, None] * stride_wk
    for k in range(0, K, BLOCK_K):
        remaining = K - k
        x_MK = tl.load(x_at, mask=inside_M1 & (columns < remaining)[None, :], other=0.0)
        w_KN = tl.load(w_at, mask=(columns < remaining)[:, None] & inside_1N, other=0.0)
        acc_MN = multiply_add(x_MK, w_KN, acc_MN, UPCAST, PRECISION)
        x_at += BLOCK_K
        w_at += BLOCK_K * stride_wk

    if BIAS:
        acc_MN += tl.load(bias + columns_n, mask=columns_n < N, other=0.0).to(tl.float32)[None, :]
    at = rows.to(tl.int64)[:, None] * N + columns_n[None, :]
    if GELU:
        if SAVE:
            tl.store(pre_gelu + at, acc_MN.to(out.dtype.element_ty), mask=inside_M1 & inside_1N)
        acc_MN = gelu(acc_MN)
    tl.store(out + at, acc_MN.to(out.dtype.element_ty), mask=inside_M1 & inside_1N)


def split(
    x_MK: Tensor,
    weight_NK: Tensor,
    bias_N: Tensor | None,
    gated_MC: Tensor,
    b_ENR: Tensor,
    pre_gelu_MN: Tensor | None,
    tile: Tile,
    *,
    gelu: bool,
) -> Tensor:
    """Return x W^T + bias + S B^T, (M, N), followed by GELU if `gelu`.

    `gated_MC` is S; it may be wider than C. Fills `pre_gelu_MN` with the input of GELU.
    """
    (rows, inputs), outputs = x_MK.shape, weight_NK.shape[0]
    experts, _, rank = b_ENR.shape
    out = torch.empty(rows, outputs, dtype=x_MK.dtype, device=x_MK.device)
    split_kernel[(triton.cdiv(rows, tile.block_m) * triton.cdiv(outputs, tile.block_n),)](
        x_MK,
        weight_NK,
        out if bias_N is None else bias_N,
        gated_MC,
        b_ENR,
        out,
        out if pre_gelu_MN is None else pre_gelu_MN,
        rows,
        outputs,
        inputs,
        x_MK.stride(0),
        *weight_NK.stride(),
        gated_MC.stride(0),
        *b_ENR.stride(),
        C=experts * rank,
        R=rank,
        BLOCK_C=padded_ranks(experts * rank),
        BLOCK_M=tile.block_m,
        BLOCK_N=tile.block_n,
        BLOCK_K=tile.block_k,
        GROUP=_GROUPED_ROW_TILES,
        BIAS=bias_N is not None,
        GELU=gelu,
        SAVE=pre_gelu_MN is not None,
        **precision_options(x_MK.dtype, x_MK.device),
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return out
