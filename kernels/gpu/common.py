"""Building blocks of several kernels: the operation before a layer, gates, products.

M rows, T rows per gate row, K in, E experts, R rank, C = E x R.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.dispatch import padded_ranks

__all__ = [
    "apply_before",
    "apply_gates",
    "gelu_derivative",
    "load_b",
    "multiply_add",
    "precision_options",
    "rank_space_sizes",
    "row_statistics",
]


def precision_options(dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Return the compile-time options that make a kernel multiply as torch would.

    Triton's interpreter multiplies the bit patterns of bf16, so operands are widened for it.
    """
    tf32 = dtype == torch.float32 and torch.backends.cuda.matmul.fp32_precision == "tf32"
    return {"UPCAST": device.type == "cpu", "PRECISION": "tf32" if tf32 else "ieee"}


def rank_space_sizes(gates: Tensor, ranks: int) -> dict[str, int]:
    """Return the compile-time sizes of the rank space for gates (G, E)."""
    experts = gates.shape[1]
    return {"C": ranks, "R": ranks // experts, "BLOCK_C": padded_ranks(ranks)}


@triton.jit
def multiply_add(a, b, acc, UPCAST: tl.constexpr, PRECISION: tl.constexpr):
    """Return acc + a b in fp32."""
    if UPCAST:
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, acc, input_precision=PRECISION)


@triton.jit
def gelu_derivative(x):
    """Return the slope of the exact GELU."""
    density = 0.3989422804014327 * tl.exp(-0.5 * x * x)
    return 0.5 * (1.0 + tl.erf(x * 0.7071067811865476)) + x * density


@triton.jit
def apply_gates(
    low_MC, gates, rows, ranks, M, T, scale, stride_g, stride_e, C: tl.constexpr, R: tl.constexpr
):
    """Return low * scale * the gate of each rank's expert in each row; zero outside M and C."""
    at = (rows // T).to(tl.int64)[:, None] * stride_g + (ranks // R)[None, :] * stride_e
    inside = (rows < M)[:, None] & (ranks < C)[None, :]
    gates_MC = tl.load(gates + at, mask=inside, other=0.0).to(tl.float32)
    return low_MC * (gates_MC * scale)


@triton.jit
def load_b(
    b,
    ranks,
    columns,
    N,
    stride_be,
    stride_bn,
    stride_br,
    C: tl.constexpr,
    R: tl.constexpr,
):
    """Return a tile of B^T with the experts' ranks joined, (C, N); zero outside C and N."""
    at_C1 = ((ranks // R).to(tl.int64) * stride_be + (ranks % R) * stride_br)[:, None]
    at_1N = columns.to(tl.int64)[None, :] * stride_bn
    inside = (ranks < C)[:, None] & (columns < N)[None, :]
    return tl.load(b + at_C1 + at_1N, mask=inside, other=0.0)


@triton.jit
def row_statistics(x, at_M1, inside_M1, K, eps, BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr):
    """Return the mean and 1 / deviation of each row, in one pass over K.

    The statistics of each block are merged into those of the blocks before (Chan et al. 1979).
    """
    mean_M = tl.full((BLOCK_M,), 0.0, tl.float32)
    squares_M = tl.full((BLOCK_M,), 0.0, tl.float32)
    for k in range(0, K, BLOCK_K):
        columns = k + tl.arange(0, BLOCK_K)
        inside = inside_M1 & (columns < K)[None, :]
        x_MK = tl.load(x + at_M1 + columns[None, :], mask=inside, other=0.0).to(tl.float32)
        count = k * 1.0
        added = tl.minimum(K - k, BLOCK_K) * 1.0
        block_mean_M = tl.sum(x_MK, 1) / added
        deviation_MK = tl.where(inside, x_MK - block_mean_M[:, None], 0.0)
        step_M = block_mean_M - mean_M
        mean_M += step_M * (added / (count + added))
        between_M = step_M * step_M * (count * added / (count + added))
        squares_M += tl.sum(deviation_MK * deviation_MK, 1) + between_M
    return mean_M, tl.rsqrt(squares_M / K + eps)


@triton.jit
def apply_before(x_MK, gamma, beta, columns, K, mean_M, rstd_M, BEFORE: tl.constexpr):
    """Return a tile after the norm or GELU before the layer, in fp32; unchanged for "none"."""
    if BEFORE == "norm":
        inside = columns < K
        gamma_K = tl.load(gamma + columns, mask=inside, other=0.0).to(tl.float32)
        beta_K = tl.load(beta + columns, mask=inside, other=0.0).to(tl.float32)
        x_MK = (x_MK.to(tl.float32) - mean_M[:, None]) * rstd_M[:, None]
        x_MK = x_MK * gamma_K[None, :] + beta_K[None, :]
    if BEFORE == "gelu":
        x_MK = x_MK.to(tl.float32)
        x_MK = 0.5 * x_MK * (1.0 + tl.erf(x_MK * 0.7071067811865476))
    return x_MK
