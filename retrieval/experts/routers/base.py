"""The base of every router, and the load-balance loss of the sparse ones.

X any leading dimensions (B, or B and T), D input width, E experts, F experts and null experts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kernels.reference import probabilities
from kernels.routing import route
from retrieval.experts.config import ExpertConfig

__all__ = ["Router", "Routing", "Selection", "balance_loss", "choice_shares", "served_gates"]


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

    def forward(self, h_XD: Tensor, served_XE: Tensor | None = None) -> Routing:
        """Return gates and loss for inputs (X, D); no loss if the gates are given already.

        On CUDA, serving computes them in one kernel launch.
        """
        if served_XE is None and h_XD.is_cuda and not self.training and not torch.is_grad_enabled():
            served_XE = served_gates([self], h_XD)[self]
        if served_XE is not None:
            return Routing(served_XE, served_XE.new_zeros(()))
        return self.choose(probabilities(h_XD, self.weight, self.config.temperature))

    def choose(self, probs_XF: Tensor) -> Routing:
        """Return gates and loss for the probabilities of experts and null experts."""
        raise NotImplementedError

    def selection(self) -> Selection:
        """Return which probabilities `choose` keeps."""
        return Selection()


class Selection(NamedTuple):
    """Keep the `k` largest probabilities, the fewest that reach `p`, or all."""

    k: int | None = None
    p: float | None = None


def served_gates(routers: Sequence[Router], h_XD: Tensor) -> dict[Router, Tensor]:
    """Return the gates (X, E) of each router for the same inputs, as `Router.choose` gives them.

    On CUDA, routers with the same settings and number of experts share one kernel launch.
    """
    groups: dict[tuple[torch.Size, float, Selection], list[Router]] = {}
    for router in routers:
        key = (router.weight.shape, router.config.temperature, router.selection())
        groups.setdefault(key, []).append(router)
    gates: dict[Router, Tensor] = {}
    for (_, temperature, (k, p)), group in groups.items():
        weight_LFD = torch.stack([router.weight for router in group])
        gates_LXF = route(h_XD, weight_LFD, temperature, k=k, p=p)
        for router, gates_XF in zip(group, gates_LXF, strict=True):
            gates[router] = gates_XF[..., : router.experts]
    return gates


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
