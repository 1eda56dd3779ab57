"""Trained encoders on the Hugging Face Hub: push a folder, pull a repository."""

from __future__ import annotations

from pathlib import Path

from data.errors import BadInput, Missing
from retrieval.checkpoint import ModelCard, read_card
from unirag.models.download import fetch_hub
from unirag.models.source import HubSource, ModelSource

__all__ = ["pull_encoder", "push_encoder"]

_CARD = "README.md"
_FILES = ("config.json", "model.safetensors", _CARD)


def push_encoder(folder: Path, target: str, *, private: bool = True) -> str:
    """Upload the encoder in `folder` to `hub:org/name` and return the repository's address.

    A model card is written into the folder if there is none. Only the card, the configuration and
    the weights are uploaded. Raise `BadInput` for another folder or target, and `Missing` if the
    Hub refuses.
    """
    import huggingface_hub
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    source, card = _hub_source(target), read_card(folder)
    if not (folder / _CARD).exists():
        (folder / _CARD).write_text(_model_card(card), encoding="utf-8")
    api = huggingface_hub.HfApi()
    try:
        api.create_repo(source.repo, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=source.repo,
            folder_path=folder,
            allow_patterns=list(_FILES),
            revision=source.revision or None,
            commit_message=f"Upload the encoder {card.name}",
        )
    except (HTTPError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise Missing(
            f"{source}: the Hub refused the upload ({type(error).__name__}: {reason}); check the "
            "name, the network and `hf auth login`"
        ) from error
    return str(source)


def pull_encoder(target: str, folder: Path) -> ModelCard:
    """Download the encoder `hub:org/name` into `folder` and return its card.

    Raise `BadInput` if the repository has no encoder, and `Missing` if the Hub is out of reach.
    """
    source = _hub_source(target)
    folder.mkdir(parents=True, exist_ok=True)
    fetch_hub(source, "encoder", folder, lambda *_: None)
    return read_card(folder)


def _hub_source(target: str) -> HubSource:
    source = ModelSource.parse(target)
    if not isinstance(source, HubSource):
        raise BadInput(f"{target}: expected a repository of the Hub, such as hub:org/name")
    return source


def _model_card(card: ModelCard) -> str:
    """Return the README of a repository that has none yet."""
    tower = card.tower if isinstance(card.tower, str) else "unirag's mini tower"
    depth = card.encoder.depth
    mixture = (
        "none" if depth is None else f"{depth.router} over {depth.experts} {depth.parameterisation}"
    )
    return (
        "---\nlibrary_name: unirag\ntags: [image-retrieval, mixture-of-lora-experts]\n---\n\n"
        f"# {card.name}\n\n"
        f"An image encoder for unirag on {tower}. Experts in depth: {mixture}. Trained styles: "
        f"{', '.join(card.styles) or 'none'}.\n\n"
        "Use it with `unirag encoder pull hub:ORG/NAME --out FOLDER` and `encoder: FOLDER` in "
        "unirag.yaml. Say here what it was trained on, how well it finds what, and its licence.\n"
    )
