"""Experts that learn in different directions: OMoE's alternating rule (arXiv 2310.09762).

E experts, R rank, K in, O = (E - 1) x R rows of the other experts, S singular values, X inputs,
N out.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from retrieval.experts.parameterisations import Experts

__all__ = ["OrthogonalRule", "expert_cosine"]


class OrthogonalRule:
    """Projects the experts' gradients on every `every`-th step, counted from 0.

    Each expert's gradient of A loses its component in the span of the other experts' rows of A. On
    the steps between, gradients stay as they are. Call `before_step` between `backward` and the
    optimiser's step. Only the gradient becomes orthogonal: AdamW's moments change the step a
    little. The gradient becomes 0 if the others' rows span all K inputs.
    """

    def __init__(self, modules: Iterable[nn.Module], every: int = 2) -> None:
        assert every >= 1, "the rule applies on every step, every second, ..."
        experts = (m for module in modules for m in module.modules() if isinstance(m, Experts))
        self._experts = [e for e in experts if len(e.a_ERK) > 1]
        self._every = every

    def before_step(self, step: int) -> None:
        """Project the gradients if `step` is one of the rule's steps."""
        if step % self._every:
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


@torch.no_grad()
def expert_cosine(experts: Experts, x_XK: Tensor) -> float:
    """Return the mean cosine of two experts' outputs for one input, over all pairs and inputs.

    OMoE measures with this number, in [-1, 1], how alike experts are. It is 0 while B is zero.
    At least two experts are needed.
    """
    count = len(experts.a_ERK)
    assert count > 1, "a single expert has no pairs"
    low = torch.einsum("...k,erk->e...r", x_XK, experts.a_ERK.to(x_XK.dtype))
    out_EXN = normalize(torch.einsum("e...r,enr->e...n", low, experts.b_ENR.to(x_XK.dtype)), dim=-1)
    cosine_EEX = (out_EXN[:, None] * out_EXN[None]).sum(-1)
    first, second = torch.triu_indices(count, count, offset=1)
    return cosine_EEX[first, second].mean().item()
