"""Load the image encoder of a profile from the models on disk."""

from __future__ import annotations

from pathlib import Path

import torch

from data.errors import BadInput
from retrieval.checkpoint import ModelCard, load_checkpoint, read_card
from retrieval.efficientnet import EfficientNetLite0
from retrieval.encoder import TextRetriever
from retrieval.experts import MoELoRALinear
from retrieval.mini_tower import MiniConfig, MiniTower
from retrieval.tower import Tower
from retrieval.uni_encoder import UniEncoder
from retrieval.uni_retrieval import UniConfig, UniRetrieval

__all__ = ["build_mini_tower", "load_mini_encoder", "load_openclip_encoder"]


def build_mini_tower(
    card: ModelCard, cnn: EfficientNetLite0 | None = None, sentences: TextRetriever | None = None
) -> MiniTower:
    """Build the tower of a checkpoint, without its weights.

    The frozen models `cnn` and `sentences` are needed to encode; to inspect or train a tower on
    cached features they may be None. Raise `BadInput` if the checkpoint has another tower.
    """
    if not isinstance(card.tower, MiniConfig):
        raise BadInput(
            f"encoder {card.name}: its tower is {card.tower}, expected the mini tower; use the "
            "profile that it was trained with"
        )
    return MiniTower(card.tower, cnn, sentences)


def load_mini_encoder(
    folder: Path,
    cnn: EfficientNetLite0,
    sentences: TextRetriever,
    device: str,
    style_follow_rate: float = 0.0,
) -> UniEncoder:
    """Load the checkpoint in `folder`, with the frozen models it needs."""
    card = read_card(folder)
    encoder = load_checkpoint(folder, lambda card: build_mini_tower(card, cnn, sentences))
    return UniEncoder(card.name, encoder.to(device), style_follow_rate=style_follow_rate)


def load_openclip_encoder(
    name: str,
    model: Path,
    checkpoint: Path | None,
    cnn: EfficientNetLite0,
    sentences: TextRetriever,
    device: str,
    dtype: torch.dtype,
    style_follow_rate: float = 0.0,
) -> UniEncoder:
    """Load an OpenCLIP model, with the checkpoint that was trained around it if there is one.

    Raise `BadInput` if the checkpoint was trained around another model.
    """
    from retrieval.openclip_tower import OpenClipTower

    tower = OpenClipTower(name, model, cnn, sentences, device, dtype)
    if checkpoint is None:
        config = UniConfig(bank=None, sentence=sentences.width)
        return UniEncoder(name, UniRetrieval(tower, config).to(device))

    def checked_tower(card: ModelCard) -> Tower:
        if card.tower != name:
            raise BadInput(
                f"{checkpoint}: trained around {card.tower}, but this profile has {name}; use the "
                "profile that it was trained with"
            )
        return tower

    card = read_card(checkpoint)
    encoder = load_checkpoint(checkpoint, checked_tower).to(device)
    for module in encoder.modules():
        if isinstance(module, MoELoRALinear):
            module.cast_experts()
    return UniEncoder(card.name, encoder, style_follow_rate=style_follow_rate)
