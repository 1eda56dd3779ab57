"""A vector added to the routers' logits at test time: Rewiring Experts on the Fly (2510.14853).

B batch, G gallery, F candidates of a router.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.registry import load
from retrieval.in_use.base import InUse
from retrieval.tower import TowerInputs

__all__ = ["Rewiring"]


class Rewiring(InUse):
    """`observe` moves one vector per router, without labels; the targets are the whole gallery.

    The loss is the entropy of a query's similarities to the gallery, less that of their mean:
    queries should be certain, and not all of the same figure. No weight changes.
    """

    paper = Paper(
        "Rewiring Experts on the Fly",
        "2510.14853",
        "additive vectors on router logits, reset",
        "an encoder predicts no next token; certainty about the gallery takes its place",
    )

    labelled = False

    class Options(MethodOptions):
        """What this method alone needs."""

        steps: int = Field(5, ge=1, description="Gradient steps per observed batch.")
        lr: float = Field(0.1, gt=0, description="Learning rate of the vectors.")
        temperature: float = Field(0.05, gt=0, description="Divisor of the cosines.")

    options: Options

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if not load("router", config.router).shiftable or config.parameterisation in (
            "flylora",
            "mora",
        ):
            return "shifts router logits, and this mixture has none; use router=softmax"
        return None

    def observe(self, inputs: TowerInputs, targets_BD: Tensor) -> None:
        routers = [layer.experts.router for layer in self.encoder.depth_layers()]
        shifts = []
        for router in routers:
            assert router is not None
            if router.shift_F is None:
                router.shift_F = router.weight.new_zeros(len(router.weight))
            router.shift_F.requires_grad_(True)
            shifts.append(router.shift_F)
        optimizer = torch.optim.Adam(shifts, lr=self.options.lr)
        for _ in range(self.options.steps):
            gradients = torch.autograd.grad(self.uncertainty(inputs, targets_BD), shifts)
            for shift_F, gradient in zip(shifts, gradients, strict=True):
                shift_F.grad = gradient
            optimizer.step()
        for shift_F in shifts:
            shift_F.requires_grad_(False)

    def uncertainty(self, inputs: TowerInputs, gallery_GD: Tensor) -> Tensor:
        """Return the loss: the mean entropy of single queries less the entropy of their mean."""
        vectors_BD = self.encoder.forward_image(inputs).vectors_BD
        share_BG = (vectors_BD @ gallery_GD.T / self.options.temperature).softmax(-1)
        mean_G = share_BG.mean(0)
        single = -(share_BG * share_BG.clamp_min(1e-9).log()).sum(-1).mean()
        return single + (mean_G * mean_G.clamp_min(1e-9).log()).sum()

    def reset(self) -> None:
        for layer in self.encoder.depth_layers():
            if layer.experts.router is not None:
                layer.experts.router.shift_F = None
