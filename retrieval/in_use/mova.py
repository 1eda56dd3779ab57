"""A coarse choice among towers before any runs: MoVA (arXiv 2404.13046, context-aware routing).

B batch, D width of the vectors, K prototype width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from retrieval.experts.paper import Paper
from retrieval.in_use.base import InUse
from retrieval.tower import TowerInputs

__all__ = ["MoVA"]


class MoVA(InUse):
    """The query's prototype chooses one encoder, and only that one is run.

    `observe` gives each encoder a key: the mean prototype of the pictures that it places nearest to
    their targets. All encoders need vectors in one space; the first one's prototypes choose.
    """

    paper = Paper(
        "MoVA",
        "2404.13046",
        "coarse-grained choice of vision experts",
        "prototypes choose instead of a language model; no fine-grained fusion after it",
    )
    needs_others = True

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.towers = [self.encoder, *self.others]
        self._sums: list[Tensor | None] = [None] * len(self.towers)

    @torch.no_grad()
    def observe(self, inputs: TowerInputs, targets_BD: Tensor) -> None:
        prototypes_BK = self.encoder.prototypes.from_gram(inputs.features_BG)
        likeness = [(t.forward_image(inputs).vectors_BD * targets_BD).sum(-1) for t in self.towers]
        best_B = torch.stack(likeness).argmax(0)
        for i, total in enumerate(self._sums):
            if (rows_B := best_B == i).any():
                seen_K = prototypes_BK[rows_B].sum(0)
                self._sums[i] = seen_K if total is None else total + seen_K

    @torch.no_grad()
    def choose(self, inputs: TowerInputs) -> Tensor:
        """Return the encoder (B) of each picture."""
        prototypes_BK = self.encoder.prototypes.from_gram(inputs.features_BG)
        cosines = [
            torch.full_like(prototypes_BK[:, 0], -torch.inf)
            if key is None
            else prototypes_BK @ F.normalize(key, dim=0)
            for key in self._sums
        ]
        return torch.stack(cosines).argmax(0)

    @torch.no_grad()
    def encode(self, inputs: TowerInputs) -> Tensor:
        tower_B = self.choose(inputs)
        vectors_BD = torch.zeros(len(tower_B), self.encoder.tower.width, device=tower_B.device)
        for i in tower_B.unique().tolist():
            rows_B = tower_B == i
            part = TowerInputs(inputs.inputs[rows_B], inputs.features_BG[rows_B])
            vectors_BD[rows_B] = self.towers[i].forward_image(part).vectors_BD
        return vectors_BD

    def reset(self) -> None:
        self._sums = [None] * len(self.towers)
