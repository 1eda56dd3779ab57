"""Experts are coefficients over random bases: NOLA (arXiv 2310.02556).

E experts, R rank, K in, N out, M bases.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from kernels.reference import moe_lora_delta
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.parameterisations.base import Experts

__all__ = ["NOLAExperts"]


class NOLAExperts(Experts):
    """A_e = sum_m alpha_em A_m and B_e = sum_m beta_em B_m, with A_m and B_m from a seed.

    Only the coefficients are trained, so the number of parameters does not depend on the rank.
    """

    paper = Paper(
        "NOLA", "2310.02556", "compressing LoRA with random bases", "coefficients are not quantised"
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        bases: int = Field(64, ge=1, description="Random matrices that are combined.")
        seed: int = Field(0, ge=0, description="Seed of the random matrices.")

    options: Options

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__(config, inputs, outputs, width, experts)
        bases, rank = self.options.bases, config.rank
        generator = torch.Generator().manual_seed(self.options.seed)
        bound = 2 * inputs**-0.5
        basis_a = (torch.rand(bases, rank, inputs, generator=generator) - 0.5) * bound
        basis_b = (torch.rand(bases, outputs, rank, generator=generator) - 0.5) * bound
        self.register_buffer("basis_a_MRK", basis_a, persistent=False)
        self.register_buffer("basis_b_MNR", basis_b, persistent=False)
        self.alpha_EM = nn.Parameter(torch.randn(experts, bases) * bases**-0.5)
        self.beta_EM = nn.Parameter(torch.zeros(experts, bases))

    def matrices(self) -> tuple[Tensor, Tensor]:
        a_ERK = torch.einsum("em,mrk->erk", self.alpha_EM, self.basis_a_MRK)
        return a_ERK, torch.einsum("em,mnr->enr", self.beta_EM, self.basis_b_MNR)

    def change(self, x: Tensor, y: Tensor, gates: Tensor, weight_NK: Tensor | None) -> Tensor:
        return moe_lora_delta(x, *self.matrices(), gates, self.config.scale)
