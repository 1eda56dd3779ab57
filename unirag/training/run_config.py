"""The configuration file of `unirag train`, and which combinations it may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data.errors import BadInput
from data.styles import SEEN_STYLES
from retrieval.encoder import ORIGINAL
from retrieval.experts.paper import MethodOptions
from retrieval.experts.registry import load
from retrieval.mini_tower import MiniConfig
from retrieval.model_card import SHIPPED_ENCODER
from retrieval.training.config import TrainConfig
from retrieval.training.methods import Method, methods
from retrieval.uni_retrieval import UniConfig
from unirag.training.presets import preset_text

__all__ = [
    "CompressionConfig",
    "RunConfig",
    "TrainingBook",
    "chosen_method",
    "config_text",
    "read_config",
]


class CompressionConfig(BaseModel):
    """A compression that follows the training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    options: Mapping[str, Any] = {}

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        self.parsed_options()
        return self

    def parsed_options(self) -> MethodOptions:
        """Return the options as the method declares them."""
        options: MethodOptions = load("compression", self.method).Options.model_validate(
            self.options
        )
        return options


class TrainingBook(BaseModel):
    """A corpus to train on. `figures` is the largest number of figures to draw from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    figures: int = Field(1000, ge=2)


class RunConfig(BaseModel):
    """The configuration file of `unirag train`.

    Figures that also occur in a `held_out` book are left out. Training queries are restyled figures
    in `styles`; `original` is an unchanged figure. `drawings` is a folder of real drawings with
    their figures (`data/drawing_pairs.py`); a fifth of the writers is left out, for tests. `start`
    is a checkpoint whose tower is the starting point, or "shipped" for ours; without it the mini
    tower starts from random weights.

    `manifest` adds pairs of one's own (`data/manifest.py`), in styles of any name; its rows of the
    split "validation" are evaluated like a `validation` book.

    `image_model` is the source of an OpenCLIP model to train around, in place of the profile's.
    `encoder` is any combination of components, in place of the one that `train.method` names.
    `validation` is a book, left out of training, whose R@1 chooses the best weights.
    `adapters` are checkpoints with one expert each, or adapters of PEFT; they become the experts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9]+([-.][a-z0-9]+)*$")
    books: tuple[TrainingBook, ...] = ()
    manifest: Path | None = None
    held_out: tuple[Path, ...] = ()
    drawings: Path | None = None
    styles: tuple[str, ...] = Field(SEEN_STYLES, min_length=1)
    start: Path | None = None
    image_model: str | None = None
    tower: MiniConfig = MiniConfig()
    views_seed: int = 0
    encoder: UniConfig | None = None
    adapters: tuple[Path, ...] = ()
    validation: TrainingBook | None = None
    compression: CompressionConfig | None = None
    train: TrainConfig = TrainConfig()


def read_config(
    path: Path | None, preset: str | None = None, manifest: Path | None = None
) -> RunConfig:
    """Read a configuration, whose paths are relative to it, laid over a preset if one is named.

    `manifest` takes the place of its manifest. Raise `BadInput` with the wrong key.
    """
    values = _read_values(path)
    if preset is not None:
        values = _overlaid(yaml.safe_load(preset_text(preset)), values)
    if manifest is not None:
        values = _overlaid(values, {"manifest": str(manifest.resolve())})
    return _checked(path or Path(f"preset {preset}"), values)


def config_text(path: Path | None, preset: str) -> str:
    """Return a preset as YAML with its comments, or without them laid under a configuration."""
    text = preset_text(preset)
    values = _read_values(path)
    if not values:
        return text
    return yaml.safe_dump(_overlaid(yaml.safe_load(text), values), sort_keys=False)


