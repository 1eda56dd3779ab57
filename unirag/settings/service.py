"""Who may use the service, and how much of it at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode

__all__ = ["ApiKey", "ApiKeys", "ServiceSettings"]


class ApiKey(BaseModel):
    """A key and what it opens: all corpora unless some are named, teaching only if it says so.

    `name` owns the conversations that are begun with it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[SecretStr, Field(min_length=16)]
    name: str = Field(min_length=1, max_length=100)
    teacher: bool = False
    corpora: tuple[str, ...] = ()


def _read(value: Any) -> Any:
    """The short form of the environment: `KEY,teacher:KEY`; or JSON, with every field."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    given = [part.strip() for part in value.split(",") if part.strip()]
    return [
        {
            "key": part.removeprefix("teacher:"),
            "name": f"key-{number}",
            "teacher": part.startswith("teacher:"),
        }
        for number, part in enumerate(given, 1)
    ]


ApiKeys = Annotated[tuple[ApiKey, ...], NoDecode, BeforeValidator(_read)]


class ServiceSettings(BaseModel):
    """Limits of one process. More than `waiting` requests behind those that run get 429.

    `searches` and `answers` run at once; a language model on CPUs is quickest with one.
    `seconds` is the time that a request has, its wait counted. `index_root` is the folder below
    which a job may name a path; without it, material is uploaded. `origins` may call from a
    browser (CORS).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    searches: int = Field(2, ge=1, le=1000)
    answers: int = Field(1, ge=1, le=1000)
    waiting: int = Field(32, ge=0, le=10_000)
    seconds: float = Field(120.0, gt=0, le=3600)
    query_megabytes: float = Field(32.0, gt=0, le=1000)
    upload_megabytes: float = Field(2000.0, gt=0, le=100_000)
    jobs: int = Field(100, ge=1, le=10_000)
    index_root: Path | None = None
    origins: tuple[str, ...] = ()
