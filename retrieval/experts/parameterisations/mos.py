"""Experts built from shards of shared pools: MoS (arXiv 2410.00938, mixture of shards).

E experts, R rank, K in, N out, S shards of a vector, P vectors in a pool.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn

from kernels.reference import moe_lora_delta
from retrieval.experts.config import ExpertConfig
from retrieval.experts.paper import MethodOptions, Paper
from retrieval.experts.parameterisations.base import Experts

if TYPE_CHECKING:
    from retrieval.experts.route import Route

__all__ = ["ShardExperts"]


class ShardExperts(Experts):
    """The vectors of A and B are joined from shards that a fixed random index picks.

    All layers of one shape share the pools. A and B are indexed independently (pair dissociation).
    Some vectors of each expert are its own (private shards). Indices are drawn from a seed, so they
    are not stored.
    """

    paper = Paper(
        "MoS",
        "2410.00938",
        "shared pools, pair dissociation, vector sharding, private shards",
        "pools are shared by layers of one shape",
    )

    class Options(MethodOptions):
        """What this method alone needs."""

        pool: int = Field(32, ge=1, description="Vectors in each shared pool.")
        shards: int = Field(4, ge=1, description="Shards of a vector; fewer if they do not fit.")
        private: int = Field(1, ge=0, description="Vectors of each expert that nothing shares.")

    options: Options

    def __init__(
        self, config: ExpertConfig, inputs: int, outputs: int, width: int, experts: int
    ) -> None:
        super().__init__(config, inputs, outputs, width, experts)
        private = min(self.options.private, config.rank)
        self._sizes = (inputs, outputs)
        self._public = config.rank - private
        self.private_a_ERK = nn.Parameter(torch.empty(experts, private, inputs))
        self.private_b_ERN = nn.Parameter(torch.zeros(experts, private, outputs))
        self.pool_a_PK = nn.Parameter(torch.empty(self.options.pool, inputs))
        self.pool_b_PN = nn.Parameter(torch.zeros(self.options.pool, outputs))
        for a in (self.private_a_ERK, self.pool_a_PK):
            nn.init.uniform_(a, -(inputs**-0.5), inputs**-0.5)
        self._draw_indices(0)

    def bind(self, route: Route) -> None:
        super().bind(route)
        users = route.pools.setdefault(self._sizes, [])
        if users:
            self.pool_a_PK, self.pool_b_PN = users[0].pool_a_PK, users[0].pool_b_PN
        self._draw_indices(len(users))
        users.append(self)

    def _draw_indices(self, seed: int) -> None:
        """Draw the shards of A and of B; layer `seed` of its shape has its own."""
        generator = torch.Generator().manual_seed(seed)
        for name, size in zip(("index_a", "index_b"), self._sizes, strict=True):
            shards = math.gcd(size, self.options.shards)
            shape = (self.count, self._public, shards)
            index_ERS = torch.randint(self.options.pool * shards, shape, generator=generator)
            self.register_buffer(name, index_ERS, persistent=False)

    def matrices(self) -> tuple[Tensor, Tensor]:
        a_ERK = torch.cat([self.private_a_ERK, _join(self.pool_a_PK, self.index_a)], dim=1)  # type: ignore[arg-type]
        b_ERN = torch.cat([self.private_b_ERN, _join(self.pool_b_PN, self.index_b)], dim=1)  # type: ignore[arg-type]
        return a_ERK, b_ERN.mT

    def change(self, x: Tensor, y: Tensor, gates: Tensor, weight_NK: Tensor | None) -> Tensor:
        return moe_lora_delta(x, *self.matrices(), gates, self.config.scale)


def _join(pool_PW: Tensor, index_ERS: Tensor) -> Tensor:
    """Join the chosen shards of a pool to vectors (E, R, W)."""
    shards = index_ERS.shape[-1]
    return pool_PW.reshape(len(pool_PW) * shards, -1)[index_ERS].flatten(2)
