"""Query styles of a workspace: enrolled from example pictures, stored in versions, removable."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from PIL import Image

from data.errors import BadInput, Mismatch
from data.pictures import PICTURE_SUFFIXES, open_picture
from retrieval.encoder import ORIGINAL, Vectors
from retrieval.enrolment import MAX_EXAMPLES, MIN_EXAMPLES, Enrolment, enrol
from retrieval.uni_encoder import UniEncoder

__all__ = ["EnrolledStyles", "StyleExamples", "learn_style", "read_examples"]


class EnrolledStyles:
    """The enrolments in one folder, as `NAME-vN.safetensors`. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Enrolment]:
        """Return every version of every style, by name and version."""
        enrolments = []
        for path in self.folder.glob("*.safetensors"):
            try:
                enrolments.append(Enrolment.load(path))
            except BadInput:
                if path.exists():  # if it is gone, another process has removed it
                    raise
        return sorted(enrolments, key=lambda e: (e.name, e.version))

    def listing(self) -> tuple[object, ...]:
        """Return a value that changes when any process enrols or removes a style."""
        try:
            return self.folder.stat().st_mtime_ns, *sorted(self.folder.iterdir())
        except FileNotFoundError:
            return ()

    def in_use(self, encoder: str) -> list[Enrolment]:
        """Return the newest version of each style.

        Raise `Mismatch` if one was learned with an encoder whose name is not `encoder`.
        """
        newest = {enrolment.name: enrolment for enrolment in self.all()}
        for enrolment in newest.values():
            if enrolment.encoder != encoder:
                raise Mismatch(
                    f"style {enrolment.name!r} was learned with encoder {enrolment.encoder}, this "
                    f"is {encoder}; run `unirag styles remove {enrolment.name}`, then "
                    "`unirag adapt` again"
                )
        return list(newest.values())

    def next_version(self, name: str) -> int:
        """Return the version of the next enrolment of a style, from 1."""
        return 1 + max((e.version for e in self.all() if e.name == name), default=0)

    def add(self, enrolment: Enrolment) -> Enrolment:
        """Store an enrolment under the next free version, and return it with that version."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "lock"):
            enrolment = replace(enrolment, version=self.next_version(enrolment.name))
            path = self.folder / f"{enrolment.name}-v{enrolment.version}.safetensors"
            part = path.with_suffix(".part")  # so that nobody reads an incomplete file
            part.unlink(missing_ok=True)
            enrolment.save(part)
            part.replace(path)
        return enrolment

    def remove(self, name: str, version: int | None = None) -> int:
        """Delete all versions of a style, or only `version`. Return how many were deleted.

        The newest remaining version is then in use. Raise `BadInput` if there is no such style.
        """
        pattern = f"{name}-v{version}.safetensors" if version else f"{name}-v*.safetensors"
        paths = [
            path
            for path in (self.folder.glob(pattern) if _is_style_name(name) else ())
            if re.fullmatch(rf"{re.escape(name)}-v\d+", path.stem)
        ]
        if not paths:
            enrolled = ", ".join(f"{e.name} v{e.version}" for e in self.all()) or "none"
            raise BadInput(f"style {name!r} is not enrolled here; enrolled: {enrolled}")
        for path in paths:
            path.unlink()
        return len(paths)


@dataclass(frozen=True)
class StyleExamples:
    """Pictures in a style. `originals` are the figures they show, in the same order, or none."""

    pictures: list[Image.Image]
    originals: list[Image.Image] | None


def read_examples(
    folder: Path,
    originals: Path | None = None,
    decode: Callable[[Path], Image.Image] = open_picture,
) -> StyleExamples:
    """Read the pictures in `folder`, and for each the picture of the same name in `originals`.

    Suffixes may differ. Raise `BadInput` if there are too few or too many pictures, or if one has
    no original.
    """
    paths = _picture_paths(folder)
    if not MIN_EXAMPLES <= len(paths) <= MAX_EXAMPLES:
        raise BadInput(
            f"{folder}: {len(paths)} pictures; expected {MIN_EXAMPLES} to {MAX_EXAMPLES} examples "
            "of the style"
        )
    pictures = [decode(path) for path in paths]
    if originals is None:
        return StyleExamples(pictures, None)
    original_paths = {path.stem: path for path in _picture_paths(originals)}
    for path in paths:
        if path.stem not in original_paths:
            raise BadInput(
                f"{path}: no picture named {path.stem} in {originals}; expected the figure that "
                "the example shows, under the same name, or no --originals at all"
            )
    return StyleExamples(pictures, [decode(original_paths[path.stem]) for path in paths])


def learn_style(
    encoder: UniEncoder,
    name: str,
    version: int,
    examples: StyleExamples,
    other_figures: Sequence[Image.Image],
) -> Enrolment:
    """Return the bank entry of a style.

    `other_figures` are not shown by the examples; they serve for comparison. Raise `BadInput` if
    the name cannot be used, or if there is no figure to compare with.
    """
    _check_style_name(name, encoder)
    if not examples.originals and not other_figures:
        raise BadInput(
            f"style {name!r}: no figures to compare the examples with; pass --originals, or index "
            "a corpus with figures first: unirag index PATH"
        )
    originals_FD = encoder.encode_image(examples.originals or [], ORIGINAL)
    others_FD = encoder.encode_image(list(other_figures), ORIGINAL)
    gallery_FD: Vectors = np.concatenate([originals_FD, others_FD])
    answers = list(range(len(originals_FD))) if examples.originals else None
    return enrol(
        encoder.encoder,
        name,
        version,
        encoder.name,
        encoder.encoder.tower.prepare_images(examples.pictures),
        torch.from_numpy(gallery_FD),
        answers,
    )


def _check_style_name(name: str, encoder: UniEncoder) -> None:
    if not _is_style_name(name):
        raise BadInput(
            f"style name {name!r}: expected lower-case letters, digits and hyphens, such as "
            "'blackboard'"
        )
    if name in ("auto", *encoder.encoder.styles):
        raise BadInput(
            f"style {name!r} is one that the encoder was trained on; give yours another name"
        )


def _is_style_name(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) is not None


def _picture_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BadInput(f"{folder}: not a folder; expected one with pictures in it")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
