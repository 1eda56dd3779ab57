"""Styles learnt from a few examples: their effect, their files, and refusals."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn.functional import normalize

from data.errors import BadInput
from retrieval.enrolment import Enrolment, enrol
from tests.retrieval.test_uni_encoder import BLUE, pictures
from tests.retrieval.tiny import tiny_encoder

GREEN = (30, 220, 30)


def enrol_green(
    size: int = 12, paired: bool = True
) -> tuple[Enrolment, torch.Tensor, torch.Tensor]:
    """Return the entry, the vectors of 40 green pictures, and those of their blue originals."""
    encoder = tiny_encoder()
    prepared = encoder.tower.prepare_images(pictures(GREEN, 40, seed=5))
    with torch.no_grad():
        gallery = encoder.forward_image(
            encoder.tower.prepare_images(pictures(BLUE, 40, seed=5))
        ).vectors_BD
        plain = encoder.forward_image(prepared).vectors_BD
    examples = encoder.tower.prepare_images(pictures(GREEN, 40, seed=5)[:size])
    answers = list(range(size)) if paired else None
    return enrol(encoder, "green", 1, "tiny-1", examples, gallery, answers), plain, gallery


@pytest.mark.parametrize("paired", [True, False])
def test_new_queries_move_towards_the_gallery_and_their_figure(paired):
    entry, plain, gallery = enrol_green(paired=paired)
    moved = entry.apply(plain[12:])
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(28))
    assert (moved @ gallery.mean(0)).mean() > (plain[12:] @ gallery.mean(0)).mean() + 0.01
    similarity = (gallery[12:] * moved).sum(1).mean()
    assert similarity > (gallery[12:] * plain[12:]).sum(1).mean() + 0.01


def test_pairs_remove_the_directions_in_which_the_style_moves_figures_differently():
    entry, plain, gallery = enrol_green()
    directions = entry.nuisance_RD
    torch.testing.assert_close(directions @ directions.T, torch.eye(4), atol=1e-5, rtol=0)
    moved = gallery[:12] - plain[:12]
    spread = (moved - moved.mean(0)) @ directions.T
    assert spread.square().sum() > 0.5 * (moved - moved.mean(0)).square().sum()
    remaining = (
        entry.apply(plain) * 1.0 - normalize(entry.gallery_mean_D[None], dim=1)
    ) @ directions.T
    assert remaining.std(0).max() < ((plain - plain.mean(0)) @ directions.T).std(0).max()
    assert enrol_green(paired=False)[0].nuisance_RD.shape == (0, 24)


def test_enrolling_changes_no_weight():
    encoder = tiny_encoder()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    prepared = encoder.tower.prepare_images(pictures(BLUE, 8))
    gallery = encoder.forward_image(prepared).vectors_BD.detach()
    enrol(encoder, "blue", 1, "tiny-1", prepared, gallery, list(range(8)))
    for name, value in encoder.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_seven_examples_are_too_few():
    with pytest.raises(BadInput, match="7 examples of style 'green'; expected at least 8"):
        enrol_green(size=7)


def test_a_saved_entry_loads_unchanged_and_is_never_overwritten(tmp_path):
    for paired in (True, False):
        entry, _, _ = enrol_green(paired=paired)
        path = tmp_path / f"green-{paired}.safetensors"
        entry.save(path)
        loaded = Enrolment.load(path)
        for field in dataclasses.fields(Enrolment):
            one, other = getattr(entry, field.name), getattr(loaded, field.name)
            assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
        with pytest.raises(FileExistsError):
            entry.save(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInput, match="not an enrolled style"):
        Enrolment.load(path)


def test_a_key_moves_by_the_given_rate():
    entry, _, _ = enrol_green()
    target = normalize(torch.randn(3, 8), dim=1)
    moved = entry.move_key(target, 0.25).key_K
    expected = normalize(0.75 * entry.key_K + 0.25 * target.mean(0), dim=0)
    torch.testing.assert_close(moved, expected)
    torch.testing.assert_close(entry.move_key(target, 0.0).key_K, entry.key_K)
