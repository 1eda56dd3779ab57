"""The mini towers, with patches and sentence vectors made up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from retrieval.efficientnet import PATCHES, TAPS, CnnFeatures
from retrieval.mini import MiniConfig, MiniTower

CONFIG = MiniConfig(
    width=32, depth=2, heads=2, hidden=48, text_hidden=48, detail=3, sentence=16, out=24
)
B, C = 3, sum(TAPS)


@pytest.fixture
def tower() -> MiniTower:
    torch.manual_seed(0)
    return MiniTower(CONFIG, None, None).eval()


def _patches(batch: int = B) -> torch.Tensor:
    return torch.randn(batch, PATCHES, C, generator=torch.Generator().manual_seed(1))


def _open_gates(tower: MiniTower) -> None:
    with torch.no_grad():
        for block in (*tower.image_blocks, *tower.text_blocks):
            block.attention.gate_H.fill_(1.0)


@pytest.mark.parametrize("prompts", [1, 5])
def test_prompts_change_nothing_before_training(tower, prompts):
    prompts_BPW = torch.randn(B, prompts, CONFIG.width)
    words_BS = torch.nn.functional.normalize(torch.randn(B, CONFIG.sentence), dim=1)
    for encode, inputs in ((tower.forward_image, _patches()), (tower.forward_text, words_BS)):
        plain = encode(inputs)
        assert plain.shape == (B, CONFIG.out)
        torch.testing.assert_close(encode(inputs, prompts_BPW), plain, atol=1e-6, rtol=0)
    _open_gates(tower)
    for encode, inputs in ((tower.forward_image, _patches()), (tower.forward_text, words_BS)):
        assert not torch.allclose(encode(inputs, prompts_BPW), encode(inputs), atol=1e-3)


def test_rows_do_not_touch_each_other(tower):
    _open_gates(tower)
    inputs, prompts_BPW = _patches(), torch.randn(B, 4, CONFIG.width)
    together = tower.forward_image(inputs, prompts_BPW)
    alone = [tower.forward_image(inputs[i : i + 1], prompts_BPW[i : i + 1]) for i in range(B)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("dropped", "kept"), [(0.0, 49), (0.5, 24), (0.6, 20), (0.999, 1)])
def test_patches_are_dropped_in_training_only_and_as_many_as_said(tower, dropped, kept):
    counts = []
    tower.around = lambda block, x_BTW: counts.append(x_BTW.shape[1] - 1) or block(x_BTW)
    tower.patch_dropout = dropped
    whole = tower.forward_image(_patches())
    assert counts == [PATCHES] * CONFIG.depth
    tower.train()
    counts.clear()
    torch.manual_seed(0)
    part = tower.forward_image(_patches())
    assert counts == [kept] * CONFIG.depth
    assert torch.equal(part, whole) == (dropped == 0)


def test_which_patches_are_dropped_changes_from_step_to_step(tower):
    tower.train()
    tower.patch_dropout = 0.5
    torch.manual_seed(0)
    kept = [tuple(tower._kept(_patches()).tolist()) for _ in range(4)]
    assert len(set(kept)) == 4
    assert all(list(k) == sorted(set(k)) for k in kept)


def test_the_blocks_see_the_patches_that_are_kept_where_they_lie(tower):
    """With dropped patches the blocks' results go back to their own places."""
    tower.train()
    tower.patch_dropout = 0.5
    seen: list[torch.Tensor] = []
    kept_T = torch.arange(1, PATCHES, 2)
    tower._kept = lambda patches_BTW: kept_T
    tower.detail.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    inputs = _patches()
    tower.forward_image(inputs)
    flat_BTW, after_BTW = seen[0].split(CONFIG.width, dim=2)
    torch.testing.assert_close(flat_BTW, tower.patch(inputs) + tower.place_TW)
    assert (after_BTW[:, 0::2] == 0).all()
    assert (after_BTW[:, 1::2].abs().amax(2) > 0).all()


def test_every_patch_reaches_the_detail_even_one_that_was_dropped(tower):
    """A gradient comes back to every patch in training, and each one changes the vector."""
    tower.train()
    tower.patch_dropout = 0.9
    inputs = _patches(1).requires_grad_()
    tower.forward_image(inputs).square().sum().backward()
    assert (inputs.grad[0].abs().amax(1) > 0).all()


def test_the_same_patches_elsewhere_give_another_vector(tower):
    shifted = _patches().roll(1, dims=1)
    assert not torch.allclose(
        tower.forward_image(shifted), tower.forward_image(_patches()), atol=1e-3
    )


def test_fit_standardises_every_channel(tower):
    scale_C = torch.rand(C) * 50 + 0.1
    x_BTC = _patches() * scale_C + 3 * scale_C
    x_BTC[..., 5] = 7.0  # a dead channel
    tower.fit(x_BTC.half())
    standard = (x_BTC.half().float() - tower.mean_C) / tower.deviation_C
    live = torch.arange(C) != 5
    torch.testing.assert_close(standard.mean((0, 1)), torch.zeros(C), atol=1e-3, rtol=0)
    deviation_C = standard.flatten(0, 1).std(0)[live]
    torch.testing.assert_close(deviation_C, torch.ones(C - 1), atol=1e-3, rtol=0)
    assert torch.isfinite(standard).all()
    # It is what `image` does with them: another scale and offset of the same picture is the same.
    other = MiniTower(CONFIG, None, None).eval()
    other.load_state_dict(tower.state_dict())
    other.fit(10 * x_BTC + 1)
    torch.testing.assert_close(
        other.forward_image(10 * x_BTC + 1), tower.forward_image(x_BTC), atol=2e-2, rtol=0
    )


def test_what_fit_measured_is_kept_with_the_weights(tower):
    tower.fit(_patches() + 2)
    assert {"mean_C", "deviation_C"} <= set(tower.state_dict())


def test_look_and_read_take_what_the_frozen_models_give():
    class Cnn:
        def preprocess(self, images):
            return torch.tensor([[image.size[0]] for image in images], dtype=torch.float32)

        def extract(self, x_B1):
            return CnnFeatures(x_B1[:, :, None].expand(-1, PATCHES, C), 10 * x_B1)

    class Sentences:
        def encode_passages(self, texts):
            return np.array([[len(t)] * CONFIG.sentence for t in texts], np.float32)

    tower = MiniTower(CONFIG, Cnn(), Sentences())
    looked = tower.prepare_images([Image.new("RGB", (5, 1)), Image.new("RGB", (9, 1))])
    assert looked.inputs.shape == (2, PATCHES, C)
    assert looked.features_BG.tolist() == [[50.0], [90.0]]
    read = tower.prepare_texts(["a", "four"])
    assert torch.equal(read.inputs, read.features_BG)
    assert read.inputs[:, 0].tolist() == [1.0, 4.0]
    assert not any("cnn" in name or "sentences" in name for name in tower.state_dict())


@pytest.mark.parametrize("wrong", [{"heads": 5}, {"width": 0}, {"depht": 2}])
def test_sizes_that_do_not_go_together_are_refused(wrong):
    with pytest.raises(ValidationError, match=r"heads|width|depht"):
        MiniConfig(**{"width": 32, "heads": 2} | wrong)
