"""What several kernels do: norms of rows, gates over ranks, products.

M rows, T rows of a gate row, K in, E experts, R rank, C = E x R.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.dispatch import padded

__all__ = ["gate_strides", "gated", "gelu", "normed", "numerics", "product", "row_statistics"]


def numerics(dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Compile-time options by which a kernel multiplies as torch would.

    Triton's interpreter multiplies the bit patterns of bf16, so there operands are widened first.
    """
    tf32 = dtype == torch.float32 and torch.backends.cuda.matmul.fp32_precision == "tf32"
    return {"UPCAST": device.type == "cpu", "PRECISION": "tf32" if tf32 else "ieee"}


def gate_strides(gates: Tensor, ranks: int) -> dict[str, int]:
    """Compile-time sizes of the rank space for gates (G, E)."""
    experts = gates.shape[1]
    return {"C": ranks, "R": ranks // experts, "BLOCK_C": padded(ranks)}


@triton.jit
def product(a, b, acc, UPCAST: tl.constexpr, PRECISION: tl.constexpr):
    """acc + a b, in fp32."""
    if UPCAST:
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, acc, input_precision=PRECISION)


@triton.jit
def gelu(x):
    """The exact one, as torch's default."""
    return 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))


@triton.jit
def gated(
    low_MC, gates, rows, ranks, M, T, scale, stride_g, stride_e, C: tl.constexpr, R: tl.constexpr
):
    """low * scale * gate of each rank's expert in each row; zero outside."""
    at = (rows // T).to(tl.int64)[:, None] * stride_g + (ranks // R)[None, :] * stride_e
    inside = (rows < M)[:, None] & (ranks < C)[None, :]
    gates_MC = tl.load(gates + at, mask=inside, other=0.0).to(tl.float32)
    return low_MC * (gates_MC * scale)


@triton.jit
def row_statistics(x, at_M1, inside_M1, K, eps, BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr):
    """Mean and 1 / deviation of each row, in one pass (Chan et al. 1979: merging two samples)."""
    mean_M = tl.full((BLOCK_M,), 0.0, tl.float32)
    spread_M = tl.full((BLOCK_M,), 0.0, tl.float32)
    for k in range(0, K, BLOCK_K):
        columns = k + tl.arange(0, BLOCK_K)
        inside = inside_M1 & (columns < K)[None, :]
        x_MK = tl.load(x + at_M1 + columns[None, :], mask=inside, other=0.0).to(tl.float32)
        seen = k * 1.0
        new = tl.minimum(K - k, BLOCK_K) * 1.0
        part_M = tl.sum(x_MK, 1) / new
        apart_MK = tl.where(inside, x_MK - part_M[:, None], 0.0)
        step_M = part_M - mean_M
        mean_M += step_M * (new / (seen + new))
        spread_M += tl.sum(apart_MK * apart_MK, 1) + step_M * step_M * (seen * new / (seen + new))
    return mean_M, tl.rsqrt(spread_M / K + eps)


@triton.jit
def normed(x_MK, gamma, beta, columns, K, mean_M, rstd_M):
    """LayerNorm of a tile in fp32, given its rows' statistics."""
    inside = columns < K
    gamma_K = tl.load(gamma + columns, mask=inside, other=0.0).to(tl.float32)
    beta_K = tl.load(beta + columns, mask=inside, other=0.0).to(tl.float32)
    x_MK = (x_MK.to(tl.float32) - mean_M[:, None]) * rstd_M[:, None]
    return x_MK * gamma_K[None, :] + beta_K[None, :]
