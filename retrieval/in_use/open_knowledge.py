"""Choose saved adapters by a few examples: Open Knowledge (arXiv 2408.15915).

B batch, D width of the vectors.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from retrieval.experts.paper import MethodOptions, Paper
from retrieval.in_use.base import InUse, answered
from retrieval.tower import TowerInputs
from retrieval.uni_retrieval import UniRetrieval

__all__ = ["OpenKnowledge"]


class OpenKnowledge(InUse):
    """Of the encoder and the others, the best on a few examples are used, if they differ.

    `observe` scores each by R@1 on the examples, whose targets are the right figures' vectors. One
    that is not above chance is rejected. Each further choice has the best score less its likeness
    to those chosen before. Queries get the mean of the chosen ones' vectors.
    """

    paper = Paper(
        "Open Knowledge",
        "2408.15915",
        "K-shot selection by performance and diversity",
        "the chosen ones' vectors are averaged; they are not tuned further as one mixture",
    )
    needs_others = True

    class Options(MethodOptions):
        """What this method alone needs."""

        keep: int = Field(2, ge=1, description="Encoders that are used at most.")
        diversity: float = Field(0.5, ge=0, description="Weight of likeness against R@1.")

    options: Options

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.chosen: list[UniRetrieval] = [self.encoder]

    @torch.no_grad()
    def observe(self, inputs: TowerInputs, targets_BD: Tensor) -> None:
        candidates = [self.encoder, *self.others]
        vectors = [c.forward_image(inputs).vectors_BD for c in candidates]
        recall = [float(answered(v, targets_BD).float().mean()) for v in vectors]
        chance = 1 / len(targets_BD)
        open_ = [i for i, r in enumerate(recall) if r > chance]
        picked: list[int] = []
        while open_ and len(picked) < self.options.keep:
            best = max(open_, key=lambda i: recall[i] - self._likeness(vectors, i, picked))
            picked.append(best)
            open_.remove(best)
        self.chosen = [candidates[i] for i in picked] or [self.encoder]

    def _likeness(self, vectors: list[Tensor], i: int, picked: list[int]) -> float:
        if not picked:
            return 0.0
        cosines = [float((vectors[i] * vectors[j]).sum(-1).mean()) for j in picked]
        return float(self.options.diversity * max(cosines))

    @torch.no_grad()
    def encode(self, inputs: TowerInputs) -> Tensor:
        vectors = [c.forward_image(inputs).vectors_BD for c in self.chosen]
        return (
            vectors[0] if len(vectors) == 1 else F.normalize(torch.stack(vectors).mean(0), dim=-1)
        )

    def reset(self) -> None:
        self.chosen = [self.encoder]
