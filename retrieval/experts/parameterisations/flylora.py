"""A frozen sparse projection is the router: FlyLoRA (arXiv 2510.08396, implicit rank-wise routing).

X any leading dimensions, U rank units, K in, N out.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.parameterisations.base import LowRankExperts
from retrieval.experts.routers import Routing

__all__ = ["FlyLoRAExperts"]


class FlyLoRAExperts(LowRankExperts):
    """Each rank is an expert. A is sparse, random and constant; the largest |A x| are the chosen.

    There are no router parameters, and only B is trained. A bias per unit, moved towards units that
    are chosen too seldom, spreads the load; it counts for the choice and not for the output.
    """

    paper = Paper("FlyLoRA", "2510.08396", "implicit rank-wise routing")
    self_gated = True

    class Options(MethodOptions):
        """What this method alone needs."""

        density: float = Field(0.25, gt=0, le=1, description="Share of A that is not zero.")
        bias_rate: float = Field(1e-3, ge=0, description="Step of the load-balancing bias.")

    options: Options

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__(config, inputs, outputs, width, experts)
        filled = max(1, round(self.options.density * inputs))
        chosen = torch.rand(experts * config.rank, inputs).topk(filled, dim=-1).indices
        a_UK = torch.zeros(experts * config.rank, inputs)
        a_UK.scatter_(1, chosen, torch.randn(chosen.shape) * filled**-0.5)
        self.a_ERK.data.copy_(a_UK[:, None])
        self.a_ERK.requires_grad_(False)
        self.bias_U: Tensor
        self.register_buffer("bias_U", torch.zeros(len(a_UK)))
        self._load_U: Tensor | None = None

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        if config.router != "softmax":
            return f"chooses by itself; leave router={config.router} out"
        if config.top_k > config.experts:
            return f"top_k={config.top_k}, experts={config.experts}: raise experts or lower top_k"
        return None

    def shape(self, experts: int) -> tuple[int, int]:
        return experts * self.config.rank, 1

    def forward(self, h_XD: Tensor, served: Tensor | None = None) -> Routing:
        low_XU = h_XD.detach().float() @ self.a_ERK[:, 0].float().T
        chosen = min(self.config.top_k * self.config.rank, low_XU.shape[-1])
        best_XU = (low_XU.abs() + self.bias_U).topk(chosen, dim=-1).indices
        gates_XU = torch.zeros_like(low_XU).scatter(-1, best_XU, 1.0)
        if self.training:
            self._load_U = gates_XU.flatten(0, -2).mean(0)
        return Routing(gates_XU, gates_XU.new_zeros(()))

    @torch.no_grad()
    def after_step(self) -> None:
        super().after_step()
        if self._load_U is not None:
            self.bias_U += self.options.bias_rate * (self._load_U.mean() - self._load_U).sign()
            self._load_U = None
