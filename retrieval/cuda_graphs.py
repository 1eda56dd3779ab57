"""Image encoding through CUDA graphs: one launch per batch instead of one per kernel.

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
from retrieval.uni_retrieval import EncodedBatch, UniRetrieval

__all__ = ["CAPTURED_BATCH_SIZES", "GraphedEncoder", "capture"]

# Other batches are padded to the next larger of these sizes.
CAPTURED_BATCH_SIZES = (1, 2, 4, 8, 16, 32)

log = logging.getLogger(__name__)
Capture = Callable[[Callable[[], EncodedBatch]], tuple[Callable[[], None], EncodedBatch]]


def capture(run: Callable[[], EncodedBatch]) -> tuple[Callable[[], None], EncodedBatch]:
    """Capture `run` as a CUDA graph.

    Returns a function that replays it, and its outputs, which every replay overwrites.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # compile the kernels and fill caches
        run()
        run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # thread_local: other threads, such as the language model's, go on using the GPU
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        encoded = run()
    return graph.replay, encoded


class _GraphKey(NamedTuple):
    batch_size: int
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class _CapturedGraph:
    inputs: Tensor
    prototypes_BK: Tensor
    replay: Callable[[], None]
    outputs: EncodedBatch


class GraphedEncoder:
    """`UniRetrieval.forward_image` for serving: the same `EncodedBatch`, without router loss.

    On CUDA and without gradients, the first batch of each size is captured. Otherwise, and for
    larger batches, the encoder is called directly. If a capture fails, a warning is logged and all
    later batches are encoded directly. The weights must stay where they are in memory. Not safe to
    share between threads.
    """

    def __init__(
        self, encoder: UniRetrieval, capture: Capture = capture, device: str = "cuda"
    ) -> None:
        self._encoder, self._capture, self._device = encoder, capture, device
        self._graphs: dict[_GraphKey, _CapturedGraph] = {}
        self._failed = False

    def __call__(self, prepared: TowerInputs, prototypes_BK: Tensor) -> EncodedBatch:
        count = len(prototypes_BK)
        usable = prepared.inputs.device.type == self._device and not torch.is_grad_enabled()
        if not usable or self._failed or not 1 <= count <= CAPTURED_BATCH_SIZES[-1]:
            return self._encoder.forward_image(prepared, prototypes_BK)
        batch_size = next(size for size in CAPTURED_BATCH_SIZES if size >= count)
        key = _GraphKey(batch_size, tuple(prepared.inputs.shape[1:]), prepared.inputs.dtype)
        if key not in self._graphs:
            try:
                self._graphs[key] = self._capture_batch(batch_size, prepared.inputs, prototypes_BK)
            except RuntimeError as error:
                log.warning("CUDA graphs are not used, encoding goes on without them: %s", error)
                self._failed = True
                return self._encoder.forward_image(prepared, prototypes_BK)
        graph = self._graphs[key]
        _fill(graph.inputs, prepared.inputs)
        _fill(graph.prototypes_BK, prototypes_BK)
        graph.replay()
        return _first_rows(graph.outputs, count)

    def _capture_batch(
        self, batch_size: int, inputs: Tensor, prototypes_BK: Tensor
    ) -> _CapturedGraph:
        with torch.inference_mode(False):  # so that the buffers can be filled in any mode
            input_buffer = inputs.new_empty(batch_size, *inputs.shape[1:])
            prototype_buffer = prototypes_BK.new_empty(batch_size, *prototypes_BK.shape[1:])
        _fill(input_buffer, inputs)
        _fill(prototype_buffer, prototypes_BK)
        # Features are only needed to compute prototypes, which are given here.
        prepared = TowerInputs(input_buffer, input_buffer.new_empty(batch_size, 0))
        replay, outputs = self._capture(
            lambda: self._encoder.forward_image(prepared, prototype_buffer)
        )
        return _CapturedGraph(input_buffer, prototype_buffer, replay, outputs)


def _fill(buffer: Tensor, rows: Tensor) -> None:
    """Copy `rows` into the buffer and fill the rest of it with the first row."""
    buffer[: len(rows)] = rows
    buffer[len(rows) :] = rows[:1]


def _first_rows(encoded: EncodedBatch, count: int) -> EncodedBatch:
    """Copy the first `count` rows, so that the next replay does not change them."""
    weights_BN = encoded.entry_weights_BN
    return replace(
        encoded,
        vectors_BD=encoded.vectors_BD[:count].clone(),
        prototypes_BK=encoded.prototypes_BK[:count].clone(),
        entry_weights_BN=None if weights_BN is None else weights_BN[:count].clone(),
        gates={name: gates[:count].clone() for name, gates in encoded.gates.items()},
        router_loss=torch.zeros(()),
    )
