"""Units of measurement in texts: 47 ohm is 47 Ω. The names and symbols are those of `pint`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pint import UnitRegistry

__all__ = ["separate_units", "unit_synonyms"]

_NUMBER = r"(?<![\w.,])\d+(?:[.,]\d+)*"
_QUANTITY = re.compile(rf"{_NUMBER}\s?([^\W\d_]+)")
_JOINED_QUANTITY = re.compile(rf"({_NUMBER})([^\W\d_]+)\b")


def unit_synonyms(text: str) -> dict[str, tuple[str, ...]]:
    """Return the other names of each unit behind a number of `text`: {"ohm": ("Ω",)}."""
    units = dict.fromkeys(match[1] for match in _QUANTITY.finditer(text))
    return {unit: names for unit in units if (names := _other_names(unit))}


def separate_units(text: str) -> str:
    """Put a space between a number and its unit: `589nm` becomes `589 nm`."""
    return _JOINED_QUANTITY.sub(
        lambda match: f"{match[1]} {match[2]}" if _other_names(match[2]) else match[0], text
    )


@lru_cache(maxsize=4096)
def _other_names(unit: str) -> tuple[str, ...]:
    registry = _registry()
    readings = registry.parse_unit_name(unit)
    if not readings:
        return ()
    prefix, name, _ = readings[0]
    names = (registry.get_symbol(prefix + name), f"{prefix}{name}".replace("_", " "))
    return tuple(n for n in dict.fromkeys(names) if n != unit)


@lru_cache(maxsize=1)
def _registry() -> UnitRegistry[Any]:
    from pint import UnitRegistry  # takes half a second, and few texts need it

    return UnitRegistry()
