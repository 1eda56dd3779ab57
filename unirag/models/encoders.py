"""The image encoder of a profile, put together from the models on disk."""

from __future__ import annotations

from pathlib import Path

import torch

from data.errors import BadInput
from retrieval.checkpoint import Card, load, read_card
from retrieval.efficientnet import EfficientNetLite0
from retrieval.encoder import TextRetriever
from retrieval.experts import MoELoRALinear
from retrieval.mini import MiniConfig, MiniTower
from retrieval.serving import UniEncoder
from retrieval.tower import Tower
from retrieval.uni import UniConfig, UniRetrieval

__all__ = ["mini_encoder", "mini_tower", "openclip_encoder"]


def mini_tower(
    card: Card, cnn: EfficientNetLite0 | None = None, sentences: TextRetriever | None = None
) -> MiniTower:
    """The tower of a checkpoint before its weights are loaded; what is frozen is needed to serve.

    Raises `BadInput` for a checkpoint that stands on another tower.
    """
    if not isinstance(card.tower, MiniConfig):
        raise BadInput(
            f"encoder {card.name}: stands on {card.tower}, not on the mini tower; use the profile "
            "that it was trained with"
        )
    return MiniTower(card.tower, cnn, sentences)


def mini_encoder(
    folder: Path,
    cnn: EfficientNetLite0,
    sentences: TextRetriever,
    device: str,
    follow: float = 0.0,
) -> UniEncoder:
    """The checkpoint in `folder`."""
    card = read_card(folder)
    encoder = load(folder, lambda card: mini_tower(card, cnn, sentences))
    return UniEncoder(card.name, encoder.to(device), follow=follow)


def openclip_encoder(
    name: str,
    model: Path,
    trained: Path | None,
    cnn: EfficientNetLite0,
    sentences: TextRetriever,
    device: str,
    dtype: torch.dtype,
    follow: float = 0.0,
) -> UniEncoder:
    """An OpenCLIP model: with what was trained around it in `trained`, or plain."""
    from retrieval.openclip import OpenClipTower

    tower = OpenClipTower(name, model, cnn, sentences, device, dtype)
    if trained is None:
        config = UniConfig(bank=None, sentence=sentences.width)
        return UniEncoder(name, UniRetrieval(tower, config).to(device))

    def checked(card: Card) -> Tower:
        if card.tower != name:
            raise BadInput(f"{trained}: was trained around {card.tower}, this profile has {name}")
        return tower

    card = read_card(trained)
    encoder = load(trained, checked).to(device)
    for module in encoder.modules():
        if isinstance(module, MoELoRALinear):
            module.match()
    return UniEncoder(card.name, encoder, follow=follow)
