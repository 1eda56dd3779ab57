"""Import a checkpoint of Uni-Retrieval's public training code (CuriseJia/ACL25-Uni-Retrieval).

`train.py` there saves the state dict of one module: `openclip.*` (the whole OpenCLIP model with its
trained LayerNorms), `visual.*` (its image tower once more), `key` (banks, width), `img_prompt`
(prompts, width), the layers `bank_*` and `style_*` between VGG and the bank, and `encoder.*` (VGG).
The tower is what can be used: its own forward pass reads `img_prompt` nowhere, and feeds VGG's 256
channels to a `bank_patch` of 128, so the bank has no meaning that could be carried over.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from data.errors import BadInput

__all__ = ["ImportedTower", "import_reference"]

_MODEL, _COPY = "openclip.", "visual."
_LEFT_OUT = ("key", "img_prompt", "bank_", "style_", "encoder.")
_HEAD_WIDTH = 64  # of every OpenCLIP ViT up to L/14
# Of the weights that the code starts from, ViT-L-14 laion2b_s32b_b82k.
_PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}


@dataclass(frozen=True)
class ImportedTower:
    """An OpenCLIP model on disk, and the shapes of the weights that were left out, by name."""

    folder: Path
    left_out: dict[str, tuple[int, ...]]


def import_reference(path: Path, folder: Path) -> ImportedTower:
    """Write the OpenCLIP model of a reference checkpoint to `folder`, in the Hub's format.

    `path` is a .pth file or the same tensors as .safetensors. Raise `BadInput` for another file.
    """
    state = _read_state(path)
    model = {n.removeprefix(_MODEL): v for n, v in state.items() if n.startswith(_MODEL)}
    others = {n: v for n, v in state.items() if not n.startswith((_MODEL, _COPY))}
    if unknown := sorted(n for n in others if not n.startswith(_LEFT_OUT)):
        raise BadInput(
            f"{path}: not a checkpoint of Uni-Retrieval's public code: {unknown[0]!r} is unknown; "
            "expected openclip.*, visual.*, key, img_prompt, bank_*, style_* and encoder.*"
        )
    try:
        config = _model_config(model)
    except (KeyError, IndexError) as error:
        raise BadInput(
            f"{path}: not a checkpoint of Uni-Retrieval's public code: openclip.{error.args[0]} is "
            "missing"
        ) from None
    for name, value in state.items():
        twin = model.get(f"{_COPY}{name.removeprefix(_COPY)}")
        if name.startswith(_COPY) and (twin is None or not torch.equal(twin, value)):
            raise BadInput(f"{path}: {name} differs from openclip.{name}; save the model again")
    for name, value in model.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise BadInput(f"{path}: openclip.{name} is not finite; the training has diverged")
    folder.mkdir(parents=True, exist_ok=True)
    document = {"model_cfg": config, "preprocess_cfg": _PREPROCESS}
    weights = {name: value.contiguous().clone() for name, value in model.items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps(document, indent=1) + "\n")
    return ImportedTower(folder, {n: tuple(v.shape) for n, v in sorted(others.items())})


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path}: cannot be read as weights ({reason})") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadInput(f"{path}: expected a state dict, tensors by name")
    return state


def _model_config(model: dict[str, Tensor]) -> dict[str, Any]:
    """Return OpenCLIP's configuration of a model with these weights. Raise `KeyError` for a gap."""
    patch = model["visual.conv1.weight"]
    width, places = patch.shape[0], len(model["visual.positional_embedding"])
    vocabulary, text_width = model["token_embedding.weight"].shape
    hidden = model["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0]
    return {
        "embed_dim": model["text_projection"].shape[1],
        "vision_cfg": {
            "image_size": round((places - 1) ** 0.5) * patch.shape[2],
            "layers": _layers(model, "visual.transformer.resblocks."),
            "width": width,
            "head_width": _HEAD_WIDTH,
            "mlp_ratio": hidden / width,
            "patch_size": patch.shape[2],
        },
        "text_cfg": {
            "context_length": len(model["positional_embedding"]),
            "vocab_size": vocabulary,
            "width": text_width,
            "heads": text_width // _HEAD_WIDTH,
            "layers": _layers(model, "transformer.resblocks."),
        },
    }


def _layers(model: dict[str, Tensor], prefix: str) -> int:
    """Return the number of blocks whose weights start with `prefix`."""
    return len({n.removeprefix(prefix).split(".")[0] for n in model if n.startswith(prefix)})
