"""Settings of a Qdrant server or cluster. Importing them does not load the client."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ServerSettings"]


class ServerSettings(BaseModel):
    """How a collection is spread over a Qdrant cluster, and when its index is built.

    The names are Qdrant's. The first three only count when the collection is created.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard_number: int | None = Field(
        None,
        ge=1,
        description="Shards that spread the collection over the cluster; null: the server decides.",
    )
    replication_factor: int | None = Field(
        None, ge=1, description="Copies of each shard; null: the server decides."
    )
    write_consistency_factor: int | None = Field(
        None, ge=1, description="Copies that a write waits for; null: the server decides."
    )
    bulk_points: int = Field(
        50_000,
        ge=0,
        description="Items after which a run stops vector indexing until its end; 0: every run.",
    )
    indexing_threshold: int = Field(
        10_000,
        ge=1,
        description="Kilobytes of vectors from which a segment is indexed; others are scanned.",
    )
