"""The settings of a training run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TrainConfig"]


class TrainConfig(BaseModel):
    """One run. `figures` per step and process, each as it is, restyled, and in words.

    `words_weight`, `style_weight` weigh the loss of text against pictures and that of prototypes
    against style centres. `patch_dropout` is the share of patches that the mini tower leaves out, but for
    the last `full_patches_share` of the steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = "depth"
    seed: int = Field(0, ge=0)
    steps: int = Field(400, ge=1)
    figures: int = Field(96, ge=2)
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warmup: int = Field(50, ge=0)
    clip: float = Field(1.0, gt=0)
    loss: Literal["infonce", "triplet"] = "infonce"
    margin: float = Field(1.0, gt=0)
    words_weight: float = Field(0.5, ge=0)
    style_weight: float = Field(0.1, ge=0)
    hard_negative_share: float = Field(0.5, ge=0, le=0.5)  # a neighbour at most for each figure
    patch_dropout: float = Field(0.0, ge=0, lt=1)
    full_patches_share: float = Field(0.2, ge=0, le=1)
    gradient_checkpointing: bool = False
    save_every: int = Field(100, ge=1)
    evaluate_every: int = Field(200, ge=1)
