"""The base of every compression, and how a whole encoder is compressed.

E experts before, F after, R rank, K in, N out, X sampled inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from retrieval.experts.compression.compact import CompressedShape, make_compact
from retrieval.experts.config import ExpertConfig
from retrieval.experts.layer import recorded_inputs
from retrieval.experts.paper import Described, MethodOptions
from retrieval.experts.parameterisations import LowRankExperts
from retrieval.experts.registry import load

if TYPE_CHECKING:
    from retrieval.tower import TowerInputs
    from retrieval.uni_retrieval import UniRetrieval

__all__ = ["Calibration", "Compact", "Compression", "compress_encoder", "dense"]


@dataclass(frozen=True)
class Calibration:
    """Inputs of a layer, and the gates of its experts for them."""

    x_XK: Tensor
    gates_XE: Tensor


@dataclass(frozen=True)
class Compact:
    """Experts after a compression. Their gates are `gates_XE @ mix_EF`."""

    a_FRK: Tensor
    b_FNR: Tensor
    mix_EF: Tensor


class Compression(Described):
    """Turns the matrices of one layer's experts into fewer or smaller ones."""

    places = ("after training",)

    def __init__(self, options: MethodOptions | None = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        form = load("parameterisation", config.parameterisation)
        if not (issubclass(form, LowRankExperts) and form.ranked and form.fused):
            return (
                f"compresses matrices A and B, which parameterisation={config.parameterisation} "
                "has not; use parameterisation=lora"
            )
        if form.self_gated:
            return (
                f"parameterisation={config.parameterisation} routes by the matrices that would be "
                "replaced; use parameterisation=lora"
            )
        return None

    def compress(self, a_ERK: Tensor, b_ENR: Tensor, sample: Calibration) -> Compact:
        """Return the experts after the compression."""
        raise NotImplementedError


def dense(a_ERK: Tensor, b_ENR: Tensor) -> Tensor:
    """Return the updates B A of all experts, (E, N, K)."""
    return b_ENR @ a_ERK


@torch.no_grad()
def compress_encoder(
    encoder: UniRetrieval, method: str, options: MethodOptions | None, sample: TowerInputs
) -> None:
    """Compress the experts of every depth layer, in place.

    `sample` are pictures that show which experts matter. Raises `ValueError` if the encoder has no
    experts, or the method does not fit them.
    """
    if encoder.config.depth is None:
        raise ValueError(f"compression={method}: the encoder has no depth experts to compress")
    kind: type[Compression] = load("compression", method)
    if reason := kind.refusal(encoder.config.depth):
        raise ValueError(f"compression={method}: {reason}")
    compression = kind(options)
    encoder.eval()
    layers = encoder.depth_layers()
    with recorded_inputs(layers) as inputs:
        encoded = encoder.forward_image(sample)
    shapes = []
    for layer in layers:
        assert isinstance(layer.experts, LowRankExperts)
        x, gates = inputs[layer.name], encoded.gates[layer.name]
        if gates.ndim < x.ndim:
            gates = gates[:, None].expand(*x.shape[:-1], -1)
        calibration = Calibration(x.flatten(0, -2), gates.flatten(0, -2))
        compact = compression.compress(*layer.experts.matrices(), calibration)
        count, rank = compact.a_FRK.shape[:2]
        shapes.append(CompressedShape(method=method, experts=count, rank=rank))
        make_compact(layer, shapes[-1]).fill(compact)
    encoder.config = encoder.config.model_copy(update={"compressed": tuple(shapes)})
