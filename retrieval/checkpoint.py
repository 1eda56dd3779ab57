"""A trained encoder on disk: `model.safetensors` and `config.json` in one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from data.errors import BadInput
from retrieval.mini_tower import MiniConfig
from retrieval.model_card import CARD_FILE, invalid_checkpoint
from retrieval.tower import Tower
from retrieval.uni_retrieval import UniConfig, UniRetrieval

__all__ = ["WEIGHTS_FILE", "ModelCard", "load_checkpoint", "read_card", "save_checkpoint"]

WEIGHTS_FILE = "model.safetensors"


class ModelCard(BaseModel):
    """The description of a checkpoint, stored as `config.json`.

    `name` goes into the stamp of every collection that is encoded with the checkpoint. `tower` is
    either the sizes of the mini towers, or the name of the OpenCLIP model that the checkpoint
    adapts. For an OpenCLIP model, only the added parameters are stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    tower: MiniConfig | str
    encoder: UniConfig
    styles: tuple[str, ...]


def save_checkpoint(encoder: UniRetrieval, card: ModelCard, folder: Path) -> None:
    """Write the weights in fp16, but buffers and one-dimensional tensors in fp32."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = _stored_names(encoder, card)
    state = {
        name: (value.half() if value.ndim > 1 else value.float()).contiguous().cpu()
        for name, value in encoder.state_dict().items()
        if name in stored
    }
    save_file(state, folder / f"{WEIGHTS_FILE}.part")
    (folder / f"{WEIGHTS_FILE}.part").rename(folder / WEIGHTS_FILE)
    (folder / CARD_FILE).write_text(card.model_dump_json(indent=1) + "\n")


def read_card(folder: Path) -> ModelCard:
    """Read the card of the checkpoint in `folder`. Raises `BadInput` if there is no valid one."""
    try:
        return ModelCard.model_validate_json((folder / CARD_FILE).read_text())
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise invalid_checkpoint(folder, error) from None


def load_checkpoint(folder: Path, build_tower: Callable[[ModelCard], Tower]) -> UniRetrieval:
    """Load the encoder in `folder`, in eval mode, on the tower that `build_tower` builds.

    Raises `BadInput` for missing, damaged or mismatched weights.
    """
    card = read_card(folder)
    encoder = UniRetrieval(build_tower(card), card.encoder)
    encoder.styles = card.styles
    encoder.centroids_SK = torch.zeros(len(card.styles), card.encoder.prototype)
    try:
        state = {k: v.float() for k, v in load_file(folder / WEIGHTS_FILE).items()}
        missing, unexpected = encoder.load_state_dict(state, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"{folder / WEIGHTS_FILE}: cannot be loaded ({reason}); train again"
        ) from None
    missing_stored = set(missing) & _stored_names(encoder, card)
    if missing_stored or unexpected:
        raise BadInput(
            f"{folder / WEIGHTS_FILE}: does not match its config.json: {len(missing_stored)} "
            f"weights are missing, {len(unexpected)} are unknown; train again"
        )
    return encoder.eval()


def _stored_names(encoder: UniRetrieval, card: ModelCard) -> set[str]:
    """Return the names of the tensors that the checkpoint contains."""
    names = set(encoder.state_dict())
    if isinstance(card.tower, MiniConfig):
        return names
    norms = {
        f"{module}.{leaf}"
        for module, child in encoder.named_modules()
        if isinstance(child, nn.LayerNorm)
        for leaf in ("weight", "bias")
    }
    return (
        {n for n in names if not n.startswith("tower.")}
        | norms & names
        | {name for name, _ in encoder.adapter_parameters()}
        | {name for name in names if ".experts." in name}  # with the buffers of the methods
    )
