"""Settings of the processes that read documents."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ReadingSettings"]


class ReadingSettings(BaseModel):
    """How many processes read documents, and how much time and memory a file may cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Processes that read documents; none: one per core, or fewer for few files.",
    )
    scans: bool = Field(True, description="Read scanned pages of PDFs with OCR, if `ocr` is on.")
    # The slowest normal picture takes 7 s on a busy machine.
    stall_seconds: float = Field(
        120, gt=0, description="Seconds without progress after which a file becomes a dead letter."
    )
    file_seconds: float = Field(
        3600, gt=0, description="Seconds of work on a file after which it becomes a dead letter."
    )
    file_megabytes: int = Field(
        1000, ge=100, description="Memory that reading one file may take, MB (Linux only)."
    )
