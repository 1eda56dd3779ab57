"""Experts in orthogonal subspaces, A and B alike: OMoE with its alternation (arXiv 2310.09762).

E experts, R rank, K in, N out.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.rules.base import Rule, low_rank_experts, several_experts

__all__ = ["OMoERule"]


class OMoERule(Rule):
    """On every `every`-th step, each expert's update loses what lies in the others' subspaces.

    The update itself is projected, after the optimiser, so its moments cannot bring anything back.
    The experts take turns, each against the others as they then are: with B still zero, the first
    takes its direction and the others must find their own.
    """

    paper = Paper(
        "OMoE",
        "2310.09762",
        "alternating orthogonal optimiser",
        "the subspace is that of the others' present weights, not of their past updates",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        every: int = Field(2, ge=1, description="The rule applies on every such step.")

    options: Options

    def __init__(self, encoder: nn.Module, options: MethodOptions | None = None, steps: int = 1):
        super().__init__(encoder, options, steps)
        self._experts = [e for e in low_rank_experts(encoder) if len(e.a_ERK) > 1]
        self._before: list[tuple[Tensor, Tensor]] = []

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        return several_experts(config)

    def before_step(self, step: int) -> None:
        """Remember the weights that the update starts from."""
        applies = step % self.options.every == 0
        self._before = [
            (e.a_ERK.detach().clone(), e.b_ENR.detach().clone())
            for e in (self._experts if applies else ())
        ]

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        for experts, (a_ERK, b_ENR) in zip(self._experts, self._before, strict=False):
            _project_updates(experts.a_ERK, a_ERK, step)
            _project_updates(experts.b_ENR.mT, b_ENR.mT, step)


def _project_updates(now_ERW: Tensor, before_ERW: Tensor, step: int) -> None:
    """Take from each expert's update of its rows what the other experts' rows span, in place."""
    count = len(now_ERW)
    updates_ERW = now_ERW - before_ERW
    now_ERW.copy_(before_ERW)
    for turn in range(count):
        e = (turn + step) % count
        others_OW = torch.cat([now_ERW[:e], now_ERW[e + 1 :]]).flatten(0, 1)
        _, singular, basis_SW = torch.linalg.svd(others_OW, full_matrices=False)
        tolerance = torch.finfo(basis_SW.dtype).eps * max(others_OW.shape)
        basis_SW = basis_SW * (singular > tolerance * singular[:1])[:, None]
        now_ERW[e] += updates_ERW[e] - updates_ERW[e] @ basis_SW.T @ basis_SW
