"""What a checkpoint says of itself, read without torch."""

from __future__ import annotations

import json
from pathlib import Path

from data.errors import BadInput

__all__ = ["CARD", "SHIPPED_ENCODER", "checkpoint_name", "invalid_checkpoint"]

SHIPPED_ENCODER = Path(__file__).resolve().parent / "weights" / "mini"
CARD = "config.json"


def checkpoint_name(folder: Path) -> str:
    """The name of the checkpoint in `folder`. Raises `BadInput` where there is none."""
    try:
        return str(json.loads((folder / CARD).read_text())["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise invalid_checkpoint(folder, error) from None


def invalid_checkpoint(folder: Path, error: Exception) -> BadInput:
    reason = str(error).splitlines()[0]
    return BadInput(
        f"{folder}: not a trained encoder ({reason}); expected config.json and "
        "model.safetensors as `unirag train` writes them"
    )
