"""Words inside pictures: the labels of a figure, the text of a photographed page.

`rapidocr` runs PP-OCRv6 small (Apache-2.0) from the models inside its own wheel, so nothing is ever
fetched. `benchmarks/ocr.md` has the measurements behind the settings. Greek letters and
mathematical signs are often misread.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from data.errors import Missing
from data.reading_order import Box, is_word, paragraphs, rows, straighten, unhyphenated
from data.sqlite import Database

__all__ = ["LabelCache", "LabelReader", "OcrCache", "OcrSettings"]

_POSTPROCESSING = 1  # part of the stamp: raise it when the text made from the same boxes changes
_SMALLEST_SIDE = 8  # pixels; no letter fits below
_MOST = 8  # engines; the second took 100 MB (benchmarks/index.md)
_WIDEST = 8  # times the height; a wider picture gets black bars to a quarter of its width
_SCHEMA = """CREATE TABLE IF NOT EXISTS labels (
    digest TEXT NOT NULL, stamp TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (digest, stamp)
) WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class OcrSettings:
    """How pictures are read. The defaults are the benchmark's choice, see `benchmarks/ocr.md`.

    `figure_pixels` and `page_pixels` are the least and the most pixels that the detector sees:
    smaller pictures are scaled up (by `max_scale` at most), larger ones down. Unlike a bound on one
    side, as upstream has, that bounds the time whatever the shape. The least is the benchmark's
    choice; the most keeps small print in large scans legible. `min_width` is the width in pixels to
    which a label is padded at least for the recogniser, at height 48: upstream's 320 spends most of
    its time on padding. Lines below `min_score` (mean probability of their characters) are dropped.
    `at_once` pictures are read at a time, each by `threads` threads; neither changes a letter.
    """

    figure_pixels: tuple[int, int] = (200_000, 600_000)
    page_pixels: tuple[int, int] = (600_000, 1_600_000)
    max_scale: float = 2.5
    box_threshold: float = 0.5
    min_score: float = 0.5
    min_width: int = 48
    batch: int = 6
    threads: int = 2
    at_once: int = 1

    @classmethod
    def for_many(cls, cores: int) -> OcrSettings:
        """For as many pictures as there may be: a core for each of several, up to eight."""
        return cls(threads=1, at_once=min(cores, _MOST))

    def engine_params(self) -> dict[str, Any]:
        """What `Engine` takes; pictures come to it scaled."""
        return {
            "Global.log_level": "error",
            "Global.text_score": self.min_score,
            "Global.use_preprocess_img": False,  # scales
            "Global.width_height_ratio": _WIDEST,
            "EngineConfig.onnxruntime.intra_op_num_threads": self.threads,
            "Det.limit_type": "max",
            "Det.limit_side_len": 1 << 16,  # scales no more
            "Det.box_thresh": self.box_threshold,
            "Rec.rec_img_shape": [3, 48, self.min_width],
            "Rec.rec_batch_num": self.batch,
        }

    def stamp(self) -> str:
        """Names everything that decides the labels: the cache's key beside the digest."""
        parts = (
            version("rapidocr"),
            _POSTPROCESSING,
            self.figure_pixels,
            self.max_scale,
            self.box_threshold,
            self.min_score,
            self.min_width,
            self.batch,  # the padding, hence now and then a letter, depends on it
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


class LabelCache(Protocol):
    """What was read, by picture digest and settings stamp."""

    def get(self, digest: str, stamp: str) -> str | None: ...

    def put(self, digest: str, stamp: str, text: str) -> None: ...


class OcrCache:
    """Labels that were read, by picture digest and settings stamp, in a SQLite file.

    Safe to call from several threads and processes. Raises `UniragError` if the file is unusable.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA, "the OCR cache", "run the command again")

    def get(self, digest: str, stamp: str) -> str | None:
        rows = self._database.rows(
            "SELECT text FROM labels WHERE digest = ? AND stamp = ?", digest, stamp
        )
        return str(rows[0][0]) if rows else None

    def put(self, digest: str, stamp: str, text: str) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO labels VALUES (?, ?, ?)", digest, stamp, text
        )

    def close(self) -> None:
        self._database.close()


class LabelReader:
    """Reads pictures, `settings.at_once` at a time; safe across threads.

    Each engine belongs to one thread and is loaded with that thread's first picture.
    """

    def __init__(
        self, settings: OcrSettings | None = None, cache: LabelCache | None = None
    ) -> None:
        self.settings = settings or OcrSettings()
        self._cache = cache
        self._threads = ThreadPoolExecutor(self.settings.at_once, "ocr")
        self._own = threading.local()

    def read(self, picture: Image.Image) -> str:
        """The labels of a figure in reading order, one per line; empty where there are none.

        A label without a letter or digit is left out, an exact repeat is given once, and a word
        that is hyphenated over two lines is joined.
        """
        return self._threads.submit(self._figure, picture).result()

    def read_page(self, picture: Image.Image) -> str:
        """The text of a photographed page in reading order, column by column.

        Lines are joined into paragraphs, with an empty line between two; a tilt of up to 20 degrees
        is taken out first.
        """
        return self._threads.submit(self._page, picture).result()

    def labels(self, pictures: Mapping[str, Image.Image]) -> dict[str, str]:
        """`read` for each; kept in the cache under the digests of their bytes."""
        found = {d: text for d in pictures if (text := self.known(d)) is not None}
        new = [digest for digest in pictures if digest not in found]
        texts = self._threads.map(self._figure, [pictures[digest] for digest in new])
        for digest, text in zip(new, texts, strict=True):
            found[digest] = text
            if self._cache:
                self._cache.put(digest, self.settings.stamp(), text)
        return found

    def known(self, digest: str) -> str | None:
        """The labels that the cache has under a digest, or None."""
        return self._cache.get(digest, self.settings.stamp()) if self._cache else None

    def _figure(self, picture: Image.Image) -> str:
        boxes = self._boxes(picture, self.settings.figure_pixels)
        labels = unhyphenated([box for row in rows(boxes) for box in row])
        return "\n".join(dict.fromkeys(label for label in labels if is_word(label)))

    def _page(self, picture: Image.Image) -> str:
        boxes = self._boxes(picture, self.settings.page_pixels)
        return "\n\n".join(paragraphs(straighten(boxes)))

    def _boxes(self, picture: Image.Image, pixels: tuple[int, int]) -> list[Box]:
        if min(picture.size) < _SMALLEST_SIDE:
            return []
        if not hasattr(self._own, "engine"):
            self._own.engine = _load(self.settings)
        found = self._own.engine(scaled(picture, pixels, self.settings.max_scale))
        if found.boxes is None or found.txts is None:
            return []
        return [
            Box(text.strip(), np.asarray(corners, dtype=np.float64))
            for text, corners in zip(found.txts, found.boxes, strict=True)
        ]


def scaled(picture: Image.Image, pixels: tuple[int, int], max_scale: float) -> Image.Image:
    """The picture as RGB with at least and at most `pixels` pixels, its shape kept.

    A strip counts as what the detector sees of it, with its bars.
    """
    width, height = picture.size
    area = width * (width / 4 if width > _WIDEST * height else height)
    least, most = pixels
    scale = min(math.sqrt(min(max(area, least), most) / area), max_scale)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def _load(settings: OcrSettings) -> Any:
    for package in ("rapidocr", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise Missing(
                f"reading text in pictures needs the package {package}; "
                'run: pip install "rapidocr==3.10.*" onnxruntime'
            )
    from data.ocr_engine import Engine

    return Engine(settings.engine_params())
