"""Features of every figure in every style from the frozen CNN, computed once and stored on disk.

The CNN takes more time than the tower on top of it, so training reads its outputs from disk.
F figures, V views of each, T patches, C channels, G Gram features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image

from data.drawing_pairs import photo_variant
from data.figure_gallery import GalleryFigure
from data.paper import clean_drawing
from data.pictures import digest_of
from data.styles import DRAWING, STYLES, STYLES_VERSION, restyle
from retrieval.efficientnet import GRAM, PATCHES, TAPS, EfficientNetLite0
from retrieval.encoder import ORIGINAL

__all__ = ["View", "Views", "compute_views", "query_picture"]

View = tuple[str, int]  # a style of `data.styles` or ORIGINAL, and the number of the variant
_FIGURES_PER_UNIT = 4  # a killed run loses at most this many per worker


@dataclass(frozen=True)
class Views:
    """Read-only arrays on disk; row f, v is view `kinds[v]` of `figures[f]`."""

    figures: Sequence[GalleryFigure]
    kinds: tuple[View, ...]
    patches_FVTC: NDArray[np.float16]
    gram_FVG: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.figures)

    def indices_of(self, style: str) -> list[int]:
        """Return the indices of the views in a style."""
        return [v for v, (name, _) in enumerate(self.kinds) if name == style]


def compute_views(
    figures: Sequence[GalleryFigure],
    kinds: tuple[View, ...],
    seed: int,
    cnn: Path,
    folder: Path,
    workers: int = 2,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Views:
    """Compute the views of `figures`, or read them from `folder` if an earlier call stored them.

    A killed call resumes. Of several processes, such as the ranks of a training, one computes and
    the others wait. `cnn` is the folder of EfficientNet-Lite0. A view of a figure takes
    232 kB on disk. `progress` gets the numbers of finished figures and of all figures.
    """
    unknown = {style for style, _ in kinds} - {ORIGINAL, *STYLES}
    assert all(figure.photo_style in unknown for figure in figures if unknown), unknown
    names = [(f.name, f.photo and digest_of(f.photo.read_bytes())) for f in figures]
    content = json.dumps([names, kinds, seed, TAPS, STYLES_VERSION])
    arrays = folder / hashlib.sha256(content.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(arrays.with_suffix(".lock")):
        _create_arrays(arrays, len(figures), len(kinds))
        done_F = np.load(arrays / "done.npy", mmap_mode="r")
        todo = [i for i in range(len(figures)) if not done_F[i]]
        starts = range(0, len(todo), _FIGURES_PER_UNIT)
        units = [tuple(todo[i : i + _FIGURES_PER_UNIT]) for i in starts]
        if units:
            finished = int(done_F.sum())
            for count in _run_workers(units, figures, kinds, seed, cnn, arrays, workers):
                finished += count
                progress(finished, len(figures))
    return Views(
        figures,
        kinds,
        np.load(arrays / "patches.npy", mmap_mode="r"),
        np.load(arrays / "gram.npy", mmap_mode="r"),
    )


def _create_arrays(folder: Path, figures: int, views: int) -> None:
    """Create the arrays in `folder` that do not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {
        "patches": ((figures, views, PATCHES, sum(TAPS)), np.float16),
        "gram": ((figures, views, GRAM), np.float32),
        "done": ((figures,), np.bool_),
    }
    for name, (shape, dtype) in shapes.items():
        path = folder / f"{name}.npy"
        if not path.exists():
            part = path.with_suffix(".part")
            open_memmap(part, "w+", dtype, shape).flush()
            part.rename(path)


def _run_workers(
    units: list[tuple[int, ...]],
    figures: Sequence[GalleryFigure],
    kinds: tuple[View, ...],
    seed: int,
    cnn: Path,
    arrays: Path,
    workers: int,
) -> Iterator[int]:
    """Process the units in worker processes; yield the number of figures of each."""
    # spawn: forking a process that has started torch's threads can hang
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (cnn, arrays)) as pool:
        yield from pool.map(
            _process_unit,
            units,
            ([figures[i] for i in unit] for unit in units),
            repeat(kinds),
            repeat(seed),
            chunksize=4,
        )


class _Worker:
    """The state that a worker process keeps between units."""

    cnn: EfficientNetLite0
    arrays: Path


def _start_worker(cnn: Path, arrays: Path) -> None:
    torch.set_num_threads(1)
    _Worker.cnn, _Worker.arrays = EfficientNetLite0(cnn), arrays


def _process_unit(
    rows: tuple[int, ...], figures: Sequence[GalleryFigure], kinds: tuple[View, ...], seed: int
) -> int:
    patches = np.load(_Worker.arrays / "patches.npy", mmap_mode="r+")
    gram = np.load(_Worker.arrays / "gram.npy", mmap_mode="r+")
    done = np.load(_Worker.arrays / "done.npy", mmap_mode="r+")
    for row, figure in zip(rows, figures, strict=True):
        picture = figure.open()
        features = _Worker.cnn.extract(
            _Worker.cnn.preprocess(
                [
                    picture
                    if style == ORIGINAL
                    else query_picture(figure, picture, style, seed, number)
                    for style, number in kinds
                ]
            )
        )
        patches[row] = features.patches_BTC.half().numpy()
        gram[row] = features.gram_BG.numpy()
        done[row] = True
    return len(rows)


def query_picture(
    figure: GalleryFigure, picture: Image.Image, style: str, seed: int, number: int
) -> Image.Image:
    """Return a query for a figure: the one that a person made, or the restyled `picture`.

    A drawing is cleaned, as one reading of it is in a search.
    """
    if figure.photo is not None and figure.photo_style == style:
        query = photo_variant(figure.photo, seed, number)
    else:
        query = restyle(picture, style, figure.name, seed, number)
    return (clean_drawing(query) if style == DRAWING else None) or query
