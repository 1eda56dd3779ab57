"""Choose the design and the tiles for a layer call.

Every design computes y = z W^T + bias + S B^T + residual, where z is x after the norm or GELU
before the layer, and S = scale * gates * (z A^T):

- one_pass: one Triton kernel computes everything. x has no norm or GELU before it.
- augmented: one kernel writes `[z | S | 1]`. One cuBLAS GEMM multiplies it by `[W | B | bias]`.
- accumulate: one kernel writes z and S, one writes S B^T + bias + residual, and a cuBLAS GEMM adds
  z W^T to that.
- grouped: torch computes two thin GEMMs beside the plain layer.

An entry in `MEASURED_DESIGNS` decides. For other workloads the design with the lowest
`predicted_microseconds` is chosen. M rows, K in, N out, C experts x rank.
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
    "predicted_microseconds",
    "shrunk_width",
]

Design = Literal["one_pass", "augmented", "accumulate", "grouped"]
DESIGNS: tuple[Design, ...] = get_args(Design)
Kernel = Literal["shrink", "expand", "one_pass", "matrix_gradient", "gate_gradient"]

_MAX_FUSED_RANKS = 128  # a wider tile of the rank space spills registers
_MIN_ARCH = 80  # older GPUs do not multiply bf16 in hardware
_LAUNCH_BOUND_ROWS = 4096  # below this, small tiles fill the GPU better
_HALF_DTYPES = (torch.float16, torch.bfloat16)

# An H100 under CUDA graphs: a launch, memory traffic, 16-bit products by cuBLAS and by Triton.
_LAUNCH_US = 2.0
_BYTES_PER_US = 2.6e6
_CUBLAS_FLOP_PER_US = 650e6
_TRITON_FLOP_PER_US = 520e6


class Workload(NamedTuple):
    """The size and the options of one layer call, which decide its design and its tiles.

    `ranks` is experts x rank. `arch` is the compute capability times ten: 90 for an H100. `before`
    is the operation on x before the layer. `residual` says whether something is added to the
    result, `base` whether the layer has a weight W, and `transposed` whether this is the layer of
    backward.
    """

    rows: int
    inputs: int
    outputs: int
    ranks: int
    dtype: torch.dtype
    arch: int
    before: Literal["none", "norm", "gelu"] = "none"
    residual: bool = False
    base: bool = True
    transposed: bool = False


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


def shrunk_width(ranks: int) -> int:
    """Return the columns of `[S | 1 | 0]`: C and one more, rounded up to a multiple of 16."""
    return -(-(ranks + 1) // 16) * 16


def choose_design(workload: Workload) -> Design:
    """Return the measured design for the workload, or the one that is predicted to be fastest."""
    w = workload
    if w.ranks > _MAX_FUSED_RANKS or w.rows == 0 or w.ranks == 0 or w.arch < _MIN_ARCH:
        return "grouped"
    rounded = w._replace(rows=next_power_of_two(w.rows), ranks=padded_ranks(w.ranks))
    if measured := MEASURED_DESIGNS.get(rounded):
        return measured
    if not w.base:
        return "one_pass"
    designs: list[Design] = ["augmented", "accumulate"]
    # In exact fp32, nothing beats cuBLAS.
    if w.before == "none" and w.dtype in _HALF_DTYPES:
        designs.insert(0, "one_pass")
    return min(designs, key=lambda design: predicted_microseconds(design, w))


def predicted_microseconds(design: Design, workload: Workload) -> float:
    """Return the time of a layer on an H100 under CUDA graphs, from its launches, bytes and FLOP.

    The model predicts which design wins, not exact times. fp32 is taken to be eight times slower.
    """
    w = workload
    half = w.dtype in _HALF_DTYPES
    size = 2 if half else 4
    input_us = w.rows * w.inputs * size / _BYTES_PER_US  # read or write x once
    output_us = w.rows * w.outputs * size / _BYTES_PER_US

    def product_us(columns: float, flop_per_us: float) -> float:
        flop_us = 2 * w.rows * columns * w.outputs / (flop_per_us if half else flop_per_us / 8)
        return max(flop_us, input_us + output_us)

    residual_us = output_us * w.residual
    plain_us = product_us(w.inputs, _CUBLAS_FLOP_PER_US)
    copies = design == "augmented" or w.before != "none"
    shrink_us = _LAUNCH_US + input_us * (1 + copies)
    if design == "one_pass":
        # Every column tile computes x A^T again.
        repeats = padded_ranks(w.ranks) / choose_tile("one_pass", w).block_n
        columns = w.inputs * (1 + repeats) + w.ranks
        return _LAUNCH_US + product_us(columns, _TRITON_FLOP_PER_US) + residual_us
    if design == "augmented":
        columns = w.inputs + shrunk_width(w.ranks)
        add_us = (_LAUNCH_US + 2 * output_us + residual_us) if w.residual else 0.0
        return shrink_us + _LAUNCH_US + product_us(columns, _CUBLAS_FLOP_PER_US) + add_us
    if design == "accumulate":
        expand_us = _LAUNCH_US + output_us + residual_us
        return shrink_us + expand_us + _LAUNCH_US + plain_us + 0.5 * output_us
    # grouped: the operation before, plain layer, shrink, gates, expand, sum and residual
    before_us = (_LAUNCH_US + 2 * input_us) if w.before != "none" else 0.0
    passes_us = input_us + output_us * (4 + 3 * w.residual)
    return before_us + 5 * _LAUNCH_US + plain_us + passes_us


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
    half = w.dtype in _HALF_DTYPES
    if kernel == "gate_gradient":
        return Tile(16, 0, 0, 4, 1)
    if kernel == "expand":
        return Tile(64, 64 if wide_ranks else 128, 0, 4, 1) if half else Tile(32, 32, 0, 8, 1)
    if not half:
        return Tile(32, 64 if kernel == "matrix_gradient" else 32, 16, 8, 2)
    if kernel == "matrix_gradient":
        return Tile(64, 64 if wide_ranks else 128, 0, warps, 2)
    if kernel == "shrink":
        block_m = 16 if w.rows < _LAUNCH_BOUND_ROWS else 64
        return Tile(block_m, 0, 64, 8 if tight_registers else 4, 3)
    small = w.rows < _LAUNCH_BOUND_ROWS or w.outputs < 256
    if small or wide_ranks or tight_registers:
        return Tile(64, 64, 64, warps, 3)
    return Tile(128, 128 if w.ranks > 32 or w.residual else 256, 64, 8, 3)
