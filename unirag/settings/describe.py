"""Describes every setting, for `unirag settings` and docs/settings.md."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from unirag.settings.load import Settings

__all__ = ["SettingDescription", "describe_settings", "settings_markdown"]

_BOUND_SIGNS = ((Ge, ">=", "ge"), (Gt, ">", "gt"), (Le, "<=", "le"), (Lt, "<", "lt"))


@dataclass(frozen=True)
class SettingDescription:
    """A setting: `key` in `unirag.yaml` and `variable` in the environment name the same one."""

    key: str
    variable: str
    type: str
    default: str
    bounds: str
    text: str


def describe_settings() -> list[SettingDescription]:
    """Return every setting in the order of their declaration, sections flattened."""
    return list(_describe(Settings, ()))


def _describe(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[SettingDescription]:
    for name, field in model.model_fields.items():
        keys = (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _describe(field.annotation, keys)
        else:
            yield SettingDescription(
                key=".".join(keys),
                variable="UNIRAG_" + "__".join(keys).upper(),
                type=_type_name(field.annotation),
                default=_default(name, field),
                bounds=_bounds(field),
                text=field.description or "",
            )


def _type_name(annotation: Any) -> str:
    """Return a type as a user writes it: `auto | cpu | cuda`, `integer`, `path or none`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(str(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(argument) for argument in arguments)
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    names = {
        "str": "text",
        "int": "integer",
        "float": "number",
        "bool": "true | false",
        "NoneType": "none",
        "SecretStr": "secret",
        "Path": "path",
        "ApiKey": "keys",
    }
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name)


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return f"unirag/{name} in the user's data folder"
    if field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    if isinstance(field.default, tuple):
        return "[" + ", ".join(str(value) for value in field.default) + "]"
    return str(field.default)


def _bounds(field: FieldInfo) -> str:
    return ", ".join(
        f"{sign} {getattr(constraint, attribute):g}"
        for constraint in field.metadata
        for kind, sign, attribute in _BOUND_SIGNS
        if isinstance(constraint, kind)
    )


def settings_markdown() -> str:
    """Return docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Arguments come first, then environment variables, then `unirag.yaml` in the working",
        "folder (or `--config FILE`), then these defaults. Unknown keys are errors. A dot in a key",
        "is a section in YAML and two underscores in a variable: `chat.url` is",
        "`UNIRAG_CHAT__URL`.",
        "",
        "This page is made by `python -m unirag.settings.describe > docs/settings.md`.",
        "",
        "| setting | type | default | what it does |",
        "|---|---|---|---|",
    ]
    for setting in describe_settings():
        kind = setting.type.replace("|", "\\|")
        bounds = f", {setting.bounds}" if setting.bounds else ""
        lines.append(f"| `{setting.key}` | {kind}{bounds} | {setting.default} | {setting.text} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(settings_markdown())
