"""Experts go to PEFT and come back; PEFT itself computes the same with them."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from data.errors import BadInput
from retrieval.experts import ExpertConfig
from retrieval.mini_tower import MiniTower
from retrieval.training.adapters import load_adapters
from retrieval.training.peft_exchange import export_peft, read_peft
from retrieval.uni_retrieval import UniConfig, UniRetrieval
from tests.retrieval.tiny import SIZES, tiny_encoder


def _encoder(**depth) -> UniRetrieval:
    return tiny_encoder(depth=ExpertConfig(rank=2, **depth), bank=None, experts=None)


def test_peft_computes_the_same_with_an_exported_expert(tmp_path):
    encoder = _encoder(experts=1, alpha=6.0)
    assert export_peft(encoder, tmp_path, "tiny") == [tmp_path]
    torch.manual_seed(0)
    tower = MiniTower(SIZES, None, None)  # the same weights, without experts
    tower.load_state_dict(
        {n: v for n, v in encoder.tower.state_dict().items() if "experts" not in n}
    )
    inject_adapter_in_model(LoraConfig.from_pretrained(str(tmp_path)), tower)
    weights = {
        n.removeprefix("base_model.model."): v
        for n, v in load_file(tmp_path / "adapter_model.safetensors").items()
    }
    set_peft_model_state_dict(tower, weights)
    patches = torch.randn(3, 49, tower.patch.in_features)
    with torch.no_grad(), encoder.route.carrying(torch.randn(3, 8)):
        expected = encoder.tower.forward_image(patches)
        plain = copy.deepcopy(encoder.tower)
    with torch.no_grad():
        torch.testing.assert_close(tower.eval().forward_image(patches), expected)
        assert not torch.allclose(plain.forward_image(patches), expected, atol=1e-3)


def test_several_experts_become_adapters_and_come_back_at_another_scale(tmp_path):
    encoder = _encoder(experts=3, alpha=4.0)
    folders = export_peft(encoder, tmp_path, "tiny")
    assert [f.name for f in folders] == ["expert-0", "expert-1", "expert-2"]
    other = UniRetrieval(
        MiniTower(SIZES, None, None),
        UniConfig(
            bank=None, depth=ExpertConfig(rank=2, experts=3, alpha=2.0), prototype=8, sentence=16
        ),
    )
    load_adapters(other, folders)
    for ours, theirs in zip(encoder.depth_layers(), other.depth_layers(), strict=True):
        assert torch.equal(theirs.experts.a_ERK, ours.experts.a_ERK)
        torch.testing.assert_close(theirs.experts.b_ENR, 2 * ours.experts.b_ENR)


def test_what_peft_cannot_hold_is_refused(tmp_path):
    for depth in ({"parameterisation": "film"}, {"allocation": "mola", "experts": 3}):
        with pytest.raises(BadInput, match="Push it as it is"):
            export_peft(_encoder(**depth), tmp_path, "tiny")


def test_other_folders_are_refused_with_the_reason(tmp_path):
    with pytest.raises(BadInput, match="not a LoRA adapter of PEFT"):
        read_peft(tmp_path)
    export_peft(_encoder(experts=1), tmp_path, "tiny")
    with pytest.raises(BadInput, match="1 adapters for experts=2"):
        load_adapters(_encoder(experts=2), [tmp_path])
    with pytest.raises(BadInput, match="rank 2; expected 3"):
        load_adapters(
            tiny_encoder(depth=ExpertConfig(rank=3, experts=1), bank=None, experts=None), [tmp_path]
        )
    weights = load_file(tmp_path / "adapter_model.safetensors")
    first = next(n for n in weights if "lora_B" in n)
    save_file(
        {n: v for n, v in weights.items() if n != first}, tmp_path / "adapter_model.safetensors"
    )
    with pytest.raises(BadInput, match="lora_A without lora_B"):
        read_peft(tmp_path)
