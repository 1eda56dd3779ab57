"""A state that walks through the layers: RMoE (arXiv 2408.06793, layerwise recurrent router)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.routers.base import Router, Routing, linear_fp32

if TYPE_CHECKING:
    from retrieval.experts.route import Route

__all__ = ["RMoERouter"]


class RMoERouter(Router):
    """A GRU cell takes the layer's input and the state that the layer before left with the route.

    So the gates of a layer depend on the routing of all layers before it.
    """

    paper = Paper(
        "RMoE",
        "2408.06793",
        "layerwise recurrent router",
        "dense gates, and a GRU cell per layer instead of one that all layers share",
    )
    recomputable = False

    class Options(MethodOptions):
        """What this method alone needs."""

        state: int = Field(32, ge=1, description="Width of the state.")

    options: Options

    def __init__(self, config: ExpertConfig, width: int, experts: int) -> None:
        state: int = config.options_of("router").state
        super().__init__(config, state, experts)
        self.cell = nn.GRUCell(width, state)
        self._route: Route | None = None

    def bind(self, route: Route) -> None:
        self._route = route

    def probabilities(self, h_XD: Tensor) -> Tensor:
        h_MD = h_XD.float().reshape(-1, h_XD.shape[-1])
        key = (*h_XD.shape[:-1], self.cell.hidden_size)
        before_MS = None if self._route is None else self._route.memory.get(key)
        with torch.autocast(h_XD.device.type, enabled=False):
            state_MS = self.cell(h_MD, before_MS)
        if self._route is not None and self._route.active:
            self._route.memory[key] = state_MS
        logits_XF = linear_fp32(state_MS, self.weight).reshape(*h_XD.shape[:-1], -1)
        return self.softmax(logits_XF)

    def choose(self, probs_XF: Tensor) -> Routing:
        return Routing(probs_XF, probs_XF.new_zeros(()))
