"""Runs of the papers as configuration files, `NAME.yaml`."""

from __future__ import annotations

from pathlib import Path

from data.errors import BadInput

__all__ = ["preset_names", "preset_text"]

_FOLDER = Path(__file__).parent


def preset_names() -> tuple[str, ...]:
    """Return the names of all presets."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def preset_text(name: str) -> str:
    """Return a preset as YAML. Raise `BadInput` if there is no such preset."""
    if name not in preset_names():
        raise BadInput(f"preset {name!r} is unknown; expected one of {', '.join(preset_names())}")
    return (_FOLDER / f"{name}.yaml").read_text()
