"""EfficientNet-Lite0 as a frozen picture tower: what it sees in each of 7 x 7 patches, and a style.

B batch, T patches, C channels, H height, W width of a map.

The weights are those of Google's TPU repository (Apache-2.0), as `efficientnet-lite-pytorch`
ported them; timm's `tf_efficientnet_lite0` (TensorFlow's padding, batch-norm eps 1e-3, ReLU6)
computes what that library computes. The library's README normalises with ImageNet's mean and
deviation, but the weights were trained on (pixel - 127) / 128 and their stored batch statistics say
so: on photographs the variance after the stem is 1.1 times the stored one with 127 / 128, and 5.5
times with ImageNet's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from data.errors import BadInput

__all__ = ["GRAM", "PATCHES", "TAPS", "CnnFeatures", "EfficientNetLite0"]

SIDE = 224
GRID = 7
PATCHES = GRID * GRID
# Channels of a patch: the last grid, then the maps of 14 x 14 (112) and 28 x 28 (40) with the
# cells of a patch side by side. The deep ones know what a thing is, the fine ones where its lines
# run, which is what is left of a figure in a sketch.
TAPS = (1280, 112 * 2 * 2, 40 * 4 * 4)
_EARLY = 24
GRAM = _EARLY * (_EARLY + 1) // 2 + _EARLY
# The library numbers its 16 blocks through; timm by stage.
_STAGES = (1, 2, 2, 3, 3, 4, 1)
_BLOCKS = tuple((stage, i) for stage, size in enumerate(_STAGES) for i in range(size))
_FIRST_LAYERS = {  # the first block does not widen its input
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_LAYERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_ENDS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


class CnnFeatures(NamedTuple):
    """What the tower makes of a batch of pictures, in the tower's dtype."""

    patches_BTC: Tensor  # (B, 49, sum of TAPS), row by row from the top left
    gram_BG: Tensor  # (B, GRAM): products and means of the early map's channels


class EfficientNetLite0:
    """The tower in eval mode on one device; `folder` holds its `model.safetensors`.

    It has no trained parameters of ours: all results are made under `torch.no_grad`.
    """

    def __init__(
        self, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        path = folder / "model.safetensors"
        try:
            state = load_file(path)
            model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
            model.load_state_dict(_timm_names(state))
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise BadInput(
                f"{path}: not the weights of EfficientNet-Lite0 ({reason}); remove the file and "
                "run `unirag models pull --profile mini`"
            ) from None
        _fuse_norms(model.eval().to(device, dtype))
        # channels_last is the layout that depthwise convolutions run fastest in.
        self._model: Any = model.to(memory_format=torch.channels_last)
        self._device, self._dtype = device, dtype

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures of any size as (B, 3, 224, 224) in about [-1, 1], on the tower's device.

        Each is laid on a white square rather than cropped: labels sit at a diagram's edges.
        """
        pixels_BHWC = np.stack([_square(image) for image in images])
        x_BCHW = torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2)  # already channels_last
        return ((x_BCHW.to(self._device).float() - 127.0) / 128.0).to(self._dtype)

    @torch.no_grad()
    def extract(self, x_BCHW: Tensor) -> CnnFeatures:
        """Patches and Gram features of (B, 3, 224, 224) from `preprocess`."""
        model = self._model
        early = model.blocks[1](model.blocks[0](model.bn1(model.conv_stem(x_BCHW))))
        fine = model.blocks[2](early)
        middle = model.blocks[4](model.blocks[3](fine))
        last = model.bn2(model.conv_head(model.blocks[6](model.blocks[5](middle))))
        cells = [F.pixel_unshuffle(m, m.shape[-1] // GRID) for m in (last, middle, fine)]
        patches = torch.cat([cell.flatten(2).transpose(1, 2) for cell in cells], dim=2)
        return CnnFeatures(patches, _gram(early))


def _gram(map_BCHW: Tensor) -> Tensor:
    """(B, GRAM): the upper triangle of the Gram matrix and the means, each per position.

    Gatys et al. (2016), section 2.2: which filters answer together, wherever they do, is a style.
    """
    x_BCP = map_BCHW.flatten(2)
    gram_BCC = x_BCP @ x_BCP.transpose(1, 2) / x_BCP.shape[2]
    row, column = torch.triu_indices(*gram_BCC.shape[1:], device=gram_BCC.device)
    return torch.cat([gram_BCC[:, row, column], x_BCP.mean(2)], dim=1)


def _fuse_norms(model: nn.Module) -> None:
    """Fold each batch norm into the convolution before it: the same values in less time.

    In timm's efficientnets the norm that follows a convolution is the next child that is one.
    """
    convolution: tuple[str, nn.Conv2d] | None = None
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Conv2d):
            convolution = name, child
        elif isinstance(child, nn.BatchNorm2d):
            assert convolution is not None
            at, conv = convolution
            setattr(model, at, fuse_conv_bn_eval(conv, child))
            setattr(model, name, child.act)  # timm's norms end in their activation
        else:
            _fuse_norms(child)


def _square(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(224, 224, 3) uint8: the whole picture centred on white, its longer side as long as ours."""
    scale = SIDE / max(image.size)
    # A side of at least 1: a rule of 1 x 900 pixels is a picture too.
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (SIDE, SIDE), "white")
    scaled = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    square.paste(scaled, ((SIDE - width) // 2, (SIDE - height) // 2))
    return np.asarray(square)


def _timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The library's state dict under timm's names; `KeyError` for a name that it does not have."""
    renamed = {}
    for key, value in state.items():
        if found := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key):
            number = int(found[1])
            stage, index = dict(enumerate(_BLOCKS))[number]
            layer = (_LAYERS if number else _FIRST_LAYERS)[found[2]]
            renamed[f"blocks.{stage}.{index}.{layer}.{found[3]}"] = value
        else:
            layer, _, leaf = key.partition(".")
            renamed[f"{_ENDS[layer]}.{leaf}"] = value
    return renamed
