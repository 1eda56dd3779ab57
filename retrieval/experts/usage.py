"""How evenly experts are used.

E experts, X any leading dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from retrieval.experts.route import Route

__all__ = ["ExpertLoad", "expert_load", "load_by_layer"]


class ExpertLoad(NamedTuple):
    """Each expert's share of all gates given, float64 of sum 1; the least and the most of them.

    All 0 if no expert was given any, which the null router can do.
    """

    share_E: Tensor
    least: float
    most: float


def expert_load(gates: Sequence[Tensor]) -> ExpertLoad:
    """Over gates (X, E) of one layer, from any number of forward passes."""
    assert gates, "no gates, no expert_load"
    totals = [g.detach().reshape(-1, g.shape[-1]).sum(0, dtype=torch.float64) for g in gates]
    total_E = torch.stack(totals).sum(0)
    share_E = total_E / total_E.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return ExpertLoad(share_E, share_E.min().item(), share_E.max().item())


def load_by_layer(route: Route) -> dict[str, ExpertLoad]:
    """Of the route's last forward pass, by layer name."""
    return {name: expert_load(gates) for name, gates in route.gates.items()}
