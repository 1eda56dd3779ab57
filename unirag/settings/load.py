"""Loads the settings: arguments, then `UNIRAG_*`, then `unirag.yaml`, then the defaults.

Nothing else reads the environment. Unknown keys are errors in every source.
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
from generation.settings import AnswerSettings
from retrieval.qdrant_settings import ServerSettings
from retrieval.store import Quantization
from unirag.settings.cluster import ClusterSettings
from unirag.settings.search import SearchSettings
from unirag.settings.service import ApiKeys, ServiceSettings

__all__ = ["ChatSettings", "Dtype", "Settings", "load_settings"]

_PREFIX = "UNIRAG_"
_TEST_PREFIX = "UNIRAG_TEST_"  # for the tests; not a setting


class ChatSettings(BaseModel):
    """The language model: the profile's, or one behind an OpenAI-compatible endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(
        None,
        description="OpenAI-compatible endpoint (vLLM, llama-server, Ollama), such as "
        "http://127.0.0.1:8000/v1; it replaces the profile's model.",
    )
    model: str | None = Field(
        None, description="Name of the model at `url`; without `url`, a model source."
    )
    api_key: SecretStr | None = Field(None, description="Key of the endpoint.")


Dtype = Literal["auto", "float32", "bfloat16"]


class Settings(BaseSettings):
    """All settings of a run."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
    )

    home: Path = Field(
        default_factory=lambda: user_data_path("unirag") / "home",
        description="Workspace folder: everything that is indexed.",
    )
    models: Path = Field(
        default_factory=lambda: user_data_path("unirag") / "models",
        description="Folder of the models, shared by all workspaces.",
    )
    profile: Literal["mini", "base", "paper"] = Field("mini", description="Choice of models.")
    image_model: str | None = Field(
        None, description="OpenCLIP model in place of the profile's (hub:org/name, path:/folder)."
    )
    encoder: Path | None = Field(
        None, description="Folder of an encoder that `unirag train` wrote, in place of the shipped."
    )
    follow_styles: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Rate at which confident queries move the key of their enrolled style.",
    )
    text_model: str | None = Field(
        None, description="Text retriever in place of the profile's (hub:org/name, path:/folder)."
    )
    question_languages: tuple[str, ...] = Field(
        ("en",),
        min_length=1,
        description="Languages that the text retriever reads, as ISO 639-1 codes; a question that "
        "is surely in another one is told so instead of searched.",
    )
    speech_model: str | None = Field(
        None, description="Whisper model in place of the profile's (hub:org/name, path:/folder)."
    )
    reranker_model: str | None = Field(
        None, description="Reranker in place of the profile's (hub:org/name, path:/folder)."
    )
    entailment_model: str | None = Field(
        None, description="Entailment model in place of the profile's (hub:org/name, path:/folder)."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where models run.")
    dtype: Dtype = Field(
        "auto",
        description="Number format of the text, OpenCLIP and chat models. auto: bfloat16 where the "
        "hardware computes in it; vectors then depend a little on the machine and the batch.",
    )
    ocr: bool = Field(True, description="Read the words in figures and query pictures.")
    engine: Literal["local", "ray"] = Field(
        "local", description="Index on this machine, or on a Ray cluster."
    )
    reading: ReadingSettings = ReadingSettings()
    cluster: ClusterSettings = ClusterSettings()
    quantization: Quantization | None = Field(
        None,
        description="Dense vectors in memory: whole, as bytes (scalar) or as bits (binary). none "
        "leaves a collection as it is.",
    )
    qdrant_url: str | None = Field(
        None, description="Qdrant server; without one, the embedded engine stores the vectors."
    )
    qdrant_api_key: SecretStr | None = Field(None, description="Key of the Qdrant server.")
    qdrant: ServerSettings = ServerSettings()
    chat: ChatSettings = ChatSettings()
    search: SearchSettings = SearchSettings()
    answer: AnswerSettings = AnswerSettings()
    api_keys: ApiKeys = Field(
        (), description="Keys of the service: KEY,teacher:KEY or JSON (docs/service.md)."
    )
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
        """Read values from the arguments, the environment and the file; the first source wins."""
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if _file is not None:
            sources.append(YamlConfigSettingsSource(settings_cls, _file, "utf-8"))
        return tuple(sources)


# A global: pydantic-settings builds its sources in a class method, which takes no file path.
_file: Path | None = None


@contextmanager
def _settings_file(path: Path | None) -> Iterator[None]:
    global _file
    _file = path
    try:
        yield
    finally:
        _file = None


def load_settings(config: Path | None = None, **arguments: Any) -> Settings:
    """Load the settings from all sources. Ignore arguments that are None.

    `config` defaults to `unirag.yaml` in the working folder, if there is one. Raise `BadSetting`
    with the key, its value and what was expected.
    """
    if config is not None and not config.is_file():
        raise BadInput(f"{config}: no such file; expected a settings file in YAML")
    path = config or Path("unirag.yaml")
    values = {name: value for name, value in arguments.items() if value is not None}
    _check_environment()
    try:
        with _settings_file(path if path.is_file() else None):
            return Settings(**values)
    except ValidationError as error:
        raise _bad_setting(error, path) from None
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


def _bad_setting(error: ValidationError, path: Path) -> BadSetting:
    """Return the first finding of pydantic as an error of ours."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return BadSetting(f"setting {key}: {first['msg']}; got {first['input']!r}")
    expected_variable = _PREFIX + key.replace(".", "__").upper()
    variable = {name.upper(): name for name in os.environ}.get(expected_variable)
    place = f"(environment variable {variable})" if variable else f"in {path}"
    return BadSetting(_unknown_key(key, place))


def _check_environment() -> None:
    """Raise `BadSetting` for a variable with our prefix that is not a setting."""
    for name in os.environ:
        if not name.startswith(_PREFIX) or name.startswith(_TEST_PREFIX):
            continue
        key = name.removeprefix(_PREFIX).lower().split("__")[0]
        if key not in Settings.model_fields:
            raise BadSetting(_unknown_key(key, f"(environment variable {name})"))


def _unknown_key(key: str, place: str) -> str:
    similar = difflib.get_close_matches(key, Settings.model_fields, n=1)
    known = "known: " + ", ".join(Settings.model_fields)
    hint = f"did you mean {similar[0]!r}?" if similar else known
    return f"unknown setting {key!r} {place}; {hint}"
