"""Add the experts to a matrix: left + S B^T + bias, in one pass over the matrix.

M rows, N out, E experts, R rank, C = E x R.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.dispatch import Tile
from kernels.gpu.common import (
    apply_gates,
    gelu_derivative,
    load_b,
    multiply_add,
    precision_options,
    rank_space_sizes,
)

__all__ = ["expand", "expand_kernel"]


@triton.jit
def expand_kernel(
    left,  # (M, N), rows stride_lm apart, read if LEFT
    low,  # (M, C), rows stride_sm apart
    gates,  # (M / T, E), any strides, read unless GATED
    b,  # (E, N, R), any strides
    bias,  # (N,), read if BIAS
    gelu_input,  # (M, N), rows stride_hm apart, read if GELU_GRADIENT
    out,  # (M, N)
    M,
    N,
    T,
    scale,
    stride_lm,
    stride_sm,
    stride_hm,
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
    LEFT: tl.constexpr,
    GATED: tl.constexpr,
    BIAS: tl.constexpr,
    GELU_GRADIENT: tl.constexpr,
    UPCAST: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Write one tile (BLOCK_M, BLOCK_N)."""
    tiles_n = tl.cdiv(N, BLOCK_N)
    rows = tl.program_id(0) // tiles_n * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.program_id(0) % tiles_n * BLOCK_N + tl.arange(0, BLOCK_N)
    ranks = tl.arange(0, BLOCK_C)
    inside_M1, inside_1N = (rows < M)[:, None], (columns < N)[None, :]
    rows_M1 = rows.to(tl.int64)[:, None]
    low_MC = tl.load(
        low + rows_M1 * stride_sm + ranks[None, :],
        mask=inside_M1 & (ranks < C)[None, :],
        other=0.0,
    )
    if not GATED:
        low_MC = low_MC.to(tl.float32)
        low_MC = apply_gates(low_MC, gates, rows, ranks, M, T, scale, stride_g, stride_e, C, R)
    b_CN = load_b(b, ranks, columns, N, stride_be, stride_bn, stride_br, C, R)
    acc_MN = tl.full((BLOCK_M, BLOCK_N), 0.0, tl.float32)
    acc_MN = multiply_add(low_MC.to(b.dtype.element_ty), b_CN, acc_MN, UPCAST, PRECISION)
    inside = inside_M1 & inside_1N
    if LEFT:
        left_MN = tl.load(left + rows_M1 * stride_lm + columns[None, :], mask=inside, other=0.0)
        acc_MN += left_MN.to(tl.float32)
    if BIAS:
        acc_MN += tl.load(bias + columns, mask=columns < N, other=0.0).to(tl.float32)[None, :]
    if GELU_GRADIENT:
        h_at = gelu_input + rows_M1 * stride_hm + columns[None, :]
        acc_MN *= gelu_derivative(tl.load(h_at, mask=inside, other=0.0).to(tl.float32))
    at = rows_M1 * N + columns[None, :]
    tl.store(out + at, acc_MN.to(out.dtype.element_ty), mask=inside)


def expand(
    left_MN: Tensor | None,
    low_MC: Tensor,
    b_ENR: Tensor,
    tile: Tile,
    *,
    bias_N: Tensor | None = None,
    gates_GE: Tensor | None = None,
    scale: float = 1.0,
    gelu_input_MN: Tensor | None = None,
) -> Tensor:
    """Return (left + S B^T + bias) * the slope of GELU at `gelu_input`, (M, N) in b's dtype.

    S is `low_MC`, which may be wider than C, times scale * gates if there are gates. `left_MN`,
    `bias_N` and `gelu_input_MN` are optional. All rows may be strided.
    """
    rows, outputs = low_MC.shape[0], b_ENR.shape[1]
    experts, _, rank = b_ENR.shape
    out = torch.empty(rows, outputs, dtype=b_ENR.dtype, device=low_MC.device)
    gates = low_MC.new_empty(1, experts) if gates_GE is None else gates_GE
    expand_kernel[(triton.cdiv(rows, tile.block_m) * triton.cdiv(outputs, tile.block_n),)](
        out if left_MN is None else left_MN,
        low_MC,
        gates,
        b_ENR,
        out if bias_N is None else bias_N,
        out if gelu_input_MN is None else gelu_input_MN,
        out,
        rows,
        outputs,
        rows // len(gates),
        scale,
        0 if left_MN is None else left_MN.stride(0),
        low_MC.stride(0),
        0 if gelu_input_MN is None else gelu_input_MN.stride(0),
        *b_ENR.stride(),
        *gates.stride(),
        **rank_space_sizes(gates, experts * rank),
        BLOCK_M=tile.block_m,
        BLOCK_N=tile.block_n,
        LEFT=left_MN is not None,
        GATED=gates_GE is None,
        BIAS=bias_N is not None,
        GELU_GRADIENT=gelu_input_MN is not None,
        **precision_options(b_ENR.dtype, low_MC.device),
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return out
