"""The LayerNorm stage and the bank stage."""

from __future__ import annotations

import torch
from torch import nn

from retrieval.training.stages import Stages
from tests.retrieval.tiny import tiny_encoder


def trained_names(step: int, norm_steps: int) -> tuple[set[str], set[str], bool]:
    """Return the parameters that keep a gradient, the LayerNorms', and whether prompts are on."""
    encoder = tiny_encoder()
    stages = Stages(encoder, norm_steps)
    stages.start_step(step)
    for parameter in encoder.parameters():
        parameter.grad = torch.ones_like(parameter)
    stages.before_step(step)
    norms = {
        f"{name}.{leaf}"
        for name, module in encoder.named_modules()
        if isinstance(module, nn.LayerNorm)
        for leaf in ("weight", "bias")
    }
    kept = {name for name, p in encoder.named_parameters() if p.grad is not None}
    return kept, norms, encoder.prompting


def test_first_the_norms_are_trained_then_everything_else() -> None:
    every = {name for name, _ in tiny_encoder().named_parameters()}
    kept, norms, prompting = trained_names(1, norm_steps=2)
    assert (kept, prompting) == (norms, False)
    assert 0 < len(norms) < len(every)
    kept, norms, prompting = trained_names(2, norm_steps=2)
    assert (kept, prompting) == (every - norms, True)
    assert trained_names(0, norm_steps=0)[0] == every


def test_without_prompts_the_bank_has_no_effect() -> None:
    encoder = tiny_encoder(prompt_attention="plain", depth=None)
    prepared = encoder.tower.prepare_texts(["a lens", "a cell"])
    with torch.no_grad():
        prompted = encoder.forward_text(prepared).vectors_BD
        stages = Stages(encoder, 1)
        stages.start_step(0)
        without = encoder.forward_text(prepared).vectors_BD
        stages.finish()
        again = encoder.forward_text(prepared).vectors_BD
    assert (prompted - without).abs().max() > 1e-3
    assert again.equal(prompted)
