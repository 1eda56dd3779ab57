"""The base of every method in use.

B batch, D width of the vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Described, MethodOptions
from retrieval.experts.registry import load
from retrieval.tower import TowerInputs
from retrieval.uni_retrieval import UniRetrieval

__all__ = ["InUse", "answered", "build_in_use", "expert_parameters"]


class InUse(Described):
    """Encodes pictures with an encoder and learns from what it has seen, without training runs.

    `others` are further encoders over the same kind of inputs, with vectors in the same space.
    """

    places = ("serving",)
    needs_others = False
    labelled = True  # `observe` gets the vector of each picture's own figure

    def __init__(
        self,
        encoder: UniRetrieval,
        options: MethodOptions | None = None,
        others: Sequence[UniRetrieval] = (),
    ) -> None:
        assert bool(others) or not self.needs_others, "needs further encoders"
        self.encoder, self.others = encoder.eval(), [other.eval() for other in others]
        self.options: Any = self.Options() if options is None else options

    def observe(self, inputs: TowerInputs, targets_BD: Tensor) -> None:
        """Learn from pictures and unit vectors: see each method for what the vectors are."""

    @torch.no_grad()
    def encode(self, inputs: TowerInputs) -> Tensor:
        """Return unit vectors (B, D)."""
        return self.encoder.forward_image(inputs).vectors_BD

    def reset(self) -> None:
        """Forget everything: the encoder is again exactly what it was."""


def build_in_use(
    name: str,
    encoder: UniRetrieval,
    options: MethodOptions | None = None,
    others: Sequence[UniRetrieval] = (),
) -> InUse:
    """Build a method in use. Raises `ValueError` if it does not fit the encoder."""
    kind: type[InUse] = load("in_use", name)
    depth: ExpertConfig | None = encoder.config.depth
    reason = kind.refusal(depth) if depth is not None else "the encoder has no depth experts"
    if depth is None and kind.needs_others:
        reason = None
    if kind.needs_others and not others:
        reason = "chooses among several encoders; give further ones"
    if reason is not None:
        raise ValueError(f"in_use={name}: {reason}")
    return kind(encoder, options, others)


def answered(vectors_BD: Tensor, targets_BD: Tensor) -> Tensor:
    """Return a mask (B) of the rows whose own target is the nearest of all targets."""
    nearest_B = (vectors_BD @ targets_BD.T).argmax(-1)
    return nearest_B == torch.arange(len(vectors_BD), device=vectors_BD.device)


def expert_parameters(encoder: UniRetrieval) -> list[nn.Parameter]:
    """Return the parameters of experts and routers of the depth layers."""
    return [p for layer in encoder.depth_layers() for p in layer.experts.parameters()]
