"""Pictures through CUDA graphs: one launch for a whole encode instead of one for every kernel.

B batch, K prototype width.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from retrieval.tower import TowerInputs
from retrieval.uni import EncodedBatch, UniRetrieval

__all__ = ["SIZES", "Graphed", "capture"]

SIZES = (1, 2, 4, 8, 16, 32)  # batches that are captured; others are filled up to the next

log = logging.getLogger(__name__)
Capture = Callable[[Callable[[], EncodedBatch]], tuple[Callable[[], None], EncodedBatch]]


def capture(run: Callable[[], EncodedBatch]) -> tuple[Callable[[], None], EncodedBatch]:
    """What replays `run` on CUDA, and its outputs, which every replay writes anew."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # compiles kernels and fills caches
        run()
        run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # other threads, a language model's say, go on using the GPU meanwhile
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        encoded = run()
    return graph.replay, encoded


class _Key(NamedTuple):
    size: int
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class _Held:
    inputs: Tensor
    prototypes_BK: Tensor
    replay: Callable[[], None]
    encoded: EncodedBatch


class Graphed:
    """`UniRetrieval.image` for serving: the same `EncodedBatch`, without balance.

    The first batch of a size is captured, on CUDA and without gradients; otherwise, in larger
    batches, and where a capture fails (a warning says so once) the encoder is called as it is. The
    weights must stay where they are in memory. Not safe between threads.
    """

    def __init__(
        self, encoder: UniRetrieval, capture: Capture = capture, device: str = "cuda"
    ) -> None:
        self._encoder, self._capture, self._device = encoder, capture, device
        self._held: dict[_Key, _Held] = {}
        self._failed = False

    def __call__(self, looked: TowerInputs, prototypes_BK: Tensor) -> EncodedBatch:
        count = len(prototypes_BK)
        usable = looked.inputs.device.type == self._device and not torch.is_grad_enabled()
        if not usable or self._failed or not 1 <= count <= SIZES[-1]:
            return self._encoder.forward_image(looked, prototypes_BK)
        size = next(s for s in SIZES if s >= count)
        key = _Key(size, tuple(looked.inputs.shape[1:]), looked.inputs.dtype)
        if key not in self._held:
            try:
                self._held[key] = self._captured(size, looked.inputs, prototypes_BK)
            except RuntimeError as error:
                log.warning("CUDA graphs are not used, encoding goes on without: %s", error)
                self._failed = True
                return self._encoder.forward_image(looked, prototypes_BK)
        held = self._held[key]
        _fill(held.inputs, looked.inputs)
        _fill(held.prototypes_BK, prototypes_BK)
        held.replay()
        return _first(held.encoded, count)

    def _captured(self, size: int, inputs: Tensor, prototypes_BK: Tensor) -> _Held:
        with torch.inference_mode(False):  # so that they can be filled in any mode
            own = inputs.new_empty(size, *inputs.shape[1:])
            keys_BK = prototypes_BK.new_empty(size, *prototypes_BK.shape[1:])
        _fill(own, inputs)
        _fill(keys_BK, prototypes_BK)
        # features are read for prototypes only, which are given
        looked = TowerInputs(own, own.new_empty(size, 0))
        return _Held(
            own, keys_BK, *self._capture(lambda: self._encoder.forward_image(looked, keys_BK))
        )


def _fill(own: Tensor, given: Tensor) -> None:
    """The rows given, and the first again in what is left."""
    own[: len(given)] = given
    own[len(given) :] = given[:1]


def _first(encoded: EncodedBatch, count: int) -> EncodedBatch:
    """A copy of the first `count` rows, which the next replay leaves alone."""
    entries_BN = encoded.entries_BN
    return replace(
        encoded,
        vectors_BD=encoded.vectors_BD[:count].clone(),
        prototypes_BK=encoded.prototypes_BK[:count].clone(),
        entries_BN=None if entries_BN is None else entries_BN[:count].clone(),
        gates={name: gates[:count].clone() for name, gates in encoded.gates.items()},
        balance=torch.zeros(()),
    )
