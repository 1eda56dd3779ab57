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
from retrieval.card import CARD, invalid_checkpoint
from retrieval.mini import MiniConfig
from retrieval.tower import Tower
from retrieval.uni import UniConfig, UniRetrieval

__all__ = ["ModelCard", "load_checkpoint", "read_card", "save_checkpoint"]

_WEIGHTS = "model.safetensors"


class ModelCard(BaseModel):
    """What a checkpoint is: `name` stands in the stamp of every collection encoded with it.

    `tower` is the sizes of the mini towers, or the name of the OpenCLIP model that the checkpoint
    stands on; only what was trained around such a model is stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    tower: MiniConfig | str
    encoder: UniConfig
    styles: tuple[str, ...]


def save_checkpoint(encoder: UniRetrieval, card: ModelCard, folder: Path) -> None:
    """Write the weights in fp16; buffers, and whatever has one dimension, stay in fp32."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = _stored(encoder, card)
    state = {
        name: (value.half() if value.ndim > 1 else value.float()).contiguous().cpu()
        for name, value in encoder.state_dict().items()
        if name in kept
    }
    save_file(state, folder / f"{_WEIGHTS}.part")
    (folder / f"{_WEIGHTS}.part").rename(folder / _WEIGHTS)
    (folder / CARD).write_text(card.model_dump_json(indent=1) + "\n")


def read_card(folder: Path) -> ModelCard:
    """Raises `BadInput` for a folder without a valid card."""
    try:
        return ModelCard.model_validate_json((folder / CARD).read_text())
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise invalid_checkpoint(folder, error) from None


def load_checkpoint(folder: Path, tower: Callable[[ModelCard], Tower]) -> UniRetrieval:
    """The encoder in `folder`, in eval mode, on the tower that `tower` makes for its card."""
    card = read_card(folder)
    encoder = UniRetrieval(tower(card), card.encoder)
    encoder.styles = card.styles
    encoder.centroids_SK = torch.zeros(len(card.styles), card.encoder.prototype)
    try:
        state = {k: v.float() for k, v in load_file(folder / _WEIGHTS).items()}
        missing, unexpected = encoder.load_state_dict(state, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{folder / _WEIGHTS}: cannot be loaded ({reason}); train again") from None
    lacking = set(missing) & _stored(encoder, card)
    if lacking or unexpected:
        raise BadInput(
            f"{folder / _WEIGHTS}: does not go with its config.json: {len(lacking)} weights are "
            f"missing, {len(unexpected)} unknown; train again"
        )
    return encoder.eval()


def _stored(encoder: UniRetrieval, card: ModelCard) -> set[str]:
    """Names of the tensors that the checkpoint holds itself."""
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
    )
