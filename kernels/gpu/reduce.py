"""Sum gradients over rows in the rank space, without atomics, so that results are reproducible.

M rows, T rows per gate row, G gate rows, J columns, E experts, R rank, C = E x R, S splits.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.dispatch import Tile
from kernels.gpu.common import (
    apply_before,
    apply_gates,
    multiply_add,
    precision_options,
    rank_space_sizes,
)
from kernels.reference import Before, Norm

__all__ = ["gate_gradient", "gate_gradient_kernel", "matrix_gradient", "matrix_gradient_kernel"]

_MAX_PROGRAMS = 512  # about four per multiprocessor of a large GPU


@triton.jit
def matrix_gradient_kernel(
    low,  # (M, C), rows stride_lm apart
    gates,  # (M / T, E), any strides
    right,  # (M, J), rows stride_rm apart
    gamma,  # (J,), read if BEFORE is "norm"
    beta,  # (J,), read if BEFORE is "norm"
    mean,  # (M,) fp32, read if BEFORE is "norm"
    rstd,  # (M,) fp32, read if BEFORE is "norm"
    out,  # (S, C, J) fp32
    M,
    J,
    T,
    rows_per_split,
    scale,
    stride_lm,
    stride_rm,
    stride_g,
    stride_e,
    C: tl.constexpr,
    R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_J: tl.constexpr,
    BEFORE: tl.constexpr,
    NARROW: tl.constexpr,
    UPCAST: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Write the sum over one split of rows for BLOCK_J columns."""
    columns = tl.program_id(0) * BLOCK_J + tl.arange(0, BLOCK_J)
    split = tl.program_id(1)
    ranks = tl.arange(0, BLOCK_C)
    inside_1J, inside_1C = (columns < J)[None, :], (ranks < C)[None, :]
    # The long side comes first: Hopper's tensor cores need at least 64 rows, and C can be 16.
    acc_JC = tl.full((BLOCK_J, BLOCK_C), 0.0, tl.float32)
    for m in range(0, rows_per_split, BLOCK_M):
        rows = split * rows_per_split + m + tl.arange(0, BLOCK_M)
        inside_M1 = (rows < M)[:, None]
        low_at = low + rows.to(tl.int64)[:, None] * stride_lm + ranks[None, :]
        low_MC = tl.load(low_at, mask=inside_M1 & inside_1C, other=0.0).to(tl.float32)
        left_MC = apply_gates(low_MC, gates, rows, ranks, M, T, scale, stride_g, stride_e, C, R)
        right_at = right + rows.to(tl.int64)[:, None] * stride_rm + columns[None, :]
        right_MJ = tl.load(right_at, mask=inside_M1 & inside_1J, other=0.0)
        mean_M, rstd_M = 0.0, 0.0
        if BEFORE == "norm":
            mean_M = tl.load(mean + rows, mask=rows < M, other=0.0)
            rstd_M = tl.load(rstd + rows, mask=rows < M, other=0.0)
        right_MJ = apply_before(right_MJ, gamma, beta, columns, J, mean_M, rstd_M, BEFORE)
        right_MJ = right_MJ.to(NARROW)
        left_MC = left_MC.to(NARROW)
        acc_JC = multiply_add(tl.trans(right_MJ), left_MC, acc_JC, UPCAST, PRECISION)
    at = (split * C + ranks).to(tl.int64)[None, :] * J + columns[:, None]
    tl.store(out + at, acc_JC, mask=(columns < J)[:, None] & inside_1C)


