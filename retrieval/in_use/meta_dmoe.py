"""A student distilled from per-style teachers without labels: Meta-DMoE (arXiv 2210.03885).

B batch, D width of the vectors, T teachers.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from retrieval.experts.paper import MethodOptions, Paper
from retrieval.in_use.base import InUse, expert_parameters
from retrieval.tower import TowerInputs

__all__ = ["MetaDMoE"]


class MetaDMoE(InUse):
    """`observe` pulls the encoder's vectors towards those of its teachers, on unlabelled pictures.

    A teacher counts by how certain it is about the targets, which are vectors of any figures. Only
    experts and routers of the student learn; `reset` restores them.
    """

    paper = Paper(
        "Meta-DMoE",
        "2210.03885",
        "distillation from domain experts at test time",
        "certainty weights the teachers; there is no meta-learnt aggregator",
    )
    needs_others = True
    labelled = False

    class Options(MethodOptions):
        """What this method alone needs."""

        steps: int = Field(5, ge=1, description="Gradient steps per observed batch.")
        lr: float = Field(1e-2, gt=0, description="Learning rate of the student's experts.")
        temperature: float = Field(0.05, gt=0, description="Divisor of the cosines.")

    options: Options

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._parameters = expert_parameters(self.encoder)
        self._before = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def teach(self, inputs: TowerInputs, figures_GD: Tensor) -> Tensor:
        """Return the teachers' joint vectors (B, D)."""
        vectors_TBD = torch.stack([t.forward_image(inputs).vectors_BD for t in self.others])
        share_TBG = (vectors_TBD @ figures_GD.T / self.options.temperature).softmax(-1)
        entropy_TB = -(share_TBG * share_TBG.clamp_min(1e-9).log()).sum(-1)
        weight_TB = (-entropy_TB).softmax(0)
        return F.normalize((weight_TB[..., None] * vectors_TBD).sum(0), dim=-1)

    def observe(self, inputs: TowerInputs, targets_BD: Tensor) -> None:
        taught_BD = self.teach(inputs, targets_BD)
        trained = [p for p in self._parameters if p.requires_grad]
        optimizer = torch.optim.Adam(trained, lr=self.options.lr)
        for _ in range(self.options.steps):
            vectors_BD = self.encoder.forward_image(inputs).vectors_BD
            loss = (1 - (vectors_BD * taught_BD).sum(-1)).mean()
            gradients = torch.autograd.grad(loss, trained, allow_unused=True)
            for parameter, gradient in zip(trained, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
        for parameter in trained:
            parameter.grad = None

    @torch.no_grad()
    def reset(self) -> None:
        for parameter, before in zip(self._parameters, self._before, strict=True):
            parameter.copy_(before)
