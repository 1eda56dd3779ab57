"""The defining property of each compression, and a compressed encoder on disk."""

from __future__ import annotations

import pytest
import torch

from retrieval.checkpoint import ModelCard, load_checkpoint, save_checkpoint
from retrieval.efficientnet import GRAM, PATCHES, TAPS
from retrieval.experts import ExpertConfig
from retrieval.experts.compression.base import Calibration, Compact, Compression, compress_encoder
from retrieval.experts.compression.quantise import quantise
from retrieval.experts.registry import load, names
from retrieval.mini_tower import MiniTower
from retrieval.tower import TowerInputs
from tests.retrieval.tiny import SIZES, tiny_encoder

E, R, K, N, X = 6, 3, 16, 12, 40


def _compression(name: str, **options) -> Compression:
    kind = load("compression", name)
    return kind(kind.Options(**options))


def _experts(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, Calibration]:
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(E, R, K, generator=generator)
    b = torch.randn(E, N, R, generator=generator)
    gates = torch.rand(X, E, generator=generator)
    x = torch.randn(X, K, generator=generator)
    return a, b, Calibration(x, gates / gates.sum(-1, keepdim=True))


def _outputs(a: torch.Tensor, b: torch.Tensor, gates: torch.Tensor, x: torch.Tensor):
    return torch.einsum("xk,erk,enr,xe->xn", x, a, b, gates)


def _compact_outputs(compact: Compact, sample: Calibration) -> torch.Tensor:
    gates = sample.gates_XE @ compact.mix_EF
    return _outputs(compact.a_FRK, compact.b_FNR, gates, sample.x_XK)


def _error(compact: Compact, a, b, sample) -> float:
    exact = _outputs(a, b, sample.gates_XE, sample.x_XK)
    return float((_compact_outputs(compact, sample) - exact).norm() / exact.norm())


@pytest.mark.parametrize("name", ["sub_moe", "lego", "easy_ep"])
def test_keeping_everything_is_exact(name):
    a, b, sample = _experts()
    assert _error(_compression(name, keep=1.0).compress(a, b, sample), a, b, sample) < 1e-5


def test_sub_moe_merges_twins_without_loss_and_sums_their_gates():
    a, b, sample = _experts()
    a[3:], b[3:] = a[:3], b[:3]
    compact = _compression("sub_moe", keep=0.5).compress(a, b, sample)
    assert compact.a_FRK.shape == (3, R, K)
    assert _error(compact, a, b, sample) < 1e-4
    assert torch.equal(compact.mix_EF[:3], compact.mix_EF[3:])
    assert (compact.mix_EF.sum(1) == 1).all()


def test_lego_does_not_mind_the_order_and_merges_equal_units():
    a, b, sample = _experts()
    shuffled = torch.randperm(E, generator=torch.Generator().manual_seed(5))
    other = Calibration(sample.x_XK, sample.gates_XE[:, shuffled])
    lego = _compression("lego", keep=0.4)
    one = lego.compress(a, b, sample)
    same = lego.compress(a[shuffled].flip(1), b[shuffled].flip(2), other)  # ranks reversed too
    assert one.a_FRK.shape == (round(0.4 * E * R), 1, K)
    torch.testing.assert_close(
        _compact_outputs(same, other), _compact_outputs(one, sample), atol=1e-4, rtol=1e-4
    )
    a[3:], b[3:] = a[:3], b[:3]
    assert _error(_compression("lego", keep=0.5).compress(a, b, sample), a, b, sample) < 1e-4


def test_compressed_experts_keep_the_main_ones_exact():
    a, b, sample = _experts()
    gates = sample.gates_XE * torch.tensor([0.1, 3.0, 0.1, 5.0, 0.1, 0.1])
    compact = _compression("compressed_experts", main=2).compress(
        a, b, Calibration(sample.x_XK, gates)
    )
    assert compact.a_FRK.shape == (3, R, K)
    assert torch.equal(compact.a_FRK[:2], a[[3, 1]])
    main_only = torch.zeros_like(gates)
    main_only[:, [1, 3]] = gates[:, [1, 3]]
    exact = _outputs(a, b, main_only, sample.x_XK)
    torch.testing.assert_close(
        _compact_outputs(compact, Calibration(sample.x_XK, main_only)), exact
    )
    # The compact one is the best of its rank: nearer to the others than nothing is.
    assert _error(compact, a, b, Calibration(sample.x_XK, gates)) < 0.5


