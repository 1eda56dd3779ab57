"""State that the experts of one tower share during a forward pass.

B batch, D prototype width, E experts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from retrieval.experts.routers import Routing

__all__ = ["Route"]


class Route:
    """Brings the query's prototype to layers that a third-party tower calls with x alone.

    While the route is idle, every layer equals its base layer. During a pass, layers record their
    losses and their detached gates here. Both stay until the next `begin`; `loss` is the sum of the
    losses. A route serves one forward pass at a time: towers that serve several threads need a
    lock.
    """

    def __init__(self) -> None:
        self.active = False
        self.prototype_BD: Tensor | None = None
        self._recording = True
        self.losses: list[Tensor] = []
        self.gates: dict[str, list[Tensor]] = {}

    def begin(self, prototype_BD: Tensor | None = None) -> None:
        """Start a forward pass and forget the losses and gates of the last one.

        Layers routed by prototype need `prototype_BD`; layers routed by token do not.
        """
        assert not self.active, "one forward at a time"
        self.active, self.prototype_BD = True, prototype_BD
        self.losses, self.gates = [], {}

    def end(self) -> None:
        """Make the route idle again."""
        self.active, self.prototype_BD = False, None

    @contextmanager
    def carrying(self, prototype_BD: Tensor | None = None) -> Iterator[None]:
        """Carry `prototype_BD` for one forward pass."""
        self.begin(prototype_BD)
        try:
            yield
        finally:
            self.end()

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

    def __deepcopy__(self, memo: dict[int, object]) -> Route:
        """Return a new idle route, for the layers of a copied tower: losses cannot be copied."""
        return Route()

    @property
    def loss(self) -> Tensor:
        """The sum of the layers' losses, a scalar; 0 if there are none."""
        return torch.stack(self.losses).sum() if self.losses else torch.zeros(())
