"""The nearest centroid wins: MixER (arXiv 2502.05335, k-means gating)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.routers.base import Router, Routing

__all__ = ["MixERRouter"]


class MixERRouter(Router):
    """Top 1 by k-means on the prototypes; nothing of the router is trained by gradient.

    The first training batch gives the centroids, each the input farthest from those before. After
    every step they move towards the mean of the inputs that chose them.
    """

    paper = Paper(
        "MixER", "2502.05335", "k-means gating", "no least squares step: an update by moving means"
    )
    sparse = True
    shiftable = False

    class Options(MethodOptions):
        """What this method alone needs."""

        rate: float = Field(0.1, gt=0, le=1, description="How far a step moves the centroids.")

    options: Options

    def __init__(self, config: ExpertConfig, width: int, experts: int) -> None:
        super().__init__(config, width, experts)
        del self.weight
        self.centroids_ED: Tensor
        self.started: Tensor
        self.register_buffer("centroids_ED", torch.randn(experts, width) * width**-0.5)
        self.register_buffer("started", torch.zeros(()))
        self._inputs_MD: Tensor | None = None

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if config.routed_by != "prototype":
            return "clusters prototypes; set routed_by: prototype"
        return None

    def forward(self, h_XD: Tensor, served_XE: Tensor | None = None) -> Routing:
        h_MD = h_XD.detach().float().reshape(-1, h_XD.shape[-1])
        if self.training:
            if not self.started:
                self._start(h_MD)
            self._inputs_MD = h_MD
        nearest_M = torch.cdist(h_MD, self.centroids_ED).argmin(-1)
        gates_ME = torch.nn.functional.one_hot(nearest_M, self.experts).float()
        gates_XE = gates_ME.reshape(*h_XD.shape[:-1], self.experts)
        return Routing(gates_XE, gates_XE.new_zeros(()))

    def _start(self, h_MD: Tensor) -> None:
        chosen = [0]
        for _ in range(1, min(self.experts, len(h_MD))):
            distance_M = torch.cdist(h_MD, h_MD[chosen]).amin(-1)
            chosen.append(int(distance_M.argmax()))
        self.centroids_ED[: len(chosen)] = h_MD[chosen]
        self.started.fill_(1)

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the centroids towards the inputs of the last training step."""
        if self._inputs_MD is None:
            return
        nearest_M = torch.cdist(self._inputs_MD, self.centroids_ED).argmin(-1)
        for e in nearest_M.unique().tolist():
            mean_D = self._inputs_MD[nearest_M == e].mean(0)
            self.centroids_ED[e].lerp_(mean_D, self.options.rate)
        self._inputs_MD = None
