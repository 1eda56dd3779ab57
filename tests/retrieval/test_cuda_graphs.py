"""Encoding through graphs: which batches share a graph, and that rows do not mix."""

from __future__ import annotations

import pytest
import torch

from retrieval.cuda_graphs import GraphedEncoder, capture
from retrieval.tower import TowerInputs
from tests.retrieval.tiny import tiny_encoder


class FakeGraphs:
    """Replays by running again and overwriting the same outputs, as a graph does."""

    def __init__(self) -> None:
        self.captures, self.replays = 0, 0

    def __call__(self, run):
        self.captures += 1
        encoded = run()

        def replay():
            self.replays += 1
            again = run()
            encoded.vectors_BD.copy_(again.vectors_BD)
            encoded.prototypes_BK.copy_(again.prototypes_BK)
            encoded.entry_weights_BN.copy_(again.entry_weights_BN)
            for name, gates in again.gates.items():
                encoded.gates[name].copy_(gates)

        return replay, encoded


def _batch(encoder, size, seed=0):
    torch.manual_seed(seed)
    shape = encoder.tower.prepare_images([_picture()]).inputs.shape[1:]
    prepared = TowerInputs(torch.randn(size, *shape), torch.randn(size, 0))
    return prepared, torch.nn.functional.normalize(torch.randn(size, 8), dim=1)


def _picture():
    from PIL import Image

    return Image.new("RGB", (8, 8))


def _assert_same(one, other):
    torch.testing.assert_close(one.vectors_BD, other.vectors_BD)
    torch.testing.assert_close(one.prototypes_BK, other.prototypes_BK)
    torch.testing.assert_close(one.entry_weights_BN, other.entry_weights_BN)
    assert one.gates.keys() == other.gates.keys()
    for name in one.gates:
        torch.testing.assert_close(one.gates[name], other.gates[name])


@torch.inference_mode()
def test_batches_padded_to_one_size_share_a_graph_and_keep_their_rows():
    encoder, graphs = tiny_encoder(), FakeGraphs()
    graphed = GraphedEncoder(encoder, graphs, "cpu")
    batches = [_batch(encoder, size, seed) for seed, size in enumerate((3, 4, 1, 3, 32))]
    outputs = [graphed(*batch) for batch in batches]
    assert (graphs.captures, graphs.replays) == (3, 5)  # graphs for 4, 1 and 32
    for batch, encoded in zip(batches, outputs, strict=True):
        _assert_same(encoded, encoder.forward_image(*batch))


def test_a_graph_captured_in_inference_mode_also_serves_without_it():
    encoder, graphs = tiny_encoder(), FakeGraphs()
    graphed, batch = GraphedEncoder(encoder, graphs, "cpu"), _batch(encoder, 2)
    with torch.inference_mode():
        graphed(*_batch(encoder, 2, seed=1))
    (graph,) = graphed._graphs.values()
    with torch.no_grad():
        graph.inputs.zero_()
        graph.prototypes_BK.zero_()
    with torch.inference_mode():
        _assert_same(graphed(*batch), encoder.forward_image(*batch))


def test_gradients_large_batches_and_other_devices_need_no_graph():
    encoder, graphs = tiny_encoder(), FakeGraphs()
    batch = _batch(encoder, 2)
    assert GraphedEncoder(encoder, graphs, "cpu")(*batch).vectors_BD.requires_grad
    with torch.inference_mode():
        _assert_same(GraphedEncoder(encoder, graphs)(*batch), encoder.forward_image(*batch))
        large = _batch(encoder, 33)
        _assert_same(GraphedEncoder(encoder, graphs, "cpu")(*large), encoder.forward_image(*large))
    assert graphs.captures == 0


@torch.inference_mode()
def test_a_failed_capture_is_logged_once_and_encoding_goes_on(caplog):
    attempts = []

    def failing(run):
        attempts.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    encoder = tiny_encoder()
    graphed = GraphedEncoder(encoder, failing, "cpu")
    batch = _batch(encoder, 2)
    for _ in range(2):
        _assert_same(graphed(*batch), encoder.forward_image(*batch))
    assert len(attempts) == 1
    assert [r.message for r in caplog.records if "CUDA graphs are not used" in r.message]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.inference_mode()
def test_a_real_graph_equals_the_encoder():
    encoder = tiny_encoder().cuda()
    graphed = GraphedEncoder(encoder, capture)
    for seed, size in enumerate((3, 1, 2, 3)):
        prepared, prototypes = _batch(encoder, size, seed)
        prepared, prototypes = prepared.to("cuda"), prototypes.cuda()
        _assert_same(graphed(prepared, prototypes), encoder.forward_image(prepared, prototypes))
