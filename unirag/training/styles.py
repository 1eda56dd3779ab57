"""Query styles that a home has learned: enrolled from examples, versioned, removable."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from PIL import Image

from data.errors import BadInput, Mismatch
from data.pictures import PICTURE_SUFFIXES, open_picture
from retrieval.encoder import ORIGINAL, Vectors
from retrieval.enrolment import FEWEST, MOST, Enrolment, enrol
from retrieval.serving import UniEncoder

__all__ = ["Examples", "StyleShelf", "learn", "read_examples"]


class StyleShelf:
    """Enrolments in one folder, `NAME-vN.safetensors`; of each style the newest is in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Enrolment]:
        """Every version, by name and version."""
        found = []
        for path in self.folder.glob("*.safetensors"):
            try:
                found.append(Enrolment.load(path))
            except BadInput:
                if path.exists():  # else another process has just removed it
                    raise
        return sorted(found, key=lambda e: (e.name, e.version))

    def listing(self) -> tuple[object, ...]:
        """What differs after a style was enrolled or removed, by whichever process."""
        try:
            return self.folder.stat().st_mtime_ns, *sorted(self.folder.iterdir())
        except FileNotFoundError:
            return ()

    def in_use(self, encoder: str) -> list[Enrolment]:
        """The newest version of each style; raises `Mismatch` for one of other weights."""
        newest = {e.name: e for e in self.all()}
        for entry in newest.values():
            if entry.encoder != encoder:
                raise Mismatch(
                    f"style {entry.name!r} was learned with encoder {entry.encoder}, this is "
                    f"{encoder}; run `unirag styles remove {entry.name}`, then `unirag adapt` again"
                )
        return list(newest.values())

    def next_version(self, name: str) -> int:
        return 1 + max((e.version for e in self.all() if e.name == name), default=0)

    def add(self, entry: Enrolment) -> Enrolment:
        """Keep it under the next version, which another process may have made a later one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "lock"):
            entry = replace(entry, version=self.next_version(entry.name))
            path = self.folder / f"{entry.name}-v{entry.version}.safetensors"
            part = path.with_suffix(".part")  # nobody reads half a style
            part.unlink(missing_ok=True)
            entry.save(part)
            part.replace(path)
        return entry

    def remove(self, name: str, version: int | None = None) -> int:
        """Delete a style, or one version of it, whose forerunner is then in use again."""
        pattern = f"{name}-v{version}.safetensors" if version else f"{name}-v*.safetensors"
        paths = [
            path
            for path in (self.folder.glob(pattern) if _is_name(name) else ())
            if re.fullmatch(rf"{re.escape(name)}-v\d+", path.stem)
        ]
        if not paths:
            known = ", ".join(f"{e.name} v{e.version}" for e in self.all()) or "none"
            raise BadInput(f"style {name!r} is not enrolled here; enrolled: {known}")
        for path in paths:
            path.unlink()
        return len(paths)


class Examples:
    """Pictures of a style, and the figures that they show, where those are known."""

    def __init__(self, pictures: list[Image.Image], originals: list[Image.Image] | None) -> None:
        self.pictures, self.originals = pictures, originals


def read_examples(
    folder: Path,
    originals: Path | None = None,
    decode: Callable[[Path], Image.Image] = open_picture,
) -> Examples:
    """The pictures in `folder`, each with its namesake in `originals` (suffixes may differ).

    Raises `BadInput` for a folder with too few or too many pictures, or one without its original.
    """
    paths = _pictures(folder)
    if not FEWEST <= len(paths) <= MOST:
        raise BadInput(
            f"{folder}: {len(paths)} pictures; expected {FEWEST} to {MOST} examples of the style"
        )
    pictures = [decode(path) for path in paths]
    if originals is None:
        return Examples(pictures, None)
    known = {path.stem: path for path in _pictures(originals)}
    for path in paths:
        if path.stem not in known:
            raise BadInput(
                f"{path}: no picture named {path.stem} in {originals}; expected the figure that "
                "the example shows, under the same name, or no --originals at all"
            )
    return Examples(pictures, [decode(known[path.stem]) for path in paths])


def learn(
    encoder: UniEncoder,
    name: str,
    version: int,
    examples: Examples,
    others: Sequence[Image.Image],
) -> Enrolment:
    """The style's bank entry. `others` are figures that the examples do not show."""
    check_name(name, encoder)
    if not examples.originals and not others:
        raise BadInput(
            f"style {name!r}: no figures to compare the examples with; pass --originals, or index "
            "a corpus with figures first: unirag index PATH"
        )
    tower = encoder.encoder.tower
    own = encoder.encode_image(examples.originals or [], ORIGINAL)
    rest = encoder.encode_image(list(others), ORIGINAL)
    gallery_FD: Vectors = np.concatenate([own, rest])
    answers = list(range(len(own))) if examples.originals else None
    return enrol(
        encoder.encoder,
        name,
        version,
        encoder.name,
        tower.look(examples.pictures),
        torch.from_numpy(gallery_FD),
        answers,
    )


def check_name(name: str, encoder: UniEncoder) -> None:
    if not _is_name(name):
        raise BadInput(
            f"style name {name!r}: expected lower-case letters, digits and hyphens, such as "
            "'blackboard'"
        )
    if name in ("auto", *encoder.encoder.styles):
        raise BadInput(
            f"style {name!r} is one that the encoder was trained on; give yours another name"
        )


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) is not None


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BadInput(f"{folder}: not a folder; expected one with pictures in it")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
