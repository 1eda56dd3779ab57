"""The mini towers, on random patches and sentence vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from retrieval.efficientnet import PATCHES, TAPS, CnnFeatures
from retrieval.mini_tower import MiniConfig, MiniTower

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


def test_rows_of_a_batch_are_independent(tower):
    _open_gates(tower)
    inputs, prompts_BPW = _patches(), torch.randn(B, 4, CONFIG.width)
    together = tower.forward_image(inputs, prompts_BPW)
    alone = [tower.forward_image(inputs[i : i + 1], prompts_BPW[i : i + 1]) for i in range(B)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("dropout", "count"), [(0.0, 49), (0.5, 24), (0.6, 20), (0.999, 1)])
def test_patch_dropout_leaves_out_its_share_while_training(tower, dropout, count):
    counts = []
    tower.wrap_block = lambda block, x_BTW: counts.append(x_BTW.shape[1] - 1) or block(x_BTW)
    tower.patch_dropout = dropout
    complete = tower.forward_image(_patches())
    assert counts == [PATCHES] * CONFIG.depth
    tower.train()
    counts.clear()
    torch.manual_seed(0)
    reduced = tower.forward_image(_patches())
    assert counts == [count] * CONFIG.depth
    assert torch.equal(reduced, complete) == (dropout == 0)


def test_every_step_drops_other_patches(tower):
    tower.train()
    tower.patch_dropout = 0.5
    torch.manual_seed(0)
    kept = [tuple(tower._kept_patches(_patches()).tolist()) for _ in range(4)]
    assert len(set(kept)) == 4
    assert all(list(k) == sorted(set(k)) for k in kept)


def test_kept_patches_return_to_their_own_positions(tower):
    tower.train()
    tower.patch_dropout = 0.5
    detail_inputs: list[torch.Tensor] = []
    kept_T = torch.arange(1, PATCHES, 2)
    tower._kept_patches = lambda patches_BTW: kept_T
    tower.detail.register_forward_pre_hook(lambda _, inputs: detail_inputs.append(inputs[0]))
    inputs = _patches()
    tower.forward_image(inputs)
    patches_BTW, encoded_BTW = detail_inputs[0].split(CONFIG.width, dim=2)
    torch.testing.assert_close(patches_BTW, tower.patch(inputs) + tower.place_TW)
    assert (encoded_BTW[:, 0::2] == 0).all()
    assert (encoded_BTW[:, 1::2].abs().amax(2) > 0).all()


def test_every_patch_reaches_the_detail_even_a_dropped_one(tower):
    """Every patch gets a gradient while training."""
    tower.train()
    tower.patch_dropout = 0.9
    inputs = _patches(1).requires_grad_()
    tower.forward_image(inputs).square().sum().backward()
    assert (inputs.grad[0].abs().amax(1) > 0).all()


def test_moved_patches_change_the_vector(tower):
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
    alive = torch.arange(C) != 5
    torch.testing.assert_close(standard.mean((0, 1)), torch.zeros(C), atol=1e-3, rtol=0)
    deviation_C = standard.flatten(0, 1).std(0)[alive]
    torch.testing.assert_close(deviation_C, torch.ones(C - 1), atol=1e-3, rtol=0)
    assert torch.isfinite(standard).all()
    # `forward_image` uses them: the scale and the offset of the channels do not matter.
    other = MiniTower(CONFIG, None, None).eval()
    other.load_state_dict(tower.state_dict())
    other.fit(10 * x_BTC + 1)
    torch.testing.assert_close(
        other.forward_image(10 * x_BTC + 1), tower.forward_image(x_BTC), atol=2e-2, rtol=0
    )


def test_the_measured_statistics_are_part_of_the_weights(tower):
    tower.fit(_patches() + 2)
    assert {"mean_C", "deviation_C"} <= set(tower.state_dict())


def test_inputs_come_from_the_frozen_models():
    class Cnn:
        def preprocess(self, images):
            return torch.tensor([[image.size[0]] for image in images], dtype=torch.float32)

        def extract(self, x_B1):
            return CnnFeatures(x_B1[:, :, None].expand(-1, PATCHES, C), 10 * x_B1)

    class Sentences:
        def encode_passages(self, texts):
            return np.array([[len(t)] * CONFIG.sentence for t in texts], np.float32)

    tower = MiniTower(CONFIG, Cnn(), Sentences())
    images = tower.prepare_images([Image.new("RGB", (5, 1)), Image.new("RGB", (9, 1))])
    assert images.inputs.shape == (2, PATCHES, C)
    assert images.features_BG.tolist() == [[50.0], [90.0]]
    texts = tower.prepare_texts(["a", "four"])
    assert torch.equal(texts.inputs, texts.features_BG)
    assert texts.inputs[:, 0].tolist() == [1.0, 4.0]
    assert not any("cnn" in name or "sentences" in name for name in tower.state_dict())


@pytest.mark.parametrize("sizes", [{"heads": 5}, {"width": 0}, {"depht": 2}])
def test_inconsistent_sizes_are_refused(sizes):
    with pytest.raises(ValidationError, match=r"heads|width|depht"):
        MiniConfig(**{"width": 32, "heads": 2} | sizes)
