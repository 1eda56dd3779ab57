"""Experts and router keep learning from a stream: DriftMoE (arXiv 2507.18464).

B batch, E experts, D width of the vectors.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.in_use.base import InUse, answered, expert_parameters
from retrieval.tower import TowerInputs

__all__ = ["DriftMoE"]


class DriftMoE(InUse):
    """Every observed batch teaches the routers which experts were right, and the experts the task.

    An expert is right about a picture if it alone ranks the picture's own target first. The routers
    learn this mask, so they follow when the stream drifts.
    """

    paper = Paper(
        "DriftMoE",
        "2507.18464",
        "multi-hot correctness mask, joint online updates",
        "experts are LoRA experts of one encoder instead of Hoeffding trees",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        lr: float = Field(1e-2, gt=0, description="Learning rate of every update.")
        temperature: float = Field(0.05, gt=0, description="Divisor of the cosines.")

    options: Options

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._parameters = [p for p in expert_parameters(self.encoder) if p.requires_grad]
        self._before = [p.detach().clone() for p in self._parameters]
        self._optimizer = torch.optim.Adam(self._parameters, lr=self.options.lr)

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if config.routed_by != "prototype" or config.parameterisation in ("flylora", "mora"):
            return "teaches routers of whole pictures; use routed_by: prototype"
        if config.router == "mixer":
            return "teaches routers, and k-means has no gradient; use router=softmax"
        return None

    @torch.no_grad()
    def correct(self, inputs: TowerInputs, targets_BD: Tensor) -> Tensor:
        """Return the mask (B, E): which expert alone answers which picture."""
        layers = self.encoder.depth_layers()
        columns = []
        for e in range(max(layer.experts.count for layer in layers)):
            alone = {
                layer.name: F.one_hot(
                    torch.tensor(min(e, layer.experts.count - 1)), layer.experts.count
                )
                .to(targets_BD)
                .expand(len(targets_BD), -1)
                for layer in layers
            }
            with self.encoder.route.overriding(alone):
                vectors_BD = self.encoder.forward_image(inputs).vectors_BD
            columns.append(answered(vectors_BD, targets_BD))
        return torch.stack(columns, dim=1)

    def observe(self, inputs: TowerInputs, targets_BD: Tensor) -> None:
        right_BE = self.correct(inputs, targets_BD).float()
        encoded = self.encoder.forward_image(inputs)
        logits_BB = encoded.vectors_BD @ targets_BD.T / self.options.temperature
        loss = F.cross_entropy(logits_BB, torch.arange(len(logits_BB), device=logits_BB.device))
        for gates_BE in self.encoder.route.taught.values():
            share_BE = gates_BE / gates_BE.sum(-1, keepdim=True).clamp_min(1e-6)
            known_BE = right_BE[:, : share_BE.shape[-1]]
            mass_B = (share_BE * known_BE).sum(-1).clamp_min(1e-6)
            loss = loss - (mass_B.log() * (known_BE.sum(-1) > 0)).mean()
        gradients = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        self._optimizer.step()
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def reset(self) -> None:
        for parameter, before in zip(self._parameters, self._before, strict=True):
            parameter.copy_(before)
        self._optimizer = torch.optim.Adam(self._parameters, lr=self.options.lr)
