"""Compute the gates of many routers in one launch, and mix a bank's prompts in one launch.

L routers, M rows, D inputs of a router or width of a key, F candidates, N entries, J numbers in the
prompts of an entry.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.dispatch import Tile, padded_ranks

__all__ = ["TILE", "mix", "mix_kernel", "route", "route_kernel"]

# A product needs at least 16 rows. D is read in steps of `block_k`, and one program mixes `block_n`
# numbers of the prompts.
TILE = Tile(16, 64, 32, 8, 2)


@triton.jit
def positions_in_row(value_MF, columns, F, BLOCK_M: tl.constexpr, BLOCK_F: tl.constexpr):
    """Rank the values of each row: largest first, and equal values by column.

    Returns the position of each value in that order, and the sum of the values before it.
    """
    position_MF = tl.full((BLOCK_M, BLOCK_F), 0, tl.int32)
    preceding_sum_MF = tl.full((BLOCK_M, BLOCK_F), 0.0, tl.float32)
    for f in range(0, F):
        value_M1 = tl.sum(tl.where((columns == f)[None, :], value_MF, 0.0), 1)[:, None]
        equal_MF = (value_M1 == value_MF) & (f < columns)[None, :]
        precedes_MF = (value_M1 > value_MF) | equal_MF
        position_MF += precedes_MF.to(tl.int32)
        preceding_sum_MF += tl.where(precedes_MF, value_M1, 0.0)
    return position_MF, preceding_sum_MF


@triton.jit
def softmax(logits_MF):
    """Return the softmax of each row."""
    exp_MF = tl.exp(logits_MF - tl.max(logits_MF, 1)[:, None])
    return exp_MF / tl.sum(exp_MF, 1)[:, None]


@triton.jit
def route_kernel(
    h,  # (M, D), rows stride_hm apart
    weight,  # (L, F, D), contiguous
    out,  # (L, M, F) fp32
    M,
    D,
    F,
    k,
    p,
    temperature,
    stride_hm,
    BLOCK_M: tl.constexpr,
    BLOCK_F: tl.constexpr,
    BLOCK_D: tl.constexpr,
    TOP_K: tl.constexpr,
    TOP_P: tl.constexpr,
):
    """Write the gates of BLOCK_M rows for one of the L routers."""
    router = tl.program_id(1).to(tl.int64)
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_F)
    inside_M1, inside_1F = (rows < M)[:, None], (columns < F)[None, :]
    logits_MF = tl.full((BLOCK_M, BLOCK_F), 0.0, tl.float32)
    for d in range(0, D, BLOCK_D):
        offsets = d + tl.arange(0, BLOCK_D)
        h_at = h + rows.to(tl.int64)[:, None] * stride_hm + offsets[None, :]
        h_MD = tl.load(h_at, mask=inside_M1 & (offsets < D)[None, :], other=0.0).to(tl.float32)
        w_at = weight + (router * F + columns)[None, :] * D + offsets[:, None]
        w_DF = tl.load(w_at, mask=(offsets < D)[:, None] & inside_1F, other=0.0).to(tl.float32)
        logits_MF = tl.dot(h_MD, w_DF, logits_MF, input_precision="ieee")
    probs_MF = softmax(tl.where(inside_1F, logits_MF / temperature, float("-inf")))
    if TOP_K or TOP_P:
        position_MF, preceding_sum_MF = positions_in_row(probs_MF, columns, F, BLOCK_M, BLOCK_F)
        if TOP_K:
            probs_MF = tl.where(position_MF < k, probs_MF, 0.0)
            probs_MF = probs_MF / tl.sum(probs_MF, 1)[:, None]
        else:
            probs_MF = tl.where(preceding_sum_MF < p, probs_MF, 0.0)
    at = (router * M + rows)[:, None] * F + columns[None, :]
    tl.store(out + at, probs_MF, mask=inside_M1 & inside_1F)


def route(h_MD: Tensor, weight_LFD: Tensor, temperature: float, k: int, p: float) -> Tensor:
    """Return the gates (L, M, F) of L routers in fp32.

    Keeps the `k` largest of each row if k > 0, the fewest that reach `p` if p > 0, otherwise all.
    """
    (rows, width), (routers, candidates) = h_MD.shape, weight_LFD.shape[:2]
    out = torch.empty(routers, rows, candidates, dtype=torch.float32, device=h_MD.device)
    route_kernel[(triton.cdiv(rows, TILE.block_m), routers)](
        h_MD,
        weight_LFD.contiguous(),
        out,
        rows,
        width,
        candidates,
        k,
        float(p),
        float(temperature),
        h_MD.stride(0),
        BLOCK_M=TILE.block_m,
        BLOCK_F=padded_ranks(candidates),
        BLOCK_D=TILE.block_k,
        TOP_K=k > 0,
        TOP_P=p > 0,
        num_warps=TILE.warps,
        num_stages=TILE.stages,
    )
    return out


@triton.jit
def mix_kernel(
    prototype,  # (M, D), rows stride_pm apart
    keys,  # (N, D), contiguous
    prompts,  # (N, J), contiguous
    out,  # (M, J) fp32
    weights,  # (M, N) fp32
    M,
    D,
    N,
    J,
    k,
    temperature,
    stride_pm,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_J: tl.constexpr,
    TOP_K: tl.constexpr,
):
    """Write BLOCK_J numbers of the mixed prompts of BLOCK_M rows. Tile 0 also writes weights."""
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    entries = tl.arange(0, BLOCK_N)
    inside_M1, inside_1N = (rows < M)[:, None], (entries < N)[None, :]
    logits_MN = tl.full((BLOCK_M, BLOCK_N), 0.0, tl.float32)
    length_M = tl.full((BLOCK_M,), 0.0, tl.float32)
    length_N = tl.full((BLOCK_N,), 0.0, tl.float32)
    for d in range(0, D, BLOCK_D):
        offsets = d + tl.arange(0, BLOCK_D)
        p_at = prototype + rows.to(tl.int64)[:, None] * stride_pm + offsets[None, :]
        p_MD = tl.load(p_at, mask=inside_M1 & (offsets < D)[None, :], other=0.0).to(tl.float32)
        k_at = keys + entries.to(tl.int64)[None, :] * D + offsets[:, None]
        k_DN = tl.load(k_at, mask=(offsets < D)[:, None] & inside_1N, other=0.0).to(tl.float32)
        logits_MN = tl.dot(p_MD, k_DN, logits_MN, input_precision="ieee")
        length_M += tl.sum(p_MD * p_MD, 1)
        length_N += tl.sum(k_DN * k_DN, 0)
    # clamp lengths to 1e-12, as torch's normalize does
    length_M, length_N = tl.maximum(tl.sqrt(length_M), 1e-12), tl.maximum(tl.sqrt(length_N), 1e-12)
    logits_MN = logits_MN / (length_M[:, None] * length_N[None, :]) / temperature
    logits_MN = tl.where(inside_1N, logits_MN, float("-inf"))
    if TOP_K:
        position_MN, _ = positions_in_row(logits_MN, entries, N, BLOCK_M, BLOCK_N)
        logits_MN = tl.where(position_MN < k, logits_MN, float("-inf"))
    weights_MN = softmax(logits_MN)
    columns = tl.program_id(1) * BLOCK_J + tl.arange(0, BLOCK_J)
    inside_1J = (columns < J)[None, :]
    at_NJ = prompts + entries.to(tl.int64)[:, None] * J + columns[None, :]
    prompts_NJ = tl.load(at_NJ, mask=(entries < N)[:, None] & inside_1J, other=0.0).to(tl.float32)
    mixed_MJ = tl.dot(weights_MN, prompts_NJ, input_precision="ieee")
    at_MJ = out + rows.to(tl.int64)[:, None] * J + columns[None, :]
    tl.store(at_MJ, mixed_MJ, mask=inside_M1 & inside_1J)
    column_tile = tl.program_id(1)
    if column_tile == 0:  # only one column tile writes the weights
        at_MN = weights + rows.to(tl.int64)[:, None] * N + entries[None, :]
        tl.store(at_MN, weights_MN, mask=inside_M1 & inside_1N)


def mix(
    prototype_MD: Tensor, keys_ND: Tensor, prompts_NJ: Tensor, temperature: float, k: int
) -> tuple[Tensor, Tensor]:
    """Return the mixed prompts (M, J) and the weights of the entries (M, N), in fp32.

    Mixes the `k` nearest entries if k > 0, otherwise all.
    """
    (rows, width), (entries, numbers) = prototype_MD.shape, prompts_NJ.shape
    out = torch.empty(rows, numbers, dtype=torch.float32, device=prototype_MD.device)
    weights = torch.empty(rows, entries, dtype=torch.float32, device=prototype_MD.device)
    mix_kernel[(triton.cdiv(rows, TILE.block_m), triton.cdiv(numbers, TILE.block_n))](
        prototype_MD,
        keys_ND.contiguous(),
        prompts_NJ.contiguous(),
        out,
        weights,
        rows,
        width,
        entries,
        numbers,
        k,
        float(temperature),
        prototype_MD.stride(0),
        BLOCK_M=TILE.block_m,
        BLOCK_N=padded_ranks(entries),
        BLOCK_D=TILE.block_k,
        BLOCK_J=TILE.block_n,
        TOP_K=k > 0,
        num_warps=TILE.warps,
        num_stages=TILE.stages,
    )
    return out, weights
