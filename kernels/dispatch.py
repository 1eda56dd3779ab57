"""Choose the design and the tiles for a layer call.

Every design computes y = LN(x) W^T + bias + S B^T, then GELU if asked, where
S = scale * gates * (LN(x) A^T):

- one_pass: one Triton kernel computes everything.
- split: one kernel computes LN(x) and S. A Triton GEMM then starts from S B^T and ends in GELU.
- augmented: the same kernel writes `[LN(x) | S]`. One cuBLAS GEMM multiplies it by `[W | B]`.
- grouped: torch computes two thin GEMMs beside the plain layer.

The rule in `choose_design` follows from the bytes that each design moves on an H100
(docs/kernels.md). It is not measured yet. An entry in `MEASURED_DESIGNS` overrides the rule.
M rows, K in, N out, C experts x rank.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch

__all__ = [
    "DESIGNS",
    "MEASURED_DESIGNS",
    "Design",
    "Tile",
    "Workload",
    "choose_design",
    "choose_tile",
    "next_power_of_two",
    "padded_ranks",
]

Design = Literal["one_pass", "split", "augmented", "grouped"]
DESIGNS: tuple[str, ...] = get_args(Design)
Kernel = Literal["shrink", "split", "one_pass", "matrix_gradient", "gate_gradient"]

_MAX_FUSED_RANKS = 128  # a wider tile of the rank space spills registers
_MIN_ARCH = 80  # older GPUs do not multiply bf16 in hardware
_LAUNCH_BOUND_ROWS = 4096  # below this, launches cost more than memory traffic
_HALF_DTYPES = (torch.float16, torch.bfloat16)


class Workload(NamedTuple):
    """The size and the options of one layer call, which decide its design and its tiles.

    `ranks` is experts x rank. `arch` is the compute capability times ten: 90 for an H100. `base`
    says whether the layer has a weight W. `gradient` says whether backward will follow.
    """

    rows: int
    inputs: int
    outputs: int
    ranks: int
    dtype: torch.dtype
    arch: int
    norm: bool = False
    gelu: bool = False
    base: bool = True
    gradient: bool = False


class Tile(NamedTuple):
    """Block sizes along M, N and K, the warps that share a block, and the pipeline stages."""

    block_m: int
    block_n: int
    block_k: int
    warps: int
    stages: int


# The design that a benchmark found fastest for a workload. The rows of a key are rounded up by
# `next_power_of_two`, its ranks by `padded_ranks`.
MEASURED_DESIGNS: dict[Workload, Design] = {}


def next_power_of_two(number: int) -> int:
    """Return the smallest power of two that is at least `number`, and at least 1."""
    return 1 << max(0, number - 1).bit_length()


def padded_ranks(ranks: int) -> int:
    """Return the tile width of a rank space: a power of two, at least 16.

    Tensor cores need at least 16 columns.
    """
    return max(16, next_power_of_two(ranks))


def choose_design(workload: Workload) -> Design:
    """Return the measured design for the workload, or the one that the rule predicts."""
    w = workload
    if w.ranks > _MAX_FUSED_RANKS or w.rows == 0 or w.ranks == 0 or w.arch < _MIN_ARCH:
        return "grouped"
    rounded = w._replace(rows=next_power_of_two(w.rows), ranks=padded_ranks(w.ranks))
    if measured := MEASURED_DESIGNS.get(rounded):
        return measured
    if not w.base:
        return "one_pass"
    if w.dtype not in _HALF_DTYPES:
        return "augmented"  # in exact fp32 nothing beats cuBLAS, and copying x is cheap
    if w.rows < _LAUNCH_BOUND_ROWS:
        return "one_pass"
    if w.norm and not w.gelu:
        return "augmented"
    if w.norm or w.gelu or w.outputs >= 2048 or w.ranks > 64:
        return "split"
    return "one_pass"


def choose_tile(kernel: Kernel, workload: Workload) -> Tile:
    """Return tiles that compile without spills and fit into shared memory.

    tests/kernels/test_compile_ahead.py compiles every one of them.
    """
    w = workload
    # Only Hopper and data-centre Blackwell (sm_100) keep sums out of the registers of the loading
    # warps. Other GPUs have as little as 99 KiB of shared memory too: they need more warps and
    # smaller tiles. A wide rank space takes half of the registers and needs more warps as well.
    tight_registers, wide_ranks = not 90 <= w.arch < 120, padded_ranks(w.ranks) > 64
    warps = 8 if tight_registers or wide_ranks else 4
    if kernel == "gate_gradient":
        return Tile(16, 0, 0, 4, 1)
    if w.dtype not in _HALF_DTYPES:
        return Tile(32, 64 if kernel == "matrix_gradient" else 32, 16, 8, 2)
    if kernel == "matrix_gradient":
        return Tile(64, 64 if wide_ranks else 128, 0, warps, 2)
    if kernel == "shrink":
        return Tile(64, 0, 64, 4, 3)
    small = w.rows < _LAUNCH_BOUND_ROWS or w.outputs < 256
    if small or (kernel == "one_pass" and (w.norm or wide_ranks or tight_registers)):
        return Tile(64, 64, 64, warps, 3)
    if tight_registers:
        return Tile(128, 128, 32, 8, 4)
    if w.gelu or wide_ranks:  # erf or a wide B does not fit beside 256 columns
        return Tile(128, 128, 64, 8, 4)
    return Tile(128, 256, 64, 8, 3)
