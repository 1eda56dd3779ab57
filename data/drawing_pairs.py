"""Read photos of real drawings with the figure that each of them copies.

The folder holds `photos/` and `figures/`, with the same stem for a drawing and its figure:
`EXERCISE_WRITER`, as in hdBPMN (dwslab/hdBPMN, CC BY 4.0). One person's hand is the same in all of
their drawings, so a test holds out writers, never files.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from data.errors import BadInput
from data.figure_gallery import GalleryFigure
from data.pictures import PICTURE_SUFFIXES, digest_of, open_picture
from data.styles import DRAWING

__all__ = ["DrawingPair", "photo_variant", "read_drawing_pairs", "split_by_writer"]

_SHIFT = 0.08  # of the side; how far a corner of the photo moves, at most


@dataclass(frozen=True, slots=True)
class DrawingPair:
    """A photo of a drawing by a writer, and the figure of the gallery that it copies."""

    exercise: str
    writer: str
    photo: Path
    figure: GalleryFigure

    def open_photo(self) -> Image.Image:
        """Decode the photo to RGB, turned upright."""
        return open_picture(self.photo)


def read_drawing_pairs(folder: Path) -> list[DrawingPair]:
    """Return all pairs in `folder`, by exercise and writer.

    Raise `BadInput` if a photo has no figure or a figure no photo, or a name has another form.
    """
    photos, figures = (_pictures(folder / name) for name in ("photos", "figures"))
    if unpaired := sorted(photos.keys() ^ figures.keys()):
        raise BadInput(
            f"{folder}: {unpaired[0]!r} is not in both photos/ and figures/ ({len(unpaired)} such "
            "files); give a photo and its figure the same name"
        )
    return [_pair(photos[stem], figures[stem]) for stem in sorted(photos)]


def split_by_writer(
    pairs: Iterable[DrawingPair], held_out_share: float = 0.2, seed: int = 0
) -> tuple[list[DrawingPair], list[DrawingPair]]:
    """Return the pairs for training and those of the held-out writers, at least one.

    `seed` and the writers' names determine who is held out; the order of the pairs does not.
    """
    pairs = list(pairs)
    writers = sorted({pair.writer for pair in pairs})
    if len(writers) < 2:
        raise BadInput(f"drawings of {len(writers)} writers cannot be split; expected at least 2")
    count = min(len(writers) - 1, max(1, round(held_out_share * len(writers))))
    held_out = set(random.Random(seed).sample(writers, count))
    return (
        [pair for pair in pairs if pair.writer not in held_out],
        [pair for pair in pairs if pair.writer in held_out],
    )


def photo_variant(photo: Path, seed: int, number: int) -> Image.Image:
    """Return the photo as another shot of the same sheet, RGB; number 0 is the photo itself.

    Another shot is taken from another place: the corners move, and some of the rim is cut off or
    repeated. `seed`, the photo's name and `number` determine it.
    """
    picture = open_picture(photo)
    if not number:
        return picture
    rng = random.Random(f"{seed} {photo.name} {number}")
    width, height = picture.size
    corners = np.array([(0, 0), (0, height), (width, height), (width, 0)], np.float32)
    moves = [[rng.uniform(-_SHIFT, _SHIFT) * side for side in (width, height)] for _ in corners]
    matrix = cv2.getPerspectiveTransform(corners, corners + np.array(moves, np.float32))
    pixels = cv2.warpPerspective(
        np.asarray(picture), matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
    )
    return Image.fromarray(pixels)


def _pictures(folder: Path) -> dict[str, Path]:
    """Return the pictures of a folder by stem. Raise `BadInput` if there are none, or two alike."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; expected photos/ and figures/ with pictures")
    paths = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in PICTURE_SUFFIXES]
    if not paths:
        raise BadInput(f"{folder}: no pictures; expected files such as ex00_writer0001.jpg")
    pictures: dict[str, Path] = {}
    for path in paths:
        if path.stem in pictures:
            raise BadInput(f"{path}: {pictures[path.stem].name} has the same stem; rename one")
        pictures[path.stem] = path
    return pictures


def _pair(photo: Path, figure: Path) -> DrawingPair:
    exercise, separator, writer = photo.stem.partition("_")
    if not (exercise and separator and writer):
        raise BadInput(f"{photo}: expected a name such as ex00_writer0001: exercise, _, writer")
    digest = digest_of(figure.read_bytes())
    return DrawingPair(
        exercise, writer, photo, GalleryFigure(digest, figure, "", "", exercise, photo, DRAWING)
    )
