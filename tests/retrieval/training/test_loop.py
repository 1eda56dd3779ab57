"""The training loop on a CPU, with a tower and figures small enough for seconds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from data.errors import BadInput
from data.figure_gallery import GalleryFigure
from data.styles import SEEN_STYLES
from retrieval.efficientnet import GRAM, PATCHES, TAPS
from retrieval.encoder import ORIGINAL
from retrieval.experts.rules.orthogonal import OrthogonalRule
from retrieval.mini_tower import MiniConfig, MiniTower
from retrieval.training import loop
from retrieval.training.config import TrainConfig
from retrieval.training.loop import train
from retrieval.training.methods import build, methods
from retrieval.training.pairs import CachedPairs
from retrieval.training.validation import build_evaluator
from retrieval.training.views import Views
from retrieval.uni_retrieval import UniRetrieval

SIZES = MiniConfig(width=32, depth=2, heads=2, hidden=48, text_hidden=48, detail=3, out=24)
KINDS = tuple((style, 0) for style in (ORIGINAL, *SEEN_STYLES))
F = 16


@pytest.fixture(autouse=True)
def cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use no GPU: sums on a GPU differ from run to run."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def pairs() -> CachedPairs:
    """Each figure is a direction of patches and of words; styles add noise."""
    rng = np.random.default_rng(0)
    figure = rng.normal(size=(F, 1, 1, sum(TAPS)))
    patches = figure + 0.7 * rng.normal(size=(F, len(KINDS), PATCHES, sum(TAPS)))
    style = rng.normal(size=(1, len(KINDS), GRAM))
    gram = style + 0.3 * rng.normal(size=(F, len(KINDS), GRAM))
    words = rng.normal(size=(F, 2, SIZES.sentence))
    words /= np.linalg.norm(words, axis=2, keepdims=True)
    figures = [GalleryFigure(str(n), b"", "", "", "") for n in range(F)]
    views = Views(figures, KINDS, patches.astype(np.float16), gram.astype(np.float32))
    return CachedPairs([views], [words.astype(np.float32)], [np.ones(F, bool)])


def _encoder(method: str, seed: int = 0) -> UniRetrieval:
    torch.manual_seed(seed)
    return build(methods()[method], MiniTower(SIZES, None, None))


def _config(**settings) -> TrainConfig:
    defaults = {"steps": 4, "figures": 6, "warmup": 2, "lr": 3e-3}
    return TrainConfig.model_validate(defaults | settings)


def _losses(encoder, pairs, config, folder) -> list[float]:
    values = []

    def report(step, step_values):
        values.append(sum(v for k, v in step_values.items() if k.startswith("loss/")))

    train(encoder, pairs, config, folder, report=report)
    return values


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("tower", {}),
        ("tower", {"patch_dropout": 0.5}),
        ("tower", {"loss": "triplet", "lr": 1e-3}),
        ("depth", {"lr": 1e-2}),
        ("depth", {"lr": 1e-2, "loss": "triplet"}),
    ],
)
def test_the_loss_falls(method, settings, pairs, tmp_path):
    losses = _losses(
        _encoder(method), pairs, _config(**{"steps": 30, "figures": 8} | settings), tmp_path
    )
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:3])


TRAINED_MIXTURES = [
    name
    for name, method in methods().items()
    if name.startswith("depth-") and not (method.in_use or method.compression)
]


@pytest.mark.parametrize("method", TRAINED_MIXTURES)
def test_every_method_of_the_registry_trains_in_the_loop(method, pairs, tmp_path):
    encoder = _encoder(method)
    if methods()[method].needs_adapters:
        for layer in encoder.depth_layers():
            layer.experts.b_ENR.data.normal_(0, 0.1)  # as if trained before
    before = {n: v.clone() for n, v in encoder.state_dict().items()}
    losses = _losses(encoder, pairs, _config(steps=6, warmup=1, lr=1e-2), tmp_path)
    assert np.isfinite(losses).all()
    changed = {n for n, v in encoder.state_dict().items() if not torch.equal(v, before[n])}
    parameters = encoder.named_parameters(remove_duplicate=False)
    trained = {n for n, p in parameters if p.requires_grad}
    buffers = {n for n, _ in encoder.named_buffers()}
    assert changed - buffers <= trained
    adapted = {n for n in changed if ".experts." in n}
    if method == "depth-redundancy":  # the experts of pictures stay as they are
        assert not {n for n in adapted if "vision" in n}
        assert {n for n in adapted if n.startswith("prompt_experts.text")}
    else:
        assert {n for n in adapted if "vision" in n}


def _assert_same_states(one: UniRetrieval, other: UniRetrieval) -> None:
    for name, value in one.state_dict().items():
        torch.testing.assert_close(
            other.state_dict()[name], value, atol=1e-6, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


class _Killed(Exception):
    pass


@pytest.mark.parametrize("method", ["tower", "depth-top-k", "lora"])
def test_a_resumed_run_equals_an_uninterrupted_one(method, pairs, tmp_path):
    config = _config(steps=9, save_every=4, patch_dropout=0.4)
    uninterrupted = _encoder(method)
    train(uninterrupted, pairs, config, tmp_path / "uninterrupted")

    def kill(step, values):
        if step == 7:
            raise _Killed

    with pytest.raises(_Killed):
        train(_encoder(method), pairs, config, tmp_path / "killed", report=kill)
    steps = []
    # The new encoder has other weights: the checkpoint has all that matters.
    resumed = _encoder(method, seed=5)
    train(resumed, pairs, config, tmp_path / "killed", report=lambda step, _: steps.append(step))
    assert steps == [5, 6, 7, 8, 9]
    _assert_same_states(uninterrupted, resumed)
    repeated = _encoder(method, seed=6)
    train(repeated, pairs, config, tmp_path / "killed", report=lambda step, _: steps.append(step))
    assert len(steps) == 5  # no step was left
    _assert_same_states(uninterrupted, repeated)


def test_the_seed_determines_the_run(pairs, tmp_path):
    one, same, other = (_encoder("bank") for _ in range(3))
    for encoder, seed in ((one, 0), (same, 0), (other, 1)):
        train(encoder, pairs, _config(seed=seed), tmp_path / str(id(encoder)))
    _assert_same_states(one, same)
    assert not torch.allclose(one.bank.keys_ND, other.bank.keys_ND, atol=1e-6)


@pytest.mark.parametrize(
    "method", ["plain", "layernorm", "lora", "prompt", "bank", "bank-moe", "depth"]
)
def test_only_the_trained_parameters_change(method, pairs, tmp_path):
    encoder = _encoder(method)
    before = {n: v.clone() for n, v in encoder.state_dict().items()}
    if method == "plain":
        with pytest.raises(BadInput, match="trains nothing"):
            train(encoder, pairs, _config(), tmp_path)
        return
    train(encoder, pairs, _config(), tmp_path)
    changed = {n for n, v in encoder.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {n for n, p in encoder.named_parameters() if p.requires_grad}


def test_checkpointing_changes_nothing(pairs, tmp_path):
    stored, recomputed = _encoder("depth-token"), _encoder("depth-token")
    train(stored, pairs, _config(), tmp_path / "stored")
    train(recomputed, pairs, _config(gradient_checkpointing=True), tmp_path / "recomputed")
    assert recomputed.checkpointing
    _assert_same_states(stored, recomputed)


def test_the_orthogonal_rule_runs_between_backward_and_step(pairs, tmp_path, monkeypatch):
    steps = []

    before_step = OrthogonalRule.before_step

    def checked(rule, step):
        assert any(e.a_ERK.grad is not None for e in rule._experts)
        steps.append((step, len(rule._experts)))
        before_step(rule, step)

    monkeypatch.setattr(OrthogonalRule, "before_step", checked)
    ruled, plain = _encoder("depth-orthogonal"), _encoder("depth")
    train(ruled, pairs, _config(), tmp_path / "ruled")
    layers = SIZES.depth * 4
    assert steps == [(step, layers + 2) for step in range(4)]  # 2 for the prompts of both towers
    train(plain, pairs, _config(), tmp_path / "plain")
    assert len(steps) == 4
    name = "tower.vision.0.attention.qkv.experts.a_ERK"
    difference = ruled.state_dict()[name] - plain.state_dict()[name]
    assert difference.abs().max() > 1e-5


@pytest.mark.parametrize("method", ["depth", "depth-top-k"])
def test_every_step_reports_its_losses_and_scores(method, pairs, tmp_path):
    reports = {}
    modes = []

    def evaluate(encoder):
        modes.append(encoder.training)
        return {"sketch": 12.5}

    train(
        _encoder(method),
        pairs,
        _config(steps=5, evaluate_every=2),
        tmp_path,
        evaluate,
        lambda step, values: reports.update({step: dict(values)}),
    )
    assert sorted(reports) == [1, 2, 3, 4, 5]
    losses = {"loss/pictures", "loss/words", "loss/styles"}
    losses |= {"loss/balance"} if method == "depth-top-k" else set()
    for step, values in reports.items():
        recall = {"recall/sketch"} if step in (2, 4, 5) else set()
        assert set(values) == losses | recall
    assert modes == [False] * 3


@pytest.mark.parametrize("patience", [None, 2])
def test_the_best_evaluation_is_the_result_and_stops_the_run(patience, pairs, tmp_path):
    scores = iter([10.0, 30.0, 20.0, 25.0, 5.0, 0.0])
    weights, steps = [], []

    def evaluate(encoder):
        weights.append({n: v.clone() for n, v in encoder.state_dict().items()})
        return {"sketch": next(scores)}

    encoder = _encoder("layernorm")
    config = _config(steps=6, evaluate_every=1, patience=patience)
    train(encoder, pairs, config, tmp_path, evaluate, lambda step, _: steps.append(step))
    assert len(steps) == (6 if patience is None else 4)  # 2 after the best, which is step 2
    assert all(torch.equal(v, weights[1][n]) for n, v in encoder.state_dict().items())
    again = _encoder("layernorm", seed=3)  # finished: nothing is trained, the best is loaded
    train(again, pairs, config, tmp_path, evaluate, lambda step, _: steps.append(step))
    assert len(steps) == (6 if patience is None else 4)
    assert all(torch.equal(v, weights[1][n]) for n, v in again.state_dict().items())


def test_validation_scores_every_style_on_the_same_figures(pairs):
    evaluate = build_evaluator(pairs, F)
    encoder = _encoder("plain").eval()
    scores = evaluate(encoder)
    assert set(scores) <= set(SEEN_STYLES)
    assert all(0 <= s <= 100 for s in scores.values())
    assert evaluate(encoder) == scores
    with torch.no_grad():
        encoder.tower.image_out.weight.zero_()  # every figure has the same vector
    assert set(evaluate(encoder).values()) == {0.0}


def test_a_run_is_not_resumed_with_another_mixture(pairs, tmp_path):
    train(_encoder("depth"), pairs, _config(steps=1), tmp_path)
    with pytest.raises(BadInput, match=r"other settings \(encoder"):
        train(_encoder("depth-film"), pairs, _config(steps=1), tmp_path)


def test_a_loss_of_weight_zero_is_left_out(pairs, tmp_path):
    reports = []
    config = _config(words_weight=0, style_weight=0, steps=1)
    train(
        _encoder("bank"), pairs, config, tmp_path, report=lambda _, values: reports.append(values)
    )
    assert set(reports[0]) == {"loss/pictures"}


def test_the_last_steps_of_training_use_all_patches(pairs, tmp_path):
    encoder, dropouts = _encoder("tower"), []
    config = _config(steps=5, patch_dropout=0.5, full_patches_share=0.4)
    train(
        encoder,
        pairs,
        config,
        tmp_path,
        report=lambda *_: dropouts.append(encoder.tower.patch_dropout),
    )
    assert dropouts == [0.5, 0.5, 0.5, 0, 0]
    assert not encoder.training


def test_a_loss_that_is_not_finite_stops_the_run_before_the_weights_change(tmp_path, pairs):
    views = pairs._books[0]
    gram = views.gram_FVG.copy()
    gram[3] = np.inf
    broken = CachedPairs(
        [Views(views.figures, views.kinds, views.patches_FVTC, gram)],
        pairs._words,
        [np.ones(F, bool)],
    )
    encoder = _encoder("bank")
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step \d"):
        train(encoder, broken, _config(steps=20), tmp_path)
    assert all(torch.isfinite(v).all() for v in encoder.state_dict().values())


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth():
    config = _config(steps=100, warmup=10)
    rates = [loop._learning_rate_factor(step, config) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == pytest.approx(1)
    assert rates[55] == pytest.approx(0.505)
    assert rates[100] == pytest.approx(0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert (
        min(loop._learning_rate_factor(step, _config(steps=3, warmup=50)) for step in range(3)) > 0
    )


def test_every_step_uses_its_own_learning_rate(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_learning_rate_factor", lambda step, config: float(step in (1, 2)))
    encoder, keys = _encoder("bank"), []
    keys.append(encoder.bank.keys_ND.detach().clone())
    train(
        encoder,
        pairs,
        _config(),
        tmp_path,
        report=lambda *_: keys.append(encoder.bank.keys_ND.detach().clone()),
    )
    moved = [not torch.equal(a, b) for a, b in itertools.pairwise(keys)]
    assert moved == [False, True, True, False]


def test_a_run_is_not_resumed_with_other_settings(pairs, tmp_path):
    train(_encoder("layernorm"), pairs, _config(steps=2, save_every=1), tmp_path)
    with pytest.raises(BadInput, match=r"other settings \(lr .*, now 0.5\)"):
        train(_encoder("layernorm"), pairs, _config(steps=2, save_every=1, lr=0.5), tmp_path)
    train(_encoder("layernorm"), pairs, _config(steps=2, save_every=2), tmp_path)


@pytest.mark.parametrize("remains", ["part", "old"])
def test_a_kill_while_saving_loses_only_the_steps_since_the_last_checkpoint(
    pairs, tmp_path, remains
):
    """`part`: the new checkpoint is incomplete. `old`: only one of two renames happened."""
    config = _config(steps=3, save_every=1)
    uninterrupted = _encoder("layernorm")
    train(uninterrupted, pairs, config, tmp_path / "uninterrupted")
    folder = tmp_path / "killed"

    def kill(step, values):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(_encoder("layernorm"), pairs, config, folder, None, kill)
    checkpoint = folder / "checkpoint"
    if remains == "part":
        (folder / "checkpoint.part").mkdir()
        (folder / "checkpoint.part" / "model.safetensors").write_bytes(b"half")
    else:
        checkpoint.rename(folder / "checkpoint.old")
    resumed = _encoder("layernorm")
    train(resumed, pairs, config, folder)
    for name, value in uninterrupted.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, atol=1e-6, rtol=1e-5)
    assert [p.name for p in folder.iterdir() if p.name.startswith("checkpoint")] == ["checkpoint"]
