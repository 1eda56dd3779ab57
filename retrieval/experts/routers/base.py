"""The base of every router, and the load-balance loss of the sparse ones.

X any leading dimensions (B, or B and T), D input width, E experts, F experts and null experts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from kernels.reference import probabilities
from kernels.routing import route
from retrieval.experts.config import ExpertConfig

__all__ = ["Router", "Routing", "balance_loss", "choice_shares"]


class Routing(NamedTuple):
    """Gates (X, E), not negative, float32 or wider; and a scalar for the training loss.

    The loss is already multiplied by its weight from the settings.
    """

    gates: Tensor
    loss: Tensor


class Router(nn.Module):
    """One linear layer to a logit per expert; a subclass turns their softmax into gates.

    The weights start small but not at zero: equal gates would give all experts equal gradients.
    """

    def __init__(
        self, config: ExpertConfig, width: int, experts: int, null_experts: int = 0
    ) -> None:
        super().__init__()
        assert experts >= 1, "a router needs at least one expert"
        self.config = config
        self.experts = experts
        self.weight = nn.Parameter(torch.empty(experts + null_experts, width))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, h_XD: Tensor) -> Routing:
        """Return gates and loss for inputs (X, D). On CUDA, serving uses the fused kernel."""
        if h_XD.is_cuda and not self.training and not torch.is_grad_enabled():
            gates_XE = self.fused_gates(h_XD)  # one kernel launch; serving needs no loss
            return Routing(gates_XE, gates_XE.new_zeros(()))
        return self.choose(probabilities(h_XD, self.weight, self.config.temperature))

    def choose(self, probs_XF: Tensor) -> Routing:
        """Return gates and loss for the probabilities of experts and null experts."""
        raise NotImplementedError

    def fused_gates(self, h_XD: Tensor) -> Tensor:
        """Return the gates of `choose` (X, E) from one fused kernel."""
        raise NotImplementedError

    def _route(self, h_XD: Tensor, *, k: int | None = None, p: float | None = None) -> Tensor:
        gates_XF = route(h_XD, self.weight, self.config.temperature, k=k, p=p)
        return gates_XF[..., : self.experts]


def choice_shares(chosen_XE: Tensor) -> Tensor:
    """Return each expert's share of all choices, (E,) of sum 1."""
    count_E = chosen_XE.reshape(-1, chosen_XE.shape[-1]).sum(0).float()
    return count_E / count_E.sum()


def balance_loss(probs_XE: Tensor, share_E: Tensor) -> Tensor:
    """E * sum_e share_e * mean probability_e: 1 at even load, E if one expert gets everything.

    The load-balance loss of GShard (arXiv 2006.16668) and Switch (arXiv 2101.03961, section 2.2).
    """
    mean_E = probs_XE.reshape(-1, len(share_E)).mean(0)
    return len(share_E) * (share_E * mean_E).sum()
