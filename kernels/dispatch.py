"""Which design runs for which problem, and with which tiles.

The designs, for y = LN(x) W^T + bias + S B^T and then GELU, with S = scale * gates * (LN(x) A^T):

- one_pass: one Triton kernel does everything.
- split: one kernel makes `LN(x)` and S, a Triton GEMM starts from S B^T and ends in GELU.
- augmented: the same kernel writes `[LN(x) | S]`, and one cuBLAS GEMM with `[W | B]` does the rest.
- grouped: two thin GEMMs beside the plain layer, in torch.

Which wins where follows from the bytes that each moves on an H100 (docs/kernels.md); it is not
measured yet. A measured choice is one line in `MEASURED`, which goes before the rule.
M rows, K in, N out, C experts x rank.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch

__all__ = ["DESIGNS", "MEASURED", "Design", "Problem", "Tile", "bucket", "choose", "padded", "tile"]

Design = Literal["one_pass", "split", "augmented", "grouped"]
DESIGNS: tuple[str, ...] = get_args(Design)
Kernel = Literal["shrink", "split", "one_pass", "matrix_gradient", "gate_gradient"]

_WIDEST = 128  # ranks that a tile of the rank space holds without spilling
_OLDEST = 80  # before, bf16 is not multiplied in hardware
_FEW_ROWS = 4096  # below, launches cost more than bytes
_DTYPES = (torch.float16, torch.bfloat16)


class Problem(NamedTuple):
    """What decides. `arch` is the compute capability, 90 for an H100."""

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
    """Of M, N and K, with the warps that share it and the loads that run ahead."""

    block_m: int
    block_n: int
    block_k: int
    warps: int
    stages: int


# The design that a benchmark found fastest for a problem, with rows rounded by `bucket`, ranks by
# `padded`.
MEASURED: dict[Problem, Design] = {}


def bucket(rows: int) -> int:
    """The power of two from `rows` on."""
    return 1 << max(0, rows - 1).bit_length()


def padded(ranks: int) -> int:
    """The tile of a rank space: a power of two, and 16 at least, below which tensor cores idle."""
    return max(16, bucket(ranks))


def choose(p: Problem) -> Design:
    """The design for a problem."""
    if p.ranks > _WIDEST or p.rows == 0 or p.ranks == 0 or p.arch < _OLDEST:
        return "grouped"
    rounded = p._replace(rows=bucket(p.rows), ranks=padded(p.ranks))
    if found := MEASURED.get(rounded):
        return found
    if not p.base:
        return "one_pass"
    if p.dtype not in _DTYPES:
        return "augmented"  # exact fp32 products: nothing beats cuBLAS, and copying x is cheap
    if p.rows < _FEW_ROWS:
        return "one_pass"
    if p.norm and not p.gelu:
        return "augmented"
    if p.norm or p.gelu or p.outputs >= 2048 or p.ranks > 64:
        return "split"
    return "one_pass"


def tile(kernel: Kernel, p: Problem) -> Tile:
    """Tiles that compile without spills and within shared memory (tests/kernels/test_ahead.py)."""
    # But for Hopper and the Blackwell of data centres (sm_100), sums live in the registers of warps
    # that also load, and shared memory can be as small as 99 KiB: there it takes more warps, as it
    # does where half of the registers go to the rank space, and smaller tiles.
    old, wide = not 90 <= p.arch < 120, padded(p.ranks) > 64
    warps = 8 if old or wide else 4
    if kernel == "gate_gradient":
        return Tile(16, 0, 0, 4, 1)
    if p.dtype not in _DTYPES:
        return Tile(32, 64 if kernel == "matrix_gradient" else 32, 16, 8, 2)
    if kernel == "matrix_gradient":
        return Tile(64, 64 if wide else 128, 0, warps, 2)
    if kernel == "shrink":
        return Tile(64, 0, 64, 4, 3)
    small = p.rows < _FEW_ROWS or p.outputs < 256
    if small or (kernel == "one_pass" and (p.norm or wide or old)):
        return Tile(64, 64, 64, warps, 3)
    if old:
        return Tile(128, 128, 32, 8, 4)
    if p.gelu or wide:  # erf, or a wide B, does not fit beside 256 columns
        return Tile(128, 128, 64, 8, 4)
    return Tile(128, 256, 64, 8, 3)
