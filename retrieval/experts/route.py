"""What the experts of one tower share during a forward pass.

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
    """Brings the query's prototype to layers that a foreign tower calls with x alone.

    Idle, it makes every layer exactly its base layer. It is also where layers leave their losses
    (`loss` is the sum) and their gates, by name and detached; both stay until the next `begin`. One
    forward at a time: towers that serve several threads need a lock around them.
    """

    def __init__(self) -> None:
        self.active = False
        self.prototype_BD: Tensor | None = None
        self._silent = False
        self.losses: list[Tensor] = []
        self.gates: dict[str, list[Tensor]] = {}

    def begin(self, prototype_BD: Tensor | None = None) -> None:
        """`prototype_BD` is needed by layers routed by prototype, and none by those by token."""
        assert not self.active, "one forward at a time"
        self.active, self.prototype_BD = True, prototype_BD
        self.losses, self.gates = [], {}

    def end(self) -> None:
        self.active, self.prototype_BD = False, None

    @contextmanager
    def sending(self, prototype_BD: Tensor | None = None) -> Iterator[None]:
        self.begin(prototype_BD)
        try:
            yield
        finally:
            self.end()

    @contextmanager
    def lent(self, prototype_BD: Tensor | None) -> Iterator[None]:
        """Carry `prototype_BD` for layers that run again in `backward`; nothing is recorded."""
        if self.active:  # the first time through
            yield
            return
        self.active, self.prototype_BD, self._silent = True, prototype_BD, True
        try:
            yield
        finally:
            self.active, self.prototype_BD, self._silent = False, None, False

    def record(self, name: str, routed: Routing) -> None:
        if self._silent:
            return
        self.losses.append(routed.loss)
        self.gates.setdefault(name, []).append(routed.gates.detach())

    def __deepcopy__(self, memo: dict[int, object]) -> Route:
        """A copied tower's layers share an idle route of their own; losses cannot be copied."""
        return Route()

    @property
    def loss(self) -> Tensor:
        """The sum of the layers' losses, a scalar; 0 if there were none."""
        return torch.stack(self.losses).sum() if self.losses else torch.zeros(())
