"""State that the experts of one tower share during a forward pass.

B batch, D prototype width, E experts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from retrieval.experts.routers import Router, Routing, served_gates

__all__ = ["Route"]


class Route:
    """Brings the query's prototype to layers that a third-party tower calls with x alone.

    While the route is idle, every layer equals its base layer. During a pass, layers record their
    losses and their detached gates here. Both stay until the next `begin`; `loss` is the sum of the
    losses. A route serves one forward pass at a time: towers that serve several threads need a
    lock.
    """

    def __init__(self) -> None:
        self.routers: list[Router] = []
        self._served: dict[Router, Tensor] = {}
        self.active = False
        self.prototype_BD: Tensor | None = None
        self._recording = True
        self.losses: list[Tensor] = []
        self.gates: dict[str, list[Tensor]] = {}
        self.taught: dict[str, Tensor] = {}  # the last gates of each layer, with their gradient
        self.memory: dict[tuple[int, ...], Tensor] = {}  # what routers leave for later layers
        self.overrides: Mapping[str, Tensor] = {}  # gates by layer, in place of the routers'
        self.pools: dict[tuple[int, int], list[Any]] = {}  # experts of one shape that share weights

    def begin(self, prototype_BD: Tensor | None = None) -> None:
        """Start a forward pass and forget the losses and gates of the last one.

        Layers routed by prototype need `prototype_BD`; layers routed by token do not.
        """
        assert not self.active, "one forward at a time"
        self.active, self.prototype_BD = True, prototype_BD
        self.losses, self.gates, self._served, self.memory = [], {}, {}, {}
        self.taught = {}

    def end(self) -> None:
        """Make the route idle again."""
        self.active, self.prototype_BD, self._served = False, None, {}

    def add_router(self, router: Router) -> None:
        """Add a router of the prototype, so that its gates are served with those of all others."""
        self.routers.append(router)

    def served_gates(self, router: Router) -> Tensor | None:
        """Return the gates (B, E) of one of the `routers` for the prototype of this pass.

        None unless the encoder serves on CUDA. There, the gates of all routers are computed
        together when the first of them is asked for.
        """
        prototype_BD = self.prototype_BD
        if prototype_BD is None or not prototype_BD.is_cuda or router.training:
            return None
        if torch.is_grad_enabled():
            return None
        if not self._served:
            servable = [router for router in self.routers if router.selection() is not None]
            self._served = served_gates(servable, prototype_BD)
        return self._served.get(router)

    @contextmanager
    def carrying(self, prototype_BD: Tensor | None = None) -> Iterator[None]:
        """Carry `prototype_BD` for one forward pass."""
        self.begin(prototype_BD)
        try:
            yield
        finally:
            self.end()

    @contextmanager
    def overriding(self, gates: Mapping[str, Tensor]) -> Iterator[None]:
        """Use these gates, by layer name, in place of those of the layers' routers."""
        self.overrides = gates
        try:
            yield
        finally:
            self.overrides = {}

    @contextmanager
    def recomputing(self, prototype_BD: Tensor | None) -> Iterator[None]:
        """Carry `prototype_BD` for layers that run again in `backward`, without recording.

        Does nothing while a forward pass is running.
        """
        if self.active:
            yield
            return
        self.active, self.prototype_BD, self._recording = True, prototype_BD, False
        try:
            yield
        finally:
            self.active, self.prototype_BD, self._recording = False, None, True

    def record(self, name: str, routing: Routing) -> None:
        """Store the loss and the detached gates of the layer called `name`."""
        if not self._recording:
            return
        self.losses.append(routing.loss)
        self.gates.setdefault(name, []).append(routing.gates.detach())
        if routing.gates.requires_grad:
            self.taught[name] = routing.gates

    def __deepcopy__(self, memo: dict[int, object]) -> Route:
        """Return a new idle route, for the layers of a copied tower: losses cannot be copied."""
        route = Route()
        memo[id(self)] = route  # the routers' layers lead back here
        route.routers = deepcopy(self.routers, memo)
        route.pools = deepcopy(self.pools, memo)
        return route

    @property
    def loss(self) -> Tensor:
        """The sum of the layers' losses, a scalar; 0 if there are none."""
        return torch.stack(self.losses).sum() if self.losses else torch.zeros(())
