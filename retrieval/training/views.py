"""What the frozen CNN sees of every figure in every style, computed once and kept on disk.

The CNN is frozen and takes more time than the tower above it, so a training run reads its outputs
instead: F figures, V views of each, T patches, C channels, G Gram features.
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
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from data.figure_gallery import GalleryFigure
from data.styles import STYLES, STYLES_VERSION, restyle
from retrieval.efficientnet import GRAM, PATCHES, TAPS, EfficientNetLite0
from retrieval.encoder import ORIGINAL

__all__ = ["View", "Views", "compute_views"]

View = tuple[str, int]  # a style of `data.styles` or ORIGINAL, and the number of the take
_BATCH = 4  # figures of a work unit: a kill loses no more


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
        """The numbers of the views in a style."""
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
    """The views of `figures`, from `folder` where an earlier call made them; resumes after a kill.

    `cnn` is the folder of EfficientNet-Lite0. A figure costs 232 kB a view.
    """
    unknown = {style for style, _ in kinds} - {ORIGINAL, *STYLES}
    assert not unknown, unknown
    names = [figure.name for figure in figures]
    key = hashlib.sha256(
        json.dumps([names, kinds, seed, TAPS, STYLES_VERSION]).encode()
    ).hexdigest()[:16]
    at = folder / key
    at.mkdir(parents=True, exist_ok=True)
    shapes = {
        "patches": ((len(figures), len(kinds), PATCHES, sum(TAPS)), np.float16),
        "gram": ((len(figures), len(kinds), GRAM), np.float32),
        "done": ((len(figures),), np.bool_),
    }
    for name, (shape, dtype) in shapes.items():
        path = at / f"{name}.npy"
        if not path.exists():
            part = path.with_suffix(".part")
            open_memmap(part, "w+", dtype, shape).flush()
            part.rename(path)
    done_F = np.load(at / "done.npy", mmap_mode="r")
    todo = [i for i in range(len(figures)) if not done_F[i]]
    units = [tuple(todo[i : i + _BATCH]) for i in range(0, len(todo), _BATCH)]
    if units:
        ready = int(done_F.sum())
        for count in _run(units, figures, kinds, seed, cnn, at, workers):
            ready += count
            progress(ready, len(figures))
    return Views(
        figures,
        kinds,
        np.load(at / "patches.npy", mmap_mode="r"),
        np.load(at / "gram.npy", mmap_mode="r"),
    )


def _run(
    units: list[tuple[int, ...]],
    figures: Sequence[GalleryFigure],
    kinds: tuple[View, ...],
    seed: int,
    cnn: Path,
    at: Path,
    workers: int,
) -> Iterator[int]:
    # spawn: forking a process that has started torch's threads can hang
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (cnn, at)) as pool:
        yield from pool.map(
            _work,
            units,
            ([figures[i] for i in unit] for unit in units),
            repeat(kinds),
            repeat(seed),
            chunksize=4,
        )


class _Worker:
    """What a worker process keeps between units."""

    cnn: EfficientNetLite0
    at: Path


def _start(cnn: Path, at: Path) -> None:
    torch.set_num_threads(1)
    _Worker.cnn, _Worker.at = EfficientNetLite0(cnn), at


def _work(
    rows: tuple[int, ...], figures: Sequence[GalleryFigure], kinds: tuple[View, ...], seed: int
) -> int:
    patches = np.load(_Worker.at / "patches.npy", mmap_mode="r+")
    gram = np.load(_Worker.at / "gram.npy", mmap_mode="r+")
    done = np.load(_Worker.at / "done.npy", mmap_mode="r+")
    for row, figure in zip(rows, figures, strict=True):
        picture = figure.open()
        seen = _Worker.cnn.extract(
            _Worker.cnn.preprocess(
                [
                    picture if style == ORIGINAL else restyle(picture, style, figure.name, seed, n)
                    for style, n in kinds
                ]
            )
        )
        patches[row], gram[row] = seen.patches_BTC.half().numpy(), seen.gram_BG.numpy()
        done[row] = True
    return len(rows)
