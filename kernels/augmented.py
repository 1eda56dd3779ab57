"""Copies of frozen weights with B and the bias behind every row, for one GEMM over all of them.

K in, N out, E experts, R rank, C = E x R, X columns of the copy.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from kernels.dispatch import shrunk_width

__all__ = ["AugmentedWeight", "augmented_weight"]


class AugmentedWeight(NamedTuple):
    """`[W | B | bias | 0]` (N, X), and the view of its first K columns, which is W."""

    matrix_NX: Tensor
    weight_NK: Tensor


class _Source:
    """The tensor that a block was copied from, at one version."""

    def __init__(self, tensor: Tensor | None) -> None:
        self._tensor = None if tensor is None else weakref.ref(tensor)
        self._version = None if tensor is None else _version(tensor)

    def is_current(self, tensor: Tensor | None) -> bool:
        """Whether `tensor` is the tensor of the copy and has not changed since."""
        if tensor is None or self._tensor is None:
            return tensor is None and self._tensor is None
        return self._tensor() is tensor and _version(tensor) == self._version is not None


class _Copy(NamedTuple):
    matrix_NX: Tensor
    sources: dict[str, _Source]


def _version(tensor: Tensor) -> tuple[int, int] | None:
    """Return what changes when the tensor's values change; None if that is not recorded."""
    return None if tensor.is_inference() else (tensor._version, tensor.data_ptr())


# For each W the copies by dtype and width. They live as long as W. Only one stream at a time may
# fill them.
_copies: Any = WeakTensorKeyDictionary()


def augmented_weight(
    weight_NK: Tensor,
    b_ENR: Tensor,
    bias_N: Tensor | None,
    dtype: torch.dtype,
    *,
    training: bool,
) -> AugmentedWeight:
    """Return `[W | B | bias | 0]` in `dtype`; S and the bias' factor 1 multiply its last columns.

    Each block is copied once, and again after it changes. A CUDA graph keeps what it captured
    until a call outside the graph sees a change; if `training`, it copies B and the bias at every
    replay.
    """
    outputs, inputs = weight_NK.shape
    experts, _, rank = b_ENR.shape
    ranks = experts * rank
    width = shrunk_width(ranks)
    # Memory allocated during a capture belongs to the graph, and an inference tensor does not
    # record changes. Keep no copy in either case.
    capturing = weight_NK.is_cuda and torch.cuda.is_current_stream_capturing()
    copies = {} if weight_NK.is_inference() else _copies.setdefault(weight_NK, {})
    copy = copies.get((dtype, width))
    if copy is None:
        with torch.inference_mode(False):  # training may fill a copy that serving allocated
            copy = _Copy(weight_NK.new_zeros(outputs, inputs + width, dtype=dtype), {})
        if not capturing:
            copies[dtype, width] = copy
    matrix_NX = copy.matrix_NX
    behind_NW = matrix_NX[:, inputs:]
    blocks: dict[str, tuple[Tensor | None, Tensor, Tensor | None]] = {
        "weight": (weight_NK, matrix_NX[:, :inputs], weight_NK),
        "b": (b_ENR, behind_NW[:, :ranks].unflatten(1, (experts, rank)), b_ENR.transpose(0, 1)),
        "bias": (bias_N, behind_NW[:, ranks], bias_N),
    }
    for name, (source, target, values) in blocks.items():
        copied_source = copy.sources.get(name)
        replayed = capturing and training and name != "weight"
        if copied_source is not None and copied_source.is_current(source) and not replayed:
            continue
        if values is None:
            target.zero_()
        else:
            target.copy_(values)
        if not capturing:  # a captured copy has not run yet
            copy.sources[name] = _Source(source)
    return AugmentedWeight(matrix_NX, matrix_NX[:, :inputs])
