"""How alike the experts of a layer are.

E experts, X inputs, K in, N out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.experts.parameterisations import Experts

__all__ = ["expert_cosine", "expert_outputs"]


@torch.no_grad()
def expert_outputs(experts: Experts, x_XK: Tensor, weight_NK: Tensor | None = None) -> Tensor:
    """Return what each expert alone adds (E, X, N) to a layer that gives y = x W^T.

    Without a weight, y is x itself, as for prompts.
    """
    y_XN = x_XK if weight_NK is None else x_XK @ weight_NK.T
    if (matrices := experts.matrices()) is not None:
        a_ERK, b_ENR = (m.to(x_XK.dtype) for m in matrices)
        return torch.einsum("...k,erk,enr->e...n", x_XK, a_ERK, b_ENR)
    gates_EE = torch.eye(experts.count, dtype=x_XK.dtype, device=x_XK.device)
    one_by_one = [
        experts.change(x_XK, y_XN, gate_E.expand(*x_XK.shape[:-1], -1), weight_NK)
        for gate_E in gates_EE
    ]
    return torch.stack(one_by_one)


@torch.no_grad()
def expert_cosine(experts: Experts, x_XK: Tensor, weight_NK: Tensor | None = None) -> float:
    """Return the mean cosine of two experts' outputs for one input, over all pairs and inputs.

    OMoE measures with this number, in [-1, 1], how alike experts are. It is 0 while the experts
    add nothing. At least two experts are needed.
    """
    out_EXN = normalize(expert_outputs(experts, x_XK, weight_NK), dim=-1)
    count = len(out_EXN)
    assert count > 1, "a single expert has no pairs"
    # The sum over pairs is half of |sum of the units|^2 minus the units' own squares.
    total_X = out_EXN.sum(0).square().sum(-1) - out_EXN.square().sum((0, -1))
    return (total_X / (count * (count - 1))).mean().item()
