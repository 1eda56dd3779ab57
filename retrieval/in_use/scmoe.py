"""Strong routing minus weak routing: SCMoE (arXiv 2405.14507, self-contrast).

B batch, D width of the vectors, E experts.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from retrieval.experts.paper import MethodOptions, Paper
from retrieval.in_use.base import InUse
from retrieval.tower import TowerInputs

__all__ = ["SelfContrast"]


class SelfContrast(InUse):
    """The vector moves away from the one of a weak routing: v + strength (v - v_weak).

    The weak routing takes only the expert of one rank of the gates (the second by default). With
    strength 0 nothing is computed twice and the vectors are exactly the encoder's.
    """

    paper = Paper(
        "SCMoE",
        "2405.14507",
        "contrast of strong and weak activation",
        "vectors are contrasted, where the paper contrasts logits of the next token",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        strength: float = Field(0.2, ge=0, description="How far the vector moves.")
        weak_rank: int = Field(2, ge=1, description="Rank of the expert of the weak routing.")

    options: Options

    @torch.no_grad()
    def encode(self, inputs: TowerInputs) -> Tensor:
        encoded = self.encoder.forward_image(inputs)
        if not self.options.strength:
            return encoded.vectors_BD
        weak = {}
        for layer in self.encoder.depth_layers():
            gates = encoded.gates[layer.name]
            rank = min(self.options.weak_rank, gates.shape[-1])
            chosen = gates.topk(rank, dim=-1).indices[..., -1:]
            total = gates.sum(-1, keepdim=True)
            weak[layer.name] = torch.zeros_like(gates).scatter(-1, chosen, total)
        with self.encoder.route.overriding(weak):
            weak_BD = self.encoder.forward_image(inputs).vectors_BD
        moved_BD = encoded.vectors_BD + self.options.strength * (encoded.vectors_BD - weak_BD)
        return F.normalize(moved_BD, dim=-1)
