"""The network equals the library that its weights came with."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from platformdirs import user_data_path
from safetensors.torch import load_file, save_file

from data.errors import BadInput
from retrieval.efficientnet import GRAM, PATCHES, TAPS, EfficientNetLite0

FOLDER = (
    Path(os.environ.get("UNIRAG_MODELS") or user_data_path("unirag") / "models")
    / "efficientnet-lite0"
)
needs_model = pytest.mark.skipif(
    not (FOLDER / "model.safetensors").exists(),
    reason="needs the mini models: unirag models pull --profile mini",
)


def _reference():
    library = pytest.importorskip("efficientnet_lite_pytorch", reason="dev dependency")
    torch.manual_seed(0)
    return library.EfficientNet.from_name("efficientnet-lite0").eval()


def _randomise_statistics(model: torch.nn.Module) -> None:
    """Set batch statistics unlike those of a new network, so that a swapped layer shows."""
    for name, value in model.named_buffers():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)


def _compare(reference, folder, dtype) -> None:
    """Compare on one thread: on several, the library's own results differ by 2e-5 between layouts.

    Our norms are folded into the convolutions, so about 50 layers round differently from the
    library's. Values of up to 6, and Gram products of up to 36, differ in their last digits.
    """
    atol, rtol = (1e-9, 1e-9) if dtype == torch.float64 else (1e-4, 1e-4)
    reference, tower = reference.to(dtype), EfficientNetLite0(folder, dtype=dtype)
    x_BCHW = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1)).to(dtype)
    maps = {}
    with torch.inference_mode():
        map_BCHW = reference._swish(reference._bn0(reference._conv_stem(x_BCHW)))
        for number, block in enumerate(reference._blocks):
            map_BCHW = block(map_BCHW)
            maps[number] = map_BCHW
        grid_BCHW = reference.extract_features(x_BCHW)
    early_BCHW, fine_BCHW, middle_BCHW = maps[2], maps[4], maps[10]
    assert early_BCHW.shape == (2, 24, 56, 56)
    assert middle_BCHW.shape == (2, 112, 14, 14)
    assert fine_BCHW.shape == (2, 40, 28, 28)
    patches_BTC, gram_BG = tower.extract(x_BCHW)
    assert patches_BTC.shape == (2, PATCHES, sum(TAPS))
    assert gram_BG.shape == (2, GRAM)
    for patch in range(PATCHES):
        row, column = divmod(patch, 7)
        cells = [
            m[:, :, row * n : row * n + n, column * n : column * n + n].flatten(1)
            for m, n in ((grid_BCHW, 1), (middle_BCHW, 2), (fine_BCHW, 4))
        ]
        expected_BC = torch.cat(cells, dim=1)
        torch.testing.assert_close(patches_BTC[:, patch], expected_BC, atol=atol, rtol=rtol)
    torch.testing.assert_close(gram_BG, _gram(early_BCHW), atol=atol, rtol=rtol)
    assert all(part.std() > 0.01 for part in patches_BTC.split(TAPS, dim=2))
    assert gram_BG.std() > 0.01


def _gram(map_BCHW: torch.Tensor) -> torch.Tensor:
    """Return each mean product of two channels once, row by row, and each mean."""
    channels = map_BCHW.unbind(1)
    products = [(a * b).mean((1, 2)) for i, a in enumerate(channels) for b in channels[i:]]
    return torch.stack([*products, *(a.mean((1, 2)) for a in channels)], dim=1)


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_random_weights_equal_the_library(tmp_path, dtype):
    reference = _reference()
    _randomise_statistics(reference)
    save_file(
        {k: v.contiguous() for k, v in reference.state_dict().items()},
        tmp_path / "model.safetensors",
    )
    _compare(reference, tmp_path, dtype)


@pytest.mark.models
@needs_model
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_real_weights_equal_the_library(dtype):
    reference = _reference()
    reference.load_state_dict(load_file(FOLDER / "model.safetensors"))
    _compare(reference, FOLDER, dtype)


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tower")
    state = {k: v.contiguous() for k, v in _reference().state_dict().items()}
    save_file(state, folder / "model.safetensors")
    return EfficientNetLite0(folder)


def test_the_whole_picture_is_kept_and_the_margin_is_white(tower):
    wide = Image.new("RGB", (600, 200), "black")
    wide.paste((255, 0, 0), (0, 0, 30, 200))
    wide.paste((0, 0, 255), (570, 0, 600, 200))
    x_CHW = tower.preprocess([wide])[0] * 128 + 127
    row = x_CHW[:, 112]
    assert row[:, 3].tolist() == [255, 0, 0]
    assert row[:, -4].tolist() == [0, 0, 255]
    assert (x_CHW[:, :70] == 255).all()
    assert (x_CHW[:, -70:] == 255).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (37, 53), (224, 224)])
def test_any_size_and_mode_becomes_one_shape(tower, mode, size):
    x_BCHW = tower.preprocess([Image.new("RGB", size, "white").convert(mode)])
    assert x_BCHW.shape == (1, 3, 224, 224)
    assert torch.equal(x_BCHW, torch.ones_like(x_BCHW))


def test_a_picture_has_the_same_features_alone_and_in_a_batch(tower):
    random = np.random.default_rng(0)
    images = [Image.fromarray(random.integers(0, 255, (80, 90, 3), np.uint8)) for _ in range(3)]
    together = tower.extract(tower.preprocess(images))
    alone = [tower.extract(tower.preprocess([image])) for image in images]
    for batch, rows in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(batch, torch.cat(rows), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together.gram_BG[0], together.gram_BG[1], atol=1e-4)


def test_features_have_no_gradient(tower):
    x_BCHW = torch.zeros(1, 3, 224, 224, requires_grad=True)
    assert not any(features.requires_grad for features in tower.extract(x_BCHW))


def test_bf16_is_near_fp32(tower, tmp_path):
    state = {k: v.contiguous() for k, v in _reference().state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    half = EfficientNetLite0(tmp_path, dtype=torch.bfloat16)
    image = Image.effect_noise((200, 120), 60).convert("RGB")
    full_features = tower.extract(tower.preprocess([image]))
    half_features = half.extract(half.preprocess([image]))
    for full, low in zip(full_features, half_features, strict=True):
        assert low.dtype == torch.bfloat16
        assert torch.cosine_similarity(full.flatten(), low.float().flatten(), 0).item() > 0.99


def encode(folder):
    network = EfficientNetLite0(folder)
    return network.extract(network.preprocess([Image.new("RGB", (8, 8))]))


def test_the_weights_are_loaded_with_the_first_picture(tmp_path):
    EfficientNetLite0(tmp_path).preprocess([Image.new("RGB", (8, 8))])
    with pytest.raises(BadInput):
        encode(tmp_path)


def test_other_weights_are_bad_input(tmp_path):
    with pytest.raises(BadInput, match="not the weights of EfficientNet-Lite0"):
        encode(tmp_path)
    save_file({"_fc.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(BadInput, match=r"model\.safetensors"):
        encode(tmp_path)
    save_file({"visual.conv1.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(BadInput, match="visual"):
        encode(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no safetensors")
    with pytest.raises(BadInput):
        encode(tmp_path)
