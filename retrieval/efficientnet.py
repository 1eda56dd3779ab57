"""EfficientNet-Lite0 as a frozen picture tower: pooled features, the last grid, an early map.

B batch, C channels, H height, W width of a map.

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
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from data.errors import BadInput

__all__ = ["EfficientNetLite0"]

SIDE = 224
WIDTH = 1280
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


class EfficientNetLite0:
    """The tower in eval mode on one device; `folder` holds its `model.safetensors`.

    It has no trained parameters of ours: all results are made under `torch.inference_mode`.
    """

    width = WIDTH

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
        # channels_last is the layout that depthwise convolutions run fastest in.
        self._model: Any = model.eval().to(device, dtype).to(memory_format=torch.channels_last)
        self._device, self._dtype = device, dtype

    def preprocess(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures of any size as (B, 3, 224, 224) in about [-1, 1], on the tower's device.

        Each is laid on a white square rather than cropped: labels sit at a diagram's edges.
        """
        pixels_BHWC = np.stack([_square(image) for image in images])
        x_BCHW = torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2)  # already channels_last
        return ((x_BCHW.to(self._device).float() - 127.0) / 128.0).to(self._dtype)

    def features(self, x_BCHW: Tensor) -> Tensor:
        """(B, 1280) in [0, 6]: the last grid's mean, as the classifier sees it."""
        return self.grid(x_BCHW).mean((2, 3))

    @torch.inference_mode()
    def grid(self, x_BCHW: Tensor) -> Tensor:
        """(B, 1280, 7, 7) in [0, 6]: what the tower sees in each 32 x 32 patch and around it."""
        return self._model.forward_features(x_BCHW)

    @torch.inference_mode()
    def early(self, x_BCHW: Tensor) -> Tensor:
        """(B, 24, 56, 56): edges and textures, from which a style is told; after stage 2 of 7."""
        model = self._model
        return model.blocks[1](model.blocks[0](model.bn1(model.conv_stem(x_BCHW))))


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
