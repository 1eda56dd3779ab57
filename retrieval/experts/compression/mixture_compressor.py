"""Bits by linear programme: MC#'s mixed-precision quantisation (arXiv 2510.10962); router: top_any.

E experts, C choices of bits.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import Tensor

from retrieval.experts.compression.base import Calibration, Compact, Compression, dense
from retrieval.experts.compression.quantise import quantise_experts
from retrieval.experts.paper import MethodOptions, Paper

__all__ = ["MixtureCompressor"]


class MixtureCompressor(Compression):
    """Each expert gets the bits that make the weighted sum of errors least, within a mean budget.

    The weight of an expert is its mean gate times how often it is used; the error of a choice is
    that of its update B A.
    """

    paper = Paper(
        "MC#",
        "2510.10962",
        "pre-loading mixed-precision quantisation",
        "values lie on the grid of their bits but are stored as floats",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        mean_bits: float = Field(3.0, ge=1, le=8, description="Largest mean of bits over experts.")
        choices: tuple[int, ...] = Field((1, 2, 3, 4, 8), description="Bits to choose from.")

    options: Options

    def choose_bits(self, a_ERK: Tensor, b_ENR: Tensor, sample: Calibration) -> list[int]:
        """Return the bits of each expert."""
        experts, choices = len(a_ERK), self.options.choices
        exact = dense(a_ERK, b_ENR)
        weight_E = sample.gates_XE.mean(0) * (sample.gates_XE > 0).float().mean(0)
        errors = [
            (exact - dense(c.a_FRK, c.b_FNR)).square().sum((1, 2))
            for c in (quantise_experts(a_ERK, b_ENR, [bits] * experts) for bits in choices)
        ]
        cost_EC = (torch.stack(errors, dim=1) * weight_E[:, None]).double().cpu().numpy()
        one_each = np.kron(np.eye(experts), np.ones(len(choices)))
        bits = np.tile(np.asarray(choices, float), experts)[None]
        result = milp(
            cost_EC.ravel() / max(cost_EC.max(), 1e-30),
            constraints=[
                LinearConstraint(one_each, 1, 1),
                LinearConstraint(bits, -np.inf, self.options.mean_bits * experts),
            ],
            integrality=np.ones(cost_EC.size),
            bounds=Bounds(0, 1),
        )
        if result.x is None:
            raise ValueError(
                f"mean_bits={self.options.mean_bits}, choices={choices}: no choice fits the budget"
            )
        return [choices[c] for c in result.x.reshape(experts, -1).argmax(1)]

    def compress(self, a_ERK: Tensor, b_ENR: Tensor, sample: Calibration) -> Compact:
        return quantise_experts(a_ERK, b_ENR, self.choose_bits(a_ERK, b_ENR, sample))
