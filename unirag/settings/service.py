"""Settings of the service: its keys and its limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode

__all__ = ["ApiKey", "ApiKeys", "ServiceSettings"]


class ApiKey(BaseModel):
    """A key of the service. Without `corpora` it gives access to every corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[SecretStr, Field(min_length=16, description="The secret.")]
    name: str = Field(
        min_length=1, max_length=100, description="Owner of the conversations asked with the key."
    )
    teacher: bool = Field(False, description="Whether the key may index and enrol styles.")
    corpora: tuple[str, ...] = Field((), description="Corpora that the key opens.")


def _parse_keys(value: Any) -> Any:
    """Parse the short form of the environment, `KEY,teacher:KEY`, or JSON with every field."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    keys = [part.strip() for part in value.split(",") if part.strip()]
    return [
        {
            "key": key.removeprefix("teacher:"),
            "name": f"key-{number}",
            "teacher": key.startswith("teacher:"),
        }
        for number, key in enumerate(keys, 1)
    ]


ApiKeys = Annotated[tuple[ApiKey, ...], NoDecode, BeforeValidator(_parse_keys)]


class ServiceSettings(BaseModel):
    """Limits of one process of the service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    searches: int = Field(2, ge=1, le=1000, description="Searches that run at once.")
    answers: int = Field(
        1,
        ge=1,
        le=1000,
        description="Answers that run at once; a language model on CPUs is fastest with one.",
    )
    waiting: int = Field(
        32, ge=0, le=10_000, description="Requests that may wait; one more gets HTTP 429."
    )
    seconds: float = Field(
        120.0, gt=0, le=3600, description="Seconds that a request may take, its wait included."
    )
    query_megabytes: float = Field(
        32.0, gt=0, le=1000, description="Largest body of a question, MB."
    )
    upload_megabytes: float = Field(
        2000.0, gt=0, le=100_000, description="Largest body of an upload, MB."
    )
    jobs: int = Field(100, ge=1, le=10_000, description="Index jobs that may be open.")
    index_root: Path | None = Field(
        None,
        description="Folder below which an index job may name a path; none: uploads only.",
    )
    origins: tuple[str, ...] = Field(
        (), description="Origins whose pages may call the service from a browser (CORS)."
    )
    frame_ancestors: tuple[str, ...] = Field(
        (),
        description="Origins whose pages may show the web app in a frame (https); none: nobody.",
    )
