"""How a collection lies on a Qdrant server or cluster; read without loading its client."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ServerSettings"]


class ServerSettings(BaseModel):
    """Qdrant's own names. What is None is the server's choice.

    The first three count when the collection is made: shards spread it over the machines of a
    cluster, each shard is kept `replication_factor` times, and a write waits for
    `write_consistency_factor` of these. A run that writes more than `bulk_points` switches vector
    indexing off until it ends (0: each run does), for what is built meanwhile would be built again.
    `indexing_threshold` is that of other times, in kB of vectors; segments below it are searched
    without an index.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard_number: int | None = Field(None, ge=1)
    replication_factor: int | None = Field(None, ge=1)
    write_consistency_factor: int | None = Field(None, ge=1)
    bulk_points: int = Field(50_000, ge=0)
    indexing_threshold: int = Field(10_000, ge=1)
