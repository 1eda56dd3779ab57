"""Encoding through graphs: which batches share one, and that nobody sees another's rows."""

from __future__ import annotations

import pytest
import torch

from retrieval.graphs import Graphed, capture
from retrieval.tower import TowerInputs
from tests.retrieval.tiny import tiny_encoder


class FakeGraphs:
    """Replays by running again and writing over the same outputs, as a graph does."""

    def __init__(self) -> None:
        self.captured, self.replayed = 0, 0

    def __call__(self, run):
        self.captured += 1
        encoded = run()

        def replay():
            self.replayed += 1
            again = run()
            encoded.vectors_BD.copy_(again.vectors_BD)
            encoded.prototypes_BK.copy_(again.prototypes_BK)
            encoded.entries_BN.copy_(again.entries_BN)
            for name, gates in again.gates.items():
                encoded.gates[name].copy_(gates)

        return replay, encoded


def _batch(encoder, size, seed=0):
    torch.manual_seed(seed)
    shape = encoder.tower.prepare_images([_picture()]).inputs.shape[1:]
    looked = TowerInputs(torch.randn(size, *shape), torch.randn(size, 0))
    return looked, torch.nn.functional.normalize(torch.randn(size, 8), dim=1)


def _picture():
    from PIL import Image

    return Image.new("RGB", (8, 8))


def _same(one, other):
    torch.testing.assert_close(one.vectors_BD, other.vectors_BD)
    torch.testing.assert_close(one.prototypes_BK, other.prototypes_BK)
    torch.testing.assert_close(one.entries_BN, other.entries_BN)
    assert one.gates.keys() == other.gates.keys()
    for name in one.gates:
        torch.testing.assert_close(one.gates[name], other.gates[name])


@torch.inference_mode()
def test_batches_up_to_a_size_share_its_graph_and_see_their_own_rows():
    encoder, graphs = tiny_encoder(), FakeGraphs()
    graphed = Graphed(encoder, graphs, "cpu")
    batches = [_batch(encoder, size, seed) for seed, size in enumerate((3, 4, 1, 3, 32))]
    got = [graphed(*batch) for batch in batches]
    assert (graphs.captured, graphs.replayed) == (3, 5)  # for 4, 1 and 32
    for batch, encoded in zip(batches, got, strict=True):
        _same(encoded, encoder.forward_image(*batch))


def test_what_was_captured_in_inference_mode_serves_without_it_too():
    encoder, graphs = tiny_encoder(), FakeGraphs()
    graphed, batch = Graphed(encoder, graphs, "cpu"), _batch(encoder, 2)
    with torch.inference_mode():
        graphed(*_batch(encoder, 2, seed=1))
    (held,) = graphed._held.values()
    with torch.no_grad():
        held.inputs.zero_()
        held.prototypes_BK.zero_()
    with torch.inference_mode():
        _same(graphed(*batch), encoder.forward_image(*batch))


def test_gradients_large_batches_and_other_devices_go_without():
    encoder, graphs = tiny_encoder(), FakeGraphs()
    batch = _batch(encoder, 2)
    assert Graphed(encoder, graphs, "cpu")(*batch).vectors_BD.requires_grad
    with torch.inference_mode():
        _same(Graphed(encoder, graphs)(*batch), encoder.forward_image(*batch))
        large = _batch(encoder, 33)
        _same(Graphed(encoder, graphs, "cpu")(*large), encoder.forward_image(*large))
    assert graphs.captured == 0


@torch.inference_mode()
def test_a_capture_that_fails_is_said_once_and_encoding_goes_on(caplog):
    tries = []

    def failing(run):
        tries.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    encoder = tiny_encoder()
    graphed = Graphed(encoder, failing, "cpu")
    batch = _batch(encoder, 2)
    for _ in range(2):
        _same(graphed(*batch), encoder.forward_image(*batch))
    assert len(tries) == 1
    assert [r.message for r in caplog.records if "CUDA graphs are not used" in r.message]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.inference_mode()
def test_a_real_graph_gives_what_the_encoder_gives():
    encoder = tiny_encoder().cuda()
    graphed = Graphed(encoder, capture)
    for seed, size in enumerate((3, 1, 2, 3)):
        looked, prototypes = _batch(encoder, size, seed)
        looked, prototypes = looked.to("cuda"), prototypes.cuda()
        _same(graphed(looked, prototypes), encoder.forward_image(looked, prototypes))