def test_easy_ep_drops_the_experts_that_add_least_not_those_with_small_gates():
    a, b, sample = _experts()
    gates = torch.full((X, E), 0.2)
    gates[:, 0] = 0.05  # a small gate but a large output
    b[0] *= 100
    b[1] *= 1e-3  # a large gate but hardly an output
    compact = _compression("easy_ep", keep=0.84).compress(a, b, Calibration(sample.x_XK, gates))
    assert len(compact.a_FRK) == 5
    kept = compact.mix_EF.sum(1)
    assert kept[0] == 1
    assert kept[1] == 0


def test_the_linear_programme_gives_bits_where_they_matter_within_the_budget():
    a, b, sample = _experts()
    gates = torch.full((X, E), 0.01)
    gates[:, 2] = 0.9
    compressor = _compression("mixture_compressor", mean_bits=3.0)
    bits = compressor.choose_bits(a, b, Calibration(sample.x_XK, gates))
    assert sum(bits) <= 3 * E
    assert bits[2] == max(bits) == 8
    rich = _compression("mixture_compressor", mean_bits=8.0)
    assert rich.choose_bits(a, b, sample) == [8] * E
    poor = _compression("mixture_compressor", mean_bits=2.0)
    errors = [_error(c.compress(a, b, sample), a, b, sample) for c in (rich, compressor, poor)]
    assert errors == sorted(errors)


def test_quantmoe_gives_bits_to_experts_with_outliers():
    a, b, sample = _experts()
    a[4, 1, 7] = 60
    quant = _compression("quantmoe", share=1 / 6, high_bits=8, low_bits=2)
    assert quant.outlier_scores(a, b).argmax() == 4
    compact = quant.compress(a, b, sample)
    values = [len(row.unique()) for row in compact.a_FRK.flatten(0, 1)]
    assert all(v <= 3 for e, v in enumerate(values) if e // R != 4)
    assert max(values[4 * R : 5 * R]) > 3
    assert (compact.a_FRK[4] - a[4]).abs().max() < 60 / 127


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_quantised_rows_have_few_values(bits):
    matrix = torch.randn(5, 200, generator=torch.Generator().manual_seed(0))
    assert all(len(row.unique()) <= 2**bits for row in quantise(matrix, bits))


def _pictures() -> TowerInputs:
    generator = torch.Generator().manual_seed(1)
    return TowerInputs(
        torch.randn(6, PATCHES, sum(TAPS), generator=generator),
        torch.randn(6, GRAM, generator=generator),
    )


@pytest.mark.parametrize("name", names("compression"))
def test_a_compressed_encoder_is_saved_and_loaded(name, tmp_path):
    encoder, pictures = tiny_encoder(), _pictures()
    with torch.no_grad():
        before = encoder.forward_image(pictures).vectors_BD
        compress_encoder(encoder, name, None, pictures)
        after = encoder.forward_image(pictures).vectors_BD
    assert (after * before).sum(1).mean() > 0.5  # random experts are not alike
    assert {s.method for s in encoder.config.compressed} == {name}
    card = ModelCard(name="c", tower=SIZES, encoder=encoder.config, styles=())
    save_checkpoint(encoder, card, tmp_path)
    loaded = load_checkpoint(tmp_path, lambda _: MiniTower(SIZES, None, None))
    with torch.no_grad():
        vectors = loaded.forward_image(pictures).vectors_BD
    assert (vectors * after).sum(1).min() > 0.999  # stored in fp16


@pytest.mark.parametrize(
    ("depth", "reason"),
    [
        (None, "no depth experts"),
        (ExpertConfig(rank=2, parameterisation="film"), "has not"),
        (ExpertConfig(rank=2, parameterisation="flylora"), "routes by the matrices"),
    ],
)
def test_what_cannot_be_compressed_is_refused(depth, reason):
    with pytest.raises(ValueError, match=reason):
        compress_encoder(tiny_encoder(depth=depth), "lego", None, _pictures())
