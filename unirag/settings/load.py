"""Settings: arguments, then `UNIRAG_*`, then `unirag.yaml`, then these defaults.

The only file that reads the environment. Sections live beside their owners and are passed in.
Unknown keys are errors in every source.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import yaml
from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from data.errors import BadInput, BadSetting
from data.reading_settings import ReadingSettings
from generation.answer import AnswerSettings
from retrieval.server_settings import ServerSettings
from retrieval.store import Quantization
from unirag.settings.cluster import ClusterSettings
from unirag.settings.search import SearchSettings
from unirag.settings.service import ApiKeys, ServiceSettings

__all__ = ["ChatSettings", "Dtype", "Settings", "load_settings"]

_PREFIX = "UNIRAG_"
_TEST_PREFIX = "UNIRAG_TEST_"  # read by the tests only


class ChatSettings(BaseModel):
    """Where the language model is; with `url` an OpenAI-compatible endpoint is used instead."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = None
    model: str | None = None
    api_key: SecretStr | None = None


# auto: bf16 where the hardware computes in it. Then results depend a little on the machine, and on
# what was encoded together.
Dtype = Literal["auto", "float32", "bfloat16"]


class Settings(BaseSettings):
    """All settings of a run. `home` holds what was indexed; `models` is shared between homes."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
    )

    home: Path = Field(default_factory=lambda: user_data_path("unirag") / "home")
    models: Path = Field(default_factory=lambda: user_data_path("unirag") / "models")
    profile: Literal["mini", "base", "paper"] = "mini"
    image_model: str | None = None
    encoder: Path | None = None  # a folder that `unirag train` wrote; else what is shipped
    follow_styles: float = Field(0.0, ge=0, le=0.5)  # keys of enrolled styles follow queries
    text_model: str | None = None
    speech_model: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Dtype = "auto"  # of the text, OpenCLIP and chat models
    ocr: bool = True
    engine: Literal["local", "ray"] = "local"  # which machines read and encode
    reading: ReadingSettings = ReadingSettings()
    cluster: ClusterSettings = ClusterSettings()
    quantization: Quantization | None = None  # of dense vectors; None leaves a collection as it is
    qdrant_url: str | None = None
    qdrant_api_key: SecretStr | None = None
    qdrant: ServerSettings = ServerSettings()
    chat: ChatSettings = ChatSettings()
    search: SearchSettings = SearchSettings()
    answer: AnswerSettings = AnswerSettings()
    api_keys: ApiKeys = ()
    service: ServiceSettings = ServiceSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if _file is not None:
            sources.append(YamlConfigSettingsSource(settings_cls, _file, "utf-8"))
        return tuple(sources)


# pydantic-settings builds its sources in a class method, so the file's path cannot be an argument.
_file: Path | None = None


@contextmanager
def _reading(path: Path | None) -> Iterator[None]:
    global _file
    _file = path
    try:
        yield
    finally:
        _file = None


def load_settings(config: Path | None = None, **given: Any) -> Settings:
    """Settings from all sources; `given` values that are None are left to the others.

    `config` defaults to `unirag.yaml` in the working folder, if there is one. Raises `BadSetting`
    naming the key, what came and what was expected.
    """
    if config is not None and not config.is_file():
        raise BadInput(f"{config}: no such file; expected a settings file in YAML")
    path = config or Path("unirag.yaml")
    values = {name: value for name, value in given.items() if value is not None}
    _check_environment()
    try:
        with _reading(path if path.is_file() else None):
            return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            variable = _PREFIX + key.replace(".", "__").upper()
            given_as = {name.upper(): name for name in os.environ}.get(variable)
            where = f"(environment variable {given_as})" if given_as else f"in {path}"
            raise BadSetting(_unknown(key, where)) from None
        raise BadSetting(f"setting {key}: {first['msg']}; got {first['input']!r}") from None
    except SettingsError as error:
        raise BadSetting(
            f"{error}; in the environment each key of a section is a variable of its own, such as "
            f"{_PREFIX}SEARCH__BM25=0.5"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError) as error:
        cause = " ".join(str(error).split())
        raise BadSetting(
            f"{path}: not valid YAML settings ({cause}); expected `key: value`"
        ) from None


def _check_environment() -> None:
    for name in os.environ:
        if not name.startswith(_PREFIX) or name.startswith(_TEST_PREFIX):
            continue
        key = name.removeprefix(_PREFIX).lower().split("__")[0]
        if key not in Settings.model_fields:
            raise BadSetting(_unknown(key, f"(environment variable {name})"))


def _unknown(key: str, where: str) -> str:
    near = difflib.get_close_matches(key, Settings.model_fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(Settings.model_fields)
    return f"unknown setting {key!r} {where}; {hint}"