def _overlaid(below: Any, above: Any) -> Any:
    """Return the values of two mappings; those of `above` win."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: _overlaid(below.get(key), value) for key, value in above.items()}


def _read_values(path: Path | None) -> Any:
    """Return the values of a YAML file; none without a file."""
    if path is None:
        return {}
    try:
        return yaml.safe_load(path.read_text())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: not YAML ({str(error).splitlines()[0]})") from None


def _checked(path: Path, values: Any) -> RunConfig:
    """Return the configuration of a file's values, with absolute paths."""
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadInput(f"{path}: {field}: {first['msg']}; see docs/training.md") from None
    if config.train.method not in (known := methods()):
        raise BadInput(
            f"{path}: train.method: {config.train.method!r} is not known; expected one of "
            + ", ".join(known)
        )
    if reason := _refusal(config):
        raise BadInput(f"{path}: {reason}")
    folder = path.resolve().parent
    if unknown := set(config.styles) - {ORIGINAL, *SEEN_STYLES}:
        raise BadInput(
            f"{path}: styles: {min(unknown)!r} cannot be trained on; expected some of "
            + ", ".join((ORIGINAL, *SEEN_STYLES))
        )
    return config.model_copy(
        update={
            "books": tuple(b.model_copy(update={"path": folder / b.path}) for b in config.books),
            "held_out": tuple(folder / p for p in config.held_out),
            "manifest": folder / config.manifest if config.manifest else None,
            "drawings": folder / config.drawings if config.drawings else None,
            "validation": config.validation
            and config.validation.model_copy(update={"path": folder / config.validation.path}),
            "start": _start(folder, config.start) if config.start else None,
            "adapters": tuple(folder / p for p in config.adapters),
        }
    )


def _start(folder: Path, start: Path) -> Path:
    """Return the folder of a checkpoint to start from; "shipped" is ours."""
    return SHIPPED_ENCODER if start == Path("shipped") else folder / start


def chosen_method(config: RunConfig) -> Method:
    """Return what a run trains: its own combination, or the method that it names."""
    if config.encoder is not None:
        return Method(config.name, config.encoder)
    return methods()[config.train.method]


def _refusal(config: RunConfig) -> str | None:
    """Return why a run cannot be done, with what to change; None if it can."""
    if config.encoder is not None and "method" in config.train.model_fields_set:
        return "encoder and train.method: both say what is trained; leave one of them out"
    method = chosen_method(config)
    depth = method.config.depth
    if config.train.norm_steps and (config.train.norm_steps >= config.train.steps):
        return "train.norm_steps: leaves no step for bank and experts; raise train.steps"
    if config.train.norm_steps and method.config.bank is None and depth is None:
        return "train.norm_steps: there is nothing to train after the LayerNorms; set it to 0"
    if config.image_model is not None and config.start is not None:
        return "start: is the tower of another run; with image_model leave it out"
    if method.in_use is not None:
        return (
            f"train.method: {config.train.method!r} adapts a trained encoder while it serves; "
            "train depth, then use retrieval/in_use"
        )
    if method.config.compressed is not None:
        return "encoder.compressed: is a result; set `compression` to compress after training"
    if method.needs_adapters and not config.adapters:
        return (
            f"router={depth.router if depth else ''}: mixes adapters that are trained before; set "
            "adapters to one checkpoint per expert, each trained with depth.experts=1"
        )
    if config.adapters and (depth is None or depth.parameterisation != "lora"):
        return "adapters: become the experts of depth with parameterisation=lora; set it so"
    if not config.books and config.manifest is None:
        return "books: expected at least 1 book, or a manifest"
    if config.train.patience is not None and config.validation is None and config.manifest is None:
        return "train.patience: stops by the validation score; set validation to a book"
    recomputable = depth is None or load("router", depth.router).recomputable
    if config.train.gradient_checkpointing and depth is not None and not recomputable:
        return (
            f"router={depth.router}: carries a state over layers, which cannot be recomputed; set "
            "train.gradient_checkpointing: false"
        )
    if config.compression is not None:
        if depth is None:
            return "compression: there are no depth experts to compress"
        if reason := load("compression", config.compression.method).refusal(depth):
            return f"compression={config.compression.method}: {reason}"
    return None