def matrix_gradient(
    low_MC: Tensor,
    gates_GE: Tensor,
    right_MJ: Tensor,
    before: Before,
    statistics: tuple[Tensor, Tensor] | None,
    scale: float,
    dtype: torch.dtype,
    tile: Tile,
) -> Tensor:
    """Return (scale * gates * low)^T before(right), (C, J) in fp32, multiplied in `dtype`.

    `statistics` holds the mean and 1 / deviation (M,) of the rows for a norm. The shape alone
    decides how rows are split. One program sums each split, and the sums are added in order, so
    results are reproducible.
    """
    rows, width = right_MJ.shape
    ranks = low_MC.shape[1]
    tiles = triton.cdiv(width, tile.block_n)
    splits = max(1, min(triton.cdiv(rows, 4 * tile.block_m), _MAX_PROGRAMS // tiles))
    rows_per_split = triton.cdiv(triton.cdiv(rows, splits), tile.block_m) * tile.block_m
    splits = triton.cdiv(rows, rows_per_split)
    out = torch.empty(splits, ranks, width, dtype=torch.float32, device=right_MJ.device)
    norm = before if isinstance(before, Norm) else None
    gamma, beta = (norm.weight_K, norm.bias_K) if norm else (out, out)
    mean, rstd = statistics or (out, out)
    triton_dtypes = {
        torch.float16: tl.float16,
        torch.bfloat16: tl.bfloat16,
        torch.float32: tl.float32,
    }
    matrix_gradient_kernel[(tiles, splits)](
        low_MC,
        gates_GE,
        right_MJ,
        gamma,
        beta,
        mean,
        rstd,
        out,
        rows,
        width,
        rows // gates_GE.shape[0],
        rows_per_split,
        scale,
        low_MC.stride(0),
        right_MJ.stride(0),
        *gates_GE.stride(),
        **rank_space_sizes(gates_GE, ranks),
        BLOCK_M=tile.block_m,
        BLOCK_J=tile.block_n,
        BEFORE="norm" if norm else before or "none",
        NARROW=triton_dtypes[dtype],
        **precision_options(dtype, right_MJ.device),
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return out[0] if splits == 1 else out.sum(0)


@triton.jit
def gate_gradient_kernel(
    low,  # (M, C) fp32
    back,  # (M, C), rows stride_bm apart
    out,  # (G, E) fp32
    M,
    T,
    E,
    scale,
    stride_bm,
    R: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_E: tl.constexpr,
    BLOCK_R: tl.constexpr,
    PER_TOKEN: tl.constexpr,
):
    """Write the gradients of BLOCK_M gate rows if PER_TOKEN, else of one gate row."""
    experts, ranks = tl.arange(0, BLOCK_E), tl.arange(0, BLOCK_R)
    at_ER = (experts[:, None] * R + ranks[None, :])[None]
    inside_ER = ((experts < E)[:, None] & (ranks < R)[None, :])[None]
    if PER_TOKEN:
        rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
        inside = (rows < M)[:, None, None] & inside_ER
        rows_M11 = rows.to(tl.int64)[:, None, None]
        low_MER = tl.load(low + rows_M11 * (E * R) + at_ER, mask=inside, other=0.0)
        back_MER = tl.load(back + rows_M11 * stride_bm + at_ER, mask=inside, other=0.0)
        sum_ME = tl.sum(low_MER * back_MER.to(tl.float32), 2) * scale
        to = rows.to(tl.int64)[:, None] * E + experts[None, :]
        tl.store(out + to, sum_ME, mask=(rows < M)[:, None] & (experts < E)[None, :])
    else:
        sum_E = tl.full((BLOCK_E,), 0.0, tl.float32)
        for t in range(0, T, BLOCK_M):
            tokens = t + tl.arange(0, BLOCK_M)
            rows_M11 = (tl.program_id(0).to(tl.int64) * T + tokens)[:, None, None]
            inside = (tokens < T)[:, None, None] & inside_ER
            low_MER = tl.load(low + rows_M11 * (E * R) + at_ER, mask=inside, other=0.0)
            back_MER = tl.load(back + rows_M11 * stride_bm + at_ER, mask=inside, other=0.0)
            sum_E += tl.sum(tl.sum(low_MER * back_MER.to(tl.float32), 2), 0)
        to = tl.program_id(0).to(tl.int64) * E + experts
        tl.store(out + to, sum_E * scale, mask=experts < E)


def gate_gradient(
    low_MC: Tensor, back_MC: Tensor, gate_rows: int, experts: int, scale: float, tile: Tile
) -> Tensor:
    """Return scale * the sum of low * back over the ranks of each expert and the rows of each gate.

    The result is (G, E) in fp32.
    """
    rows, ranks = low_MC.shape
    rank = ranks // experts
    out = torch.empty(gate_rows, experts, dtype=torch.float32, device=low_MC.device)
    per_token = gate_rows == rows
    gate_gradient_kernel[(triton.cdiv(rows, tile.block_m) if per_token else gate_rows,)](
        low_MC,
        back_MC,
        out,
        rows,
        rows // gate_rows,
        experts,
        scale,
        back_MC.stride(0),
        R=rank,
        BLOCK_M=tile.block_m,
        BLOCK_E=triton.next_power_of_2(experts),
        BLOCK_R=triton.next_power_of_2(rank),
        PER_TOKEN=per_token,
        num_warps=tile.warps,
    )
    return out
