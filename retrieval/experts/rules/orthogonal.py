"""Experts that learn in different directions: OMoE's alternating rule (arXiv 2310.09762).

E experts, R rank, K in, O = (E - 1) x R rows of the other experts, S singular values, X inputs,
N out.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.rules.base import Rule, low_rank_experts, several_experts

__all__ = ["OrthogonalRule"]


class OrthogonalRule(Rule):
    """Projects the experts' gradients on every `every`-th step, counted from 0.

    Each expert's gradient of A loses its component in the span of the other experts' rows of A. On
    the steps between, gradients stay as they are. Call `before_step` between `backward` and the
    optimiser's step. Only the gradient becomes orthogonal: AdamW's moments change the step a
    little. The gradient becomes 0 if the others' rows span all K inputs.
    """

    paper = Paper(
        "OMoE", "2310.09762", "alternating orthogonal optimiser", "only A, and only its gradient"
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        every: int = Field(2, ge=1, description="The rule applies on every such step.")

    options: Options

    def __init__(self, encoder: nn.Module, options: MethodOptions | None = None, steps: int = 1):
        super().__init__(encoder, options, steps)
        self._experts = [e for e in low_rank_experts(encoder) if len(e.a_ERK) > 1]

    @classmethod
    def refusal(cls, config: ExpertConfig) -> str | None:
        return several_experts(config)

    def before_step(self, step: int) -> None:
        """Project the gradients if `step` is one of the rule's steps."""
        if step % self.options.every:
            return
        for experts in self._experts:
            if (grad_ERK := experts.a_ERK.grad) is not None:
                grad_ERK.copy_(_project_out_others(grad_ERK, experts.a_ERK.detach()))


def _project_out_others(grad_ERK: Tensor, a_ERK: Tensor) -> Tensor:
    count = len(a_ERK)
    dtype = torch.promote_types(a_ERK.dtype, torch.float32)
    others = ~torch.eye(count, dtype=torch.bool, device=a_ERK.device)
    rows_EOK = torch.stack([a_ERK[mask].flatten(0, 1) for mask in others]).to(dtype)
    # SVD rather than QR: if experts became alike, their rows lack full rank, and QR would fill the
    # basis with arbitrary directions.
    _, singular_ES, basis_ESK = torch.linalg.svd(rows_EOK, full_matrices=False)
    tolerance = torch.finfo(dtype).eps * max(rows_EOK.shape[1:])
    basis_ESK = basis_ESK * (singular_ES > tolerance * singular_ES[:, :1])[..., None]
    grad_ERK = grad_ERK.to(dtype)
    return grad_ERK - grad_ERK @ basis_ESK.mT @ basis_ESK
