"""Gates mixed from successful neighbours: C3PO (arXiv 2504.07964, kernel regression variant).

B batch, E experts, M memory, K prototype width.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.in_use.base import InUse, answered
from retrieval.tower import TowerInputs

__all__ = ["C3PO"]


class C3PO(InUse):
    """A query takes over part of the gates of like pictures that were answered rightly.

    `observe` keeps the pictures whose own figure came first; the targets are the figures' vectors.
    No weight changes.
    """

    paper = Paper(
        "C3PO",
        "2504.07964",
        "kernel regression on successful neighbours, critical layers",
        "no gradient steps on the neighbours' loss",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        neighbours: int = Field(4, ge=1, description="Neighbours that are mixed.")
        share: float = Field(0.5, ge=0, le=1, description="Share of the neighbours' gates.")
        critical: int = Field(8, ge=1, description="Layers that are mixed, counted from the last.")

    options: Options

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._keys: list[Tensor] = []
        self._gates: dict[str, list[Tensor]] = {}

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if config.routed_by != "prototype" or config.parameterisation in ("flylora", "mora"):
            return "mixes gates of whole pictures; use routed_by: prototype"
        return None

    @torch.no_grad()
    def observe(self, inputs: TowerInputs, targets_BD: Tensor) -> None:
        encoded = self.encoder.forward_image(inputs)
        right_B = answered(encoded.vectors_BD, targets_BD)
        self._keys.append(encoded.prototypes_BK[right_B])
        for name, gates_BE in encoded.gates.items():
            self._gates.setdefault(name, []).append(gates_BE[right_B])

    @torch.no_grad()
    def encode(self, inputs: TowerInputs) -> Tensor:
        encoded = self.encoder.forward_image(inputs)
        keys_MK = torch.cat(self._keys) if self._keys else encoded.prototypes_BK[:0]
        if not len(keys_MK):
            return encoded.vectors_BD
        count = min(self.options.neighbours, len(keys_MK))
        cosine_Bn, nearest_Bn = (encoded.prototypes_BK @ keys_MK.T).topk(count, dim=-1)
        weight_Bn = (cosine_Bn / 0.1).softmax(-1)
        critical = [layer.name for layer in self.encoder.depth_layers()][-self.options.critical :]
        mixed = {}
        for name in critical:
            neighbours_BnE = torch.cat(self._gates[name])[nearest_Bn]
            neighbours_BE = torch.einsum("bn,bne->be", weight_Bn, neighbours_BnE)
            mixed[name] = torch.lerp(encoded.gates[name], neighbours_BE, self.options.share)
        with self.encoder.route.overriding(mixed):
            return self.encoder.forward_image(inputs).vectors_BD

    def reset(self) -> None:
        self._keys, self._gates = [], {}
