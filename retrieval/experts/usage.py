"""How evenly experts are used.

E experts, X any leading dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["ExpertLoad", "expert_load"]


class ExpertLoad(NamedTuple):
    """Each expert's share of the sum of all gates (float64, sum 1), and the extreme shares.

    All are 0 if every gate is 0, which the null router allows.
    """

    share_E: Tensor
    min_share: float
    max_share: float


def expert_load(gates: Sequence[Tensor]) -> ExpertLoad:
    """Return the load over gates (X, E) of one layer, from any number of forward passes."""
    assert gates, "the load needs the gates of at least one forward pass"
    totals = [g.detach().reshape(-1, g.shape[-1]).sum(0, dtype=torch.float64) for g in gates]
    total_E = torch.stack(totals).sum(0)
    share_E = total_E / total_E.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return ExpertLoad(share_E, share_E.min().item(), share_E.max().item())
