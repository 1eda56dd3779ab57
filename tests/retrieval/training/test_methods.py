"""Every method builds its encoder and trains only its own parameters."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from retrieval.efficientnet import GRAM, PATCHES, TAPS
from retrieval.mini_tower import MiniConfig, MiniTower
from retrieval.tower import TowerInputs
from retrieval.training.methods import build, methods
from retrieval.uni_retrieval import UniRetrieval

METHODS = methods()
SIZES = MiniConfig(width=32, depth=2, heads=2, hidden=48, text_hidden=48, detail=3, out=24)
B = 3


def _tower() -> MiniTower:
    torch.manual_seed(0)
    return MiniTower(SIZES, None, None)


def _trained(encoder: UniRetrieval) -> dict[str, nn.Parameter]:
    return {n: p for n, p in encoder.named_parameters() if p.requires_grad}


def _count(name: str) -> int:
    return sum(p.numel() for p in _trained(build(METHODS[name], _tower())).values())


def _pictures() -> TowerInputs:
    generator = torch.Generator().manual_seed(1)
    patches = torch.randn(B, PATCHES, sum(TAPS), generator=generator)
    return TowerInputs(patches, torch.randn(B, GRAM, generator=generator))


def _words() -> TowerInputs:
    words = torch.randn(B, SIZES.sentence, generator=torch.Generator().manual_seed(2))
    return TowerInputs(F.normalize(words, dim=1), F.normalize(words, dim=1))


def _norms() -> set[str]:
    return {
        f"tower.{module}.{leaf}"
        for module, child in _tower().named_modules()
        if isinstance(child, nn.LayerNorm)
        for leaf in ("weight", "bias")
    }


def _tower_parameters() -> set[str]:
    return {f"tower.{n}" for n, _ in _tower().named_parameters() if "gate_H" not in n}


def _expected(name: str, encoder: UniRetrieval) -> set[str]:
    adapters = {n for n, _ in encoder.adapter_parameters()}
    if name == "plain":
        return set()
    if name == "tower":
        return _tower_parameters() | {n for n in adapters if n.startswith("prototypes.")}
    if name == "layernorm":
        return _norms()
    if name.startswith("lora"):
        return _norms() | {n for n, _ in encoder.named_parameters() if ".lora_" in n}
    frozen = {"depth-xlora": ("_ERK", "_ENR"), "depth-flylora": ("a_ERK",)}.get(name)
    if frozen is not None:
        assert {n for n in adapters if "tower." in n and n.endswith(frozen)}
        adapters = {n for n in adapters if "tower." not in n or not n.endswith(frozen)}
    return _norms() | adapters


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_its_own_parameters(name):
    encoder = build(METHODS[name], _tower())
    trained = set(_trained(encoder))
    assert trained == _expected(name, encoder)
    if name not in ("tower", "plain"):
        assert trained & _tower_parameters() == _norms()


@pytest.mark.parametrize("name", METHODS)
def test_an_untrained_method_equals_its_tower(name):
    with torch.no_grad():
        encoder, tower = build(METHODS[name], _tower()).eval(), _tower().eval()
        for kind, prepared in (("image", _pictures()), ("text", _words())):
            expected = F.normalize(getattr(tower, f"forward_{kind}")(prepared.inputs), dim=1)
            vectors = getattr(encoder, f"forward_{kind}")(prepared).vectors_BD
            torch.testing.assert_close(vectors, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "plain"])
def test_gradients_reach_the_trained_parameters_and_no_others(name):
    encoder = build(METHODS[name], _tower()).train()
    with torch.no_grad():
        trained = _trained(encoder)
        for n, p in encoder.named_parameters():
            if "b_ENR" in n or (n in trained and (p == 0).all()):
                p.normal_()
    batches = [encoder.forward_image(_pictures()), encoder.forward_text(_words())]
    losses = [(p.vectors_BD @ torch.randn(24)).square().sum() + p.router_loss for p in batches]
    torch.stack(losses).sum().backward()
    # A single entry or expert is chosen for every prototype, so its router gets no gradient.
    without_choice = {
        "tower": r"prototypes\..*",  # only the loss of the styles trains them
        "prompt": r"bank\.keys_ND|prototypes\..*",
        "depth-mola": r"tower\.vision\.0\..*router.*",
        "depth-rmoe": r"tower\.vision\.0\.attention\.qkv\..*weight_hh",  # no state before it
    }
    for n, p in encoder.named_parameters():
        if not p.requires_grad:
            assert p.grad is None, n
        elif name in without_choice and re.fullmatch(without_choice[name], n):
            assert p.grad is None or p.grad.abs().max() < 1e-6, n
        else:
            assert p.grad.abs().max() > 0, n


def test_methods_with_more_components_train_more_parameters():
    names = ["plain", "layernorm", "prompt", "bank", "bank-moe", "depth"]
    counts = [_count(name) for name in names]
    assert counts == sorted(set(counts)), dict(zip(names, counts, strict=True))
    assert _count("layernorm") < _count("lora") < _count("lora-32")


def test_lora_adapts_the_same_layers_as_ours_at_its_rank():
    layers = {(32, 96), (32, 32), (32, 48), (48, 32)}
    for name, rank in (("lora", 8), ("lora-32", 32)):
        added = _count(name) - _count("layernorm")
        assert added == SIZES.depth * sum(rank * (k + n) for k, n in layers)
    adapted = set(build(METHODS["depth"], _tower()).forward_image(_pictures()).gates)
    assert adapted - {"prompts.image"} == {
        f"{i}.{layer}" for i in range(2) for layer in "qkv out expand contract".split()
    }


def test_all_methods_differ():
    configs = [
        m.config.model_dump_json()
        + f"{m.train_tower}{m.train_norms}{m.lora_rank}"
        + f"{m.compression}{m.in_use}"
        for m in METHODS.values()
    ]
    assert len(set(configs)) == len(METHODS)
    assert len({m.title for m in METHODS.values()}) == len(METHODS)
