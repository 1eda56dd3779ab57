"""Settings of a Ray cluster (`unirag index --engine ray`)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ClusterSettings"]


class ClusterSettings(BaseModel):
    """Where, and with how many workers, `--engine ray` reads and encodes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str | None = Field(
        None,
        description="Address of a Ray cluster; without one, RAY_ADDRESS, a Ray that runs on this "
        "machine, or one that is started for the run.",
    )
    workers: int | None = Field(
        None, ge=1, le=100_000, description="Workers; without a number, as many as there is room."
    )
    cpus: float = Field(1, gt=0, description="Cores of one worker; a share of one is allowed.")
    gpus: float = Field(0, ge=0, description="GPUs of one worker; a share of one is allowed.")
