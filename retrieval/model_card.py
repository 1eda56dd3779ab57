"""The location and the name of a trained encoder, read without torch."""

from __future__ import annotations

import json
from pathlib import Path

from data.errors import BadInput

__all__ = ["CARD_FILE", "SHIPPED_ENCODER", "checkpoint_name", "invalid_checkpoint"]

SHIPPED_ENCODER = Path(__file__).resolve().parent / "weights" / "mini"
CARD_FILE = "config.json"


def checkpoint_name(folder: Path) -> str:
    """Return the name of the checkpoint in `folder`. Raises `BadInput` if there is none."""
    try:
        return str(json.loads((folder / CARD_FILE).read_text())["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise invalid_checkpoint(folder, error) from None


def invalid_checkpoint(folder: Path, error: Exception) -> BadInput:
    """Build the error for a folder without a usable checkpoint."""
    reason = str(error).splitlines()[0]
    return BadInput(
        f"{folder}: not a trained encoder ({reason}); expected config.json and "
        "model.safetensors as `unirag train` writes them"
    )
