"""A full-rank update from random bases: RandLoRA (arXiv 2502.00987, scaled random bases).

E experts, J bases, R rank of one basis, C = J x R, K in, N out.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn

from kernels.reference import moe_lora_delta
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.parameterisations.base import Experts

__all__ = ["RandLoRAExperts"]


class RandLoRAExperts(Experts):
    """Expert e adds sum_j B_j diag(lambda_ej) A_j diag(gamma_ej); the A_j and B_j are random.

    There are as many bases as make the sum full rank. Only the diagonals are trained; lambda starts
    at zero. All experts share the bases, which come from a seed.
    """

    paper = Paper("RandLoRA", "2502.00987", "full-rank updates from random bases")

    class Options(MethodOptions):
        """What this method alone needs."""

        seed: int = Field(0, ge=0, description="Seed of the bases.")

    options: Options

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__(config, inputs, outputs, width, experts)
        bases = math.ceil(min(inputs, outputs) / config.rank)
        generator = torch.Generator().manual_seed(self.options.seed)
        basis_a = torch.randn(bases, config.rank, inputs, generator=generator) * inputs**-0.5
        basis_b = torch.randn(outputs, bases * config.rank, generator=generator)
        self.basis_a_JRK: Tensor
        self.basis_b_NC: Tensor
        self.register_buffer("basis_a_JRK", basis_a, persistent=False)
        self.register_buffer(
            "basis_b_NC", basis_b * (bases * config.rank) ** -0.5, persistent=False
        )
        self.lambda_EJR = nn.Parameter(torch.zeros(experts, bases, config.rank))
        self.gamma_EJK = nn.Parameter(torch.ones(experts, bases, inputs))

    def matrices(self) -> tuple[Tensor, Tensor]:
        a_EJRK = self.lambda_EJR[..., None] * self.basis_a_JRK * self.gamma_EJK[:, :, None]
        return a_EJRK.flatten(1, 2), self.basis_b_NC.expand(self.count, -1, -1)

    def change(self, x: Tensor, y: Tensor, gates: Tensor, weight_NK: Tensor | None) -> Tensor:
        return moe_lora_delta(x, *self.matrices(), gates, self.config.scale)
