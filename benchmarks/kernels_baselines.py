"""Other published ways to compute a layer with LoRA experts, written from their papers.

- LoRAFusion (arXiv 2510.00206): a shrink, then a Triton GEMM for W whose epilogue adds S B^T.
- ScatterMoE (arXiv 2403.08245): each (row, expert) pair is a row of a grouped GEMM, N wide, and
  the pairs of a row are summed by their gates.

M rows, K in, N out, E experts, R rank, C = E x R, the joined rank space.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.dispatch import padded_ranks
from kernels.gpu.common import multiply_add, precision_options

__all__ = ["fused_epilogue_gemm", "scattered_experts"]


@triton.jit
def _fused_epilogue_kernel(
    x,  # (M, K), contiguous
    weight,  # (N, K), contiguous
    bias,  # (N,)
    low,  # (M, C), rows stride_lm apart
    b,  # (N, C), contiguous
    out,  # (M, N)
    M,
    N,
    K,
    stride_lm,
    C: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP: tl.constexpr,
    UPCAST: tl.constexpr,
    PRECISION: tl.constexpr,
):
    tiles_m, tiles_n = tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N)
    program = tl.program_id(0)
    first_tile = program // (GROUP * tiles_n) * GROUP
    height = tl.minimum(tiles_m - first_tile, GROUP)
    inner = program % (GROUP * tiles_n)
    rows = (first_tile + inner % height) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns_n = (inner // height) * BLOCK_N + tl.arange(0, BLOCK_N)
    ranks = tl.arange(0, BLOCK_C)
    inside_M1, inside_1N = (rows < M)[:, None], (columns_n < N)[None, :]
    columns = tl.arange(0, BLOCK_K)
    x_at = x + rows.to(tl.int64)[:, None] * K + columns[None, :]
    w_at = weight + columns_n.to(tl.int64)[None, :] * K + columns[:, None]
    acc_MN = tl.full((BLOCK_M, BLOCK_N), 0.0, tl.float32)
    for k in range(0, K, BLOCK_K):
        remaining = K - k
        x_MK = tl.load(x_at, mask=inside_M1 & (columns < remaining)[None, :], other=0.0)
        w_KN = tl.load(w_at, mask=(columns < remaining)[:, None] & inside_1N, other=0.0)
        acc_MN = multiply_add(x_MK, w_KN, acc_MN, UPCAST, PRECISION)
        x_at += BLOCK_K
        w_at += BLOCK_K
    low_at = low + rows.to(tl.int64)[:, None] * stride_lm + ranks[None, :]
    low_MC = tl.load(low_at, mask=inside_M1 & (ranks < C)[None, :], other=0.0)
    b_at = b + columns_n.to(tl.int64)[None, :] * C + ranks[:, None]
    b_CN = tl.load(b_at, mask=(ranks < C)[:, None] & inside_1N, other=0.0)
    acc_MN = multiply_add(low_MC, b_CN, acc_MN, UPCAST, PRECISION)
    acc_MN += tl.load(bias + columns_n, mask=columns_n < N, other=0.0).to(tl.float32)[None, :]
    at = rows.to(tl.int64)[:, None] * N + columns_n[None, :]
    tl.store(out + at, acc_MN.to(out.dtype.element_ty), mask=inside_M1 & inside_1N)


def fused_epilogue_gemm(
    x_MK: Tensor, weight_NK: Tensor, bias_N: Tensor, gated_MC: Tensor, b_NC: Tensor
) -> Tensor:
    """Return x W^T + bias + S B^T, (M, N), by one Triton GEMM; `gated_MC` is S."""
    (rows, inputs), outputs, ranks = x_MK.shape, len(weight_NK), b_NC.shape[1]
    out = torch.empty(rows, outputs, dtype=x_MK.dtype, device=x_MK.device)
    half = x_MK.dtype != torch.float32
    large = half and rows >= 4096
    block_m, block_n, block_k = (128, 256, 64) if large else (64, 64, 64) if half else (32, 32, 16)
    _fused_epilogue_kernel[(triton.cdiv(rows, block_m) * triton.cdiv(outputs, block_n),)](
        x_MK,
        weight_NK,
        bias_N,
        gated_MC,
        b_NC,
        out,
        rows,
        outputs,
        inputs,
        gated_MC.stride(0),
        C=ranks,
        BLOCK_C=padded_ranks(ranks),
        BLOCK_M=block_m,
        BLOCK_N=128 if large and ranks > 64 else block_n,
        BLOCK_K=block_k,
        GROUP=8,
        **precision_options(x_MK.dtype, x_MK.device),
        num_warps=8 if large else 4,
        num_stages=3,
    )
    return out


def scattered_experts(x_MK: Tensor, a_ERK: Tensor, b_ENR: Tensor, gates_ME: Tensor) -> Tensor:
    """Return sum_e g_e (x A_e^T) B_e^T, (M, N): an N-wide row for each (row, expert) pair.

    Every expert serves every row here, so the pairs are sorted by expert already, and the batched
    GEMM of cuBLAS is the grouped GEMM.
    """
    low_EMR = torch.matmul(x_MK, a_ERK.transpose(1, 2))
    pairs_EMN = torch.bmm(low_EMR, b_ENR.transpose(1, 2))
    gates_M1E = gates_ME.to(pairs_EMN.dtype)[:, None]
    return torch.bmm(gates_M1E, pairs_EMN.transpose(0, 1))[:, 0]
