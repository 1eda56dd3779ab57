"""The settings of a training run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TrainConfig"]


class TrainConfig(BaseModel):
    """One training run. Each step uses its figures as originals, restyled, and as words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(
        "depth", description="What is trained (`methods` in `retrieval/training/methods.py`)."
    )
    seed: int = Field(0, ge=0, description="Seed of batches and of new weights.")
    steps: int = Field(400, ge=1, description="Steps of the optimiser.")
    norm_steps: int = Field(
        0, ge=0, description="First steps, which train LayerNorms alone; the others then rest."
    )
    figures: int = Field(96, ge=2, description="Figures per step and process.")
    lr: float = Field(1e-3, gt=0, description="Highest learning rate of AdamW.")
    weight_decay: float = Field(0.05, ge=0, description="Weight decay of matrices.")
    warmup: int = Field(50, ge=0, description="Steps in which the learning rate rises.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    loss: Literal["infonce", "triplet"] = Field("infonce", description="The contrastive loss.")
    margin: float = Field(1.0, gt=0, description="Margin of the triplet loss, in cosine.")
    words_weight: float = Field(0.5, ge=0, description="Weight of the loss of texts and pictures.")
    style_weight: float = Field(
        0.1, ge=0, description="Weight of the loss of prototypes and style centres."
    )
    hard_negative_share: float = Field(
        0.5, ge=0, le=0.5, description="Share of a batch that are near neighbours of the others."
    )
    patch_dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of patches that the mini tower leaves out."
    )
    full_patches_share: float = Field(
        0.2, ge=0, le=1, description="Share of the steps, the last ones, without patch dropout."
    )
    gradient_checkpointing: bool = Field(
        False, description="Recompute activations in backward, which takes time and saves memory."
    )
    save_every: int = Field(100, ge=1, description="Steps between checkpoints.")
    patience: int | None = Field(
        None, ge=1, description="Evaluations without a better score before training stops."
    )
    evaluate_every: int = Field(200, ge=1, description="Steps between evaluations.")
