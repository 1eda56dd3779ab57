"""The bank's parameters and settings; tests/kernels has the tests of mixing."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from retrieval.prompt_bank import BankConfig, PromptBank


def _bank(**config) -> PromptBank:
    torch.manual_seed(0)
    return PromptBank(BankConfig(**{"width": 11} | config), 13, 7)


def test_shapes_and_initial_values():
    bank = _bank(entries=64, prompts=5)
    assert (bank.image_NPW.shape, bank.text_NPW.shape) == ((64, 5, 13), (64, 5, 7))
    torch.testing.assert_close(bank.keys_ND.norm(dim=1), torch.ones(64))
    assert bank.image_NPW.std().item() == pytest.approx(0.02, rel=0.1)
    assert bank.text_NPW.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("entries", [1, 2, 13])
@pytest.mark.parametrize("top_k", [None, 1, 3])
def test_weights_sum_to_one_and_mix_the_prompts(entries, top_k):
    bank = _bank(entries=entries, prompts=3, top_k=top_k)
    prototypes = torch.randn(4, 11)
    for mix, prompts_NPW in (
        (bank.mix_image_prompts, bank.image_NPW),
        (bank.mix_text_prompts, bank.text_NPW),
    ):
        mixed, weights_BN = mix(prototypes)
        torch.testing.assert_close(weights_BN.sum(1), torch.ones(4))
        count = min(top_k or entries, entries)
        assert ((weights_BN > 0).sum(1) == count).all()
        expected = torch.einsum("bn,npw->bpw", weights_BN, prompts_NPW)
        torch.testing.assert_close(mixed, expected)


def test_a_prototype_equal_to_a_key_selects_its_entry():
    bank = _bank(entries=6, temperature=0.01)
    mixed, weights_BN = bank.mix_image_prompts(bank.keys_ND.detach())
    assert weights_BN.argmax(1).tolist() == list(range(6))
    torch.testing.assert_close(mixed, bank.image_NPW, atol=1e-3, rtol=0)


def test_gradients_reach_the_keys_and_only_the_prompts_in_use():
    bank = _bank(entries=4, prompts=2)
    prototypes = torch.randn(3, 11, requires_grad=True)
    mixed, _ = bank.mix_image_prompts(prototypes)
    (mixed * torch.randn_like(mixed)).sum().backward()
    assert (bank.keys_ND.grad.abs().amax(1) > 0).all()
    assert (bank.image_NPW.grad.abs().amax((1, 2)) > 0).all()
    assert (prototypes.grad.abs().amax(1) > 0).all()
    assert bank.text_NPW.grad is None


@pytest.mark.parametrize(
    "settings", [{"entries": 0}, {"temperature": 0}, {"top_k": 0}, {"keys": 3}]
)
def test_settings_out_of_bounds_are_refused(settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        BankConfig(**settings)
