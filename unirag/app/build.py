"""Builds each model and store of a profile from the settings. Loads from disk only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from generation.openai_chat import OpenAIChat
from retrieval.model_card import SHIPPED_ENCODER

if TYPE_CHECKING:  # they import torch, which would slow `unirag --help` down
    from generation.chat import ChatModel
    from retrieval.cross_encoder import CrossEncoder
    from retrieval.encoder import TextRetriever
    from retrieval.store import Stamp, VectorStore
    from retrieval.uni_encoder import UniEncoder
    from unirag.models.profiles import Profile
    from unirag.models.store import ModelSpec, ModelStore
    from unirag.settings import Settings
    from unirag.workspace.paths import Workspace

__all__ = [
    "OpenStore",
    "build_chat_model",
    "build_entailment",
    "build_image_encoder",
    "build_reranker",
    "build_text_retriever",
    "checkpoint_folder",
    "open_store",
]

_COLLECTION = "unirag"


class OpenStore(Protocol):
    """Opens the collection of a workspace (`open_store`)."""

    def __call__(
        self,
        settings: Settings,
        workspace: Workspace,
        stamp: Stamp | None,
        *,
        replacement: bool = ...,
    ) -> VectorStore: ...


def checkpoint_folder(settings: Settings, profile: Profile) -> Path | None:
    """Return the folder of the trained encoder, or None for a plain OpenCLIP model."""
    return settings.encoder or (SHIPPED_ENCODER if profile.encoder == "mini" else None)


def build_image_encoder(
    settings: Settings,
    profile: Profile,
    models: ModelStore,
    load_text: Callable[[], TextRetriever],
) -> UniEncoder:
    """Load the image encoder of a profile. The text retriever makes its prototypes of words."""
    from retrieval.efficientnet import EfficientNetLite0
    from unirag.models.devices import choose_device, choose_dtype
    from unirag.models.encoders import load_mini_encoder, load_openclip_encoder

    device = choose_device(settings.device)
    cnn = EfficientNetLite0(models.locate(profile.cnn), device)
    checkpoint, follow = checkpoint_folder(settings, profile), settings.follow_styles
    if profile.encoder == "mini":
        assert checkpoint is not None
        return load_mini_encoder(checkpoint, cnn, load_text(), device, follow)
    dtype = choose_dtype(device, settings.dtype)
    folder = models.locate(profile.image)
    return load_openclip_encoder(
        profile.image.name, folder, checkpoint, cnn, load_text(), device, dtype, follow
    )


def build_text_retriever(settings: Settings, profile: Profile, models: ModelStore) -> TextRetriever:
    """Load the text retriever of a profile."""
    from retrieval.sentence_retriever import SentenceRetriever
    from unirag.models.devices import choose_device, choose_dtype

    device = choose_device(settings.device)
    dtype = choose_dtype(device, settings.dtype)
    return SentenceRetriever(profile.text.name, models.locate(profile.text), device, dtype)


def build_reranker(settings: Settings, profile: Profile, models: ModelStore) -> CrossEncoder:
    """Load the reranker of a profile."""
    from retrieval.cross_encoder import RERANKER_WEIGHTS

    return _build_cross_encoder(settings, profile.reranker, RERANKER_WEIGHTS, models)


def build_entailment(settings: Settings, profile: Profile, models: ModelStore) -> CrossEncoder:
    """Load the entailment model of a profile."""
    from retrieval.cross_encoder import ENTAILMENT_WEIGHTS

    return _build_cross_encoder(settings, profile.entailment, ENTAILMENT_WEIGHTS, models)


def _build_cross_encoder(
    settings: Settings, model: ModelSpec, shipped_layers: Path, models: ModelStore
) -> CrossEncoder:
    """Load a model of the Hub, or the layers that we ship over the sentence model `model`."""
    from retrieval.cross_encoder import CrossEncoder
    from unirag.models.devices import choose_device, choose_dtype

    device = choose_device(settings.device)
    dtype = choose_dtype(device, settings.dtype)
    folder = models.locate(model)
    if model.task == "text":
        return CrossEncoder.over_trunk(shipped_layers, folder, device, dtype)
    return CrossEncoder.from_hub_folder(model.name, folder, device, dtype)


def build_chat_model(settings: Settings, profile: Profile, models: ModelStore) -> ChatModel:
    """Return a client of `chat.url` if that is set, else load the language model of the profile."""
    if settings.chat.url:
        key = settings.chat.api_key
        secret = key.get_secret_value() if key else None
        return OpenAIChat(settings.chat.url, settings.chat.model or "default", secret)
    from generation.transformers_chat import TransformersChat
    from unirag.models.devices import choose_device, choose_dtype

    device = choose_device(settings.device)
    dtype = choose_dtype(device, settings.dtype)
    return TransformersChat(profile.chat.name, models.locate(profile.chat), device, dtype)


def open_store(
    settings: Settings, workspace: Workspace, stamp: Stamp | None, *, replacement: bool = False
) -> VectorStore:
    """Open the collection on the Qdrant server of the settings, else the embedded one.

    `stamp` and `replacement` mean what `VectorStore` says.
    """
    if settings.qdrant_url:
        from retrieval.qdrant_server import ServerStore

        key = settings.qdrant_api_key
        return ServerStore.connect(
            settings.qdrant_url,
            key.get_secret_value() if key else None,
            _COLLECTION,
            stamp,
            settings.qdrant,
            settings.quantization,
            replacement=replacement,
        )
    from retrieval.qdrant_embedded import EdgeStore

    return EdgeStore(
        workspace.collection_folder, stamp, settings.quantization, replacement=replacement
    )
