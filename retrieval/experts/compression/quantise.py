"""Matrices of few bits: every row has its own scale.

R rows, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from retrieval.experts.compression.base import Compact

__all__ = ["quantise", "quantise_experts"]


def quantise(matrix_RW: Tensor, bits: int) -> Tensor:
    """Return the matrix with at most 2^bits values in each row, symmetric around zero.

    With one bit they are plus and minus the mean size of the row.
    """
    if bits == 1:
        return matrix_RW.sign() * matrix_RW.abs().mean(-1, keepdim=True)
    levels = 2 ** (bits - 1) - 1
    scale_R1 = (matrix_RW.abs().amax(-1, keepdim=True) / levels).clamp_min(1e-12)
    return (matrix_RW / scale_R1).round() * scale_R1


def quantise_experts(a_ERK: Tensor, b_ENR: Tensor, bits: list[int]) -> Compact:
    """Return the same experts with `bits[e]` bits for expert e."""
    a = torch.stack([quantise(a_ERK[e], b) for e, b in enumerate(bits)])
    b = torch.stack([quantise(b_ENR[e], b) for e, b in enumerate(bits)])
    return Compact(a, b, torch.eye(len(bits), dtype=a.dtype, device=a.device))
