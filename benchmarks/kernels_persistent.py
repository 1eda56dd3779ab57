"""A candidate design: base and experts in one launch of as many programs as multiprocessors.

Each program computes tile after tile. The tensor memory accelerator loads x, W and A, and the loads
of the next tile run while this tile is finished. Needs Hopper or a later GPU. `kernels` will take
it over if `benchmarks.kernels_tiles` shows on a GPU that it beats `one_pass`.

M rows, K in, N out, E experts, R rank, C = E x R.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from kernels.dispatch import Tile
from kernels.gpu.common import (
    apply_gates,
    load_b,
    multiply_add,
    precision_options,
    rank_space_sizes,
)

__all__ = ["persistent", "persistent_kernel"]

_GROUPED_ROW_TILES = 8  # they run side by side and find their columns of W in L2


@triton.jit
def persistent_kernel(
    x,  # descriptor of (M, K), blocks (BLOCK_M, BLOCK_K)
    weight,  # descriptor of (N, K), blocks (BLOCK_N, BLOCK_K)
    a,  # descriptor of (C, K), blocks (BLOCK_C, BLOCK_K)
    out,  # (M, N)
    bias,  # (N,), read if BIAS
    b,  # (E, N, R), any strides
    gates,  # (M / T, E), any strides
    M,
    N,
    K,
    T,
    scale,
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
    GROUP: tl.constexpr,
    BIAS: tl.constexpr,
    FLATTEN: tl.constexpr,
    UPCAST: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Write every tile whose number is this program's, modulo the number of programs."""
    tiles_m, tiles_n = tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N)
    ranks = tl.arange(0, BLOCK_C)
    for tile in tl.range(
        tl.program_id(0),
        tiles_m * tiles_n,
        tl.num_programs(0),
        flatten=FLATTEN,
    ):
        first_tile = tile // (GROUP * tiles_n) * GROUP
        height = tl.minimum(tiles_m - first_tile, GROUP)
        inner = tile % (GROUP * tiles_n)
        row = (first_tile + inner % height) * BLOCK_M
        column = inner // height * BLOCK_N
        acc_MN = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
        low_MC = tl.zeros((BLOCK_M, BLOCK_C), tl.float32)
        for k in range(0, K, BLOCK_K):
            x_MK = x.load([row, k])
            acc_MN = multiply_add(x_MK, weight.load([column, k]).T, acc_MN, UPCAST, PRECISION)
            low_MC = multiply_add(x_MK, a.load([0, k]).T, low_MC, UPCAST, PRECISION)
        rows = row + tl.arange(0, BLOCK_M)
        columns = column + tl.arange(0, BLOCK_N)
        gated_MC = apply_gates(low_MC, gates, rows, ranks, M, T, scale, stride_g, stride_e, C, R)
        b_CN = load_b(b, ranks, columns, N, stride_be, stride_bn, stride_br, C, R)
        acc_MN = multiply_add(gated_MC.to(b_CN.dtype), b_CN, acc_MN, UPCAST, PRECISION)
        if BIAS:
            bias_N = tl.load(bias + columns, mask=columns < N, other=0.0)
            acc_MN += bias_N.to(tl.float32)[None, :]
        at = out + rows.to(tl.int64)[:, None] * N + columns[None, :]
        inside = (rows < M)[:, None] & (columns < N)[None, :]
        tl.store(at, acc_MN.to(b_CN.dtype), mask=inside)


def persistent(
    x_MK: Tensor,
    weight_NK: Tensor,
    bias_N: Tensor | None,
    a_ERK: Tensor,
    b_ENR: Tensor,
    gates_GE: Tensor,
    scale: float,
    tile: Tile,
    *,
    flatten: bool = True,
) -> Tensor:
    """Return the whole layer (M, N)."""
    rows, inputs = x_MK.shape
    outputs = len(weight_NK)
    ranks = a_ERK.shape[0] * a_ERK.shape[1]
    out = torch.empty(rows, outputs, dtype=a_ERK.dtype, device=x_MK.device)
    sizes = rank_space_sizes(gates_GE, ranks)
    tiles = triton.cdiv(rows, tile.block_m) * triton.cdiv(outputs, tile.block_n)
    programs = 4
    if x_MK.is_cuda:
        programs = torch.cuda.get_device_properties(x_MK.device).multi_processor_count
    persistent_kernel[(min(programs, tiles),)](
        TensorDescriptor.from_tensor(x_MK, [tile.block_m, tile.block_k]),
        TensorDescriptor.from_tensor(weight_NK, [tile.block_n, tile.block_k]),
        TensorDescriptor.from_tensor(a_ERK.flatten(0, 1), [sizes["BLOCK_C"], tile.block_k]),
        out,
        out if bias_N is None else bias_N,
        b_ENR,
        gates_GE,
        rows,
        outputs,
        inputs,
        rows // gates_GE.shape[0],
        scale,
        *b_ENR.stride(),
        *gates_GE.stride(),
        **sizes,
        BLOCK_M=tile.block_m,
        BLOCK_N=tile.block_n,
        BLOCK_K=tile.block_k,
        GROUP=_GROUPED_ROW_TILES,
        BIAS=bias_N is not None,
        FLATTEN=flatten,
        **precision_options(a_ERK.dtype, x_MK.device),
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return out
