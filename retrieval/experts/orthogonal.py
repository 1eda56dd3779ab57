"""Experts that learn in directions of their own: OMoE's alternating rule (arXiv 2310.09762).

E experts, R rank, K in, O = (E - 1) x R rows of the other experts, X inputs, N out.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from retrieval.experts.parameterisations import Experts

__all__ = ["OrthogonalRule", "expert_cosine"]


class OrthogonalRule:
    """Between `backward` and the optimiser's step, on every `every`-th step, counted from 0.

    Each expert's gradient of A loses its part in the span of the other experts' rows of A; on the
    steps between gradients are left alone. What is orthogonal is the gradient: AdamW's moments
    bend the step a little. If the others' rows span all K inputs, nothing of the gradient is left.
    """

    def __init__(self, modules: Iterable[nn.Module], every: int = 2) -> None:
        assert every >= 1, "every step, every second, ..."
        found = (m for module in modules for m in module.modules() if isinstance(m, Experts))
        self._experts = [experts for experts in found if len(experts.a_ERK) > 1]
        self._every = every

    def before_step(self, step: int) -> None:
        if step % self._every:
            return
        for experts in self._experts:
            if (grad_ERK := experts.a_ERK.grad) is not None:
                grad_ERK.copy_(_without_others(grad_ERK, experts.a_ERK.detach()))


def _without_others(grad_ERK: Tensor, a_ERK: Tensor) -> Tensor:
    count = len(a_ERK)
    wide = torch.promote_types(a_ERK.dtype, torch.float32)
    others = ~torch.eye(count, dtype=torch.bool, device=a_ERK.device)
    rows_EOK = torch.stack([a_ERK[mask].flatten(0, 1) for mask in others]).to(wide)
    # Singular vectors rather than QR: experts that have become alike do not have full rank, and
    # QR fills up with directions that are nobody's.
    _, size_ES, basis_ESK = torch.linalg.svd(rows_EOK, full_matrices=False)
    tiny = torch.finfo(wide).eps * max(rows_EOK.shape[1:])
    basis_ESK = basis_ESK * (size_ES > tiny * size_ES[:, :1])[..., None]
    grad_ERK = grad_ERK.to(wide)
    return grad_ERK - grad_ERK @ basis_ESK.mT @ basis_ESK


@torch.no_grad()
def expert_cosine(experts: Experts, x_XK: Tensor) -> float:
    """Mean cosine between two experts' outputs for one input, over all pairs and inputs: [-1, 1].

    The figure by which OMoE measures how alike experts are. 0 while B is zero; two experts or more.
    """
    count = len(experts.a_ERK)
    assert count > 1, "one expert has no pairs"
    low = torch.einsum("...k,erk->e...r", x_XK, experts.a_ERK.to(x_XK.dtype))
    out_EXN = normalize(torch.einsum("e...r,enr->e...n", low, experts.b_ENR.to(x_XK.dtype)), dim=-1)
    cosine_EEX = (out_EXN[:, None] * out_EXN[None]).sum(-1)
    first, second = torch.triu_indices(count, count, offset=1)
    return cosine_EEX[first, second].mean().item()
