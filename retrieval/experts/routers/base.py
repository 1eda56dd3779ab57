"""The base of every router, and the load-balance loss of the sparse ones.

X any leading dimensions (B, or B and T), D input width, E experts, F experts and null experts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from kernels.reference import probabilities
from kernels.routing import route
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import Described

if TYPE_CHECKING:
    from retrieval.experts.route import Route

__all__ = [
    "Router",
    "Routing",
    "Selection",
    "balance_loss",
    "choice_shares",
    "linear_fp32",
    "served_gates",
]


class Routing(NamedTuple):
    """Gates (X, E), not negative, float32 or wider; and a scalar for the training loss.

    The loss is already multiplied by its weight from the settings.
    """

    gates: Tensor
    loss: Tensor


class Router(nn.Module, Described):
    """One linear layer to a logit per expert; a subclass turns their softmax into gates.

    The weights start small but not at zero: equal gates would give all experts equal gradients. A
    router with other logits overrides `probabilities`, one with other gates `choose`, and one that
    does neither in this order `forward`.
    """

    shiftable = True  # `shift_F` reaches the logits
    sparse = False  # most gates are exactly 0
    needs_adapters = False  # the experts are trained before, and frozen
    layers: tuple[str, ...] | None = None  # the only linear layers that the router may stand on
    recomputable = True  # False: a layer cannot run again in `backward`

    def __init__(
        self, config: ExpertConfig, width: int, experts: int, null_experts: int = 0
    ) -> None:
        super().__init__()
        assert experts >= 1, "a router needs at least one expert"
        self.config = config
        self.options: Any = config.options_of("router")
        self.experts = experts
        self.shift_F: Tensor | None = None  # added to the logits by a method in use
        self.weight = nn.Parameter(torch.empty(experts + null_experts, width))
        nn.init.normal_(self.weight, std=0.02)

    @classmethod
    def least_experts(cls, config: ExpertConfig) -> int:
        """Return the smallest number of routed experts."""
        return 1

    def bind(self, route: Route) -> None:
        """Take what the router shares with the routers of other layers."""

    def after_step(self) -> None:
        """Update what no gradient reaches; called after each step of the optimiser."""

    def forward(self, h_XD: Tensor, served_XE: Tensor | None = None) -> Routing:
        """Return gates and loss for inputs (X, D); no loss if the gates are given already.

        On CUDA, serving computes them in one kernel launch.
        """
        serving = h_XD.is_cuda and not self.training and not torch.is_grad_enabled()
        if served_XE is None and serving and self.selection() is not None:
            served_XE = served_gates([self], h_XD)[self]
        if served_XE is not None:
            return Routing(served_XE, served_XE.new_zeros(()))
        return self.choose(self.probabilities(h_XD))

    def probabilities(self, h_XD: Tensor) -> Tensor:
        """Return the probabilities (X, F) of experts and null experts."""
        if self.shift_F is None:
            return probabilities(h_XD, self.weight, self.config.temperature)
        return self.softmax(linear_fp32(h_XD, self.weight))

    def softmax(self, logits_XF: Tensor) -> Tensor:
        """Return the softmax of logits / temperature, shifted by a method in use."""
        scaled_XF = logits_XF / self.config.temperature
        return (scaled_XF if self.shift_F is None else scaled_XF + self.shift_F).softmax(-1)

    def choose(self, probs_XF: Tensor) -> Routing:
        """Return gates and loss for the probabilities of experts and null experts."""
        raise NotImplementedError

    def selection(self) -> Selection | None:
        """Return which probabilities `choose` keeps; None if the kernel cannot choose so."""
        return None


def linear_fp32(h_XD: Tensor, weight_FD: Tensor) -> Tensor:
    """Return h W^T in float32 or wider, also under autocast, as `kernels.reference` does."""
    dtype = torch.promote_types(weight_FD.dtype, torch.float32)
    with torch.autocast(h_XD.device.type, enabled=False):
        return nn.functional.linear(h_XD.to(dtype), weight_FD.to(dtype))


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
        selection = router.selection()
        assert selection is not None, "only routers that the kernel can serve"
        key = (router.weight.shape, router.config.temperature, selection)
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
