"""What every router is, and the load-balance loss that the sparse ones share.

X any leading dimensions (B, or B and T), D input width, E experts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from kernels.reference import probabilities
from kernels.routing import route
from retrieval.experts.config import ExpertConfig

__all__ = ["Router", "Routing", "balance", "shares"]


class Routing(NamedTuple):
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

    def forward(self, h_XD: Tensor) -> Routing:
        if h_XD.is_cuda and not self.training and not torch.is_grad_enabled():
            gates_XE = self.served(h_XD)  # one launch; nobody asks for a loss
            return Routing(gates_XE, gates_XE.new_zeros(()))
        return self.routed(probabilities(h_XD, self.weight, self.config.temperature))

    def routed(self, probs_XF: Tensor) -> Routing:
        """Gates and loss for probabilities of the experts, and of what else there is to choose."""
        raise NotImplementedError

    def served(self, h_XD: Tensor) -> Tensor:
        """The gates of `routed`, fused."""
        raise NotImplementedError

    def _served(self, h_XD: Tensor, *, k: int | None = None, p: float | None = None) -> Tensor:
        gates_XF = route(h_XD, self.weight, self.config.temperature, k=k, p=p)
        return gates_XF[..., : self.experts]


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
