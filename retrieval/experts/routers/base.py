"""What every router is, and the load-balance loss that the sparse ones share.

X any leading dimensions (B, or B and T), D input width, E experts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from retrieval.experts.config import ExpertConfig

__all__ = ["Routed", "Router", "balance", "shares"]


class Routed(NamedTuple):
    """Gates (X, E), not negative, float32 or wider; and a scalar to add to the training loss.

    The loss already carries its weight from the settings.
    """

    gates: Tensor
    loss: Tensor


class Router(nn.Module):
    """One linear layer to a logit per expert; a subclass turns their softmax into gates.

    The weights start small but not at zero: equal gates would give all experts equal gradients.
    """

    def __init__(self, config: ExpertConfig, width: int, experts: int, idle: int = 0) -> None:
        super().__init__()
        assert experts >= 1, "a router needs somebody to route to"
        self.config = config
        self.experts = experts
        self.weight = nn.Parameter(torch.empty(experts + idle, width))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, h_XD: Tensor) -> Routed:
        raise NotImplementedError

    def probabilities(self, h_XD: Tensor) -> Tensor:
        """(X, E): softmax at the settings' temperature, in float32 or wider as routing is exact."""
        logits_XE = nn.functional.linear(h_XD.to(self.weight.dtype), self.weight)
        wide = torch.promote_types(logits_XE.dtype, torch.float32)
        return (logits_XE / self.config.temperature).softmax(-1, dtype=wide)


def shares(chosen_XE: Tensor) -> Tensor:
    """(E,) of sum 1: each expert's part of all choices."""
    count_E = chosen_XE.reshape(-1, chosen_XE.shape[-1]).sum(0).float()
    return count_E / count_E.sum()


def balance(probs_XE: Tensor, share_E: Tensor) -> Tensor:
    """E * sum_e share_e * mean probability_e: 1 at even load, E when one expert has it all.

    The load-balance loss of GShard (arXiv 2006.16668) and Switch (arXiv 2101.03961, section 2.2).
    """
    mean_E = probs_XE.reshape(-1, len(share_E)).mean(0)
    return len(share_E) * (share_E * mean_E).sum()
