"""Read words in pictures: the labels of a figure, the text of a photographed page.

`rapidocr` runs PP-OCRv6 small (Apache-2.0) with the models inside its own wheel, so nothing is
downloaded. Greek letters and mathematical signs are often misread. `benchmarks/ocr.md` has the
measurements behind the settings.
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
from data.sqlite import Database
from data.text_line_order import (
    TextLine,
    group_rows,
    has_letter_or_digit,
    join_hyphenated,
    join_paragraphs,
    straighten,
)

__all__ = ["LabelCache", "LabelReader", "OcrCache", "OcrSettings", "scale"]

_POSTPROCESSING_VERSION = 1  # raise it when the same recognised lines give another text
_MIN_SIDE = 8  # pixels; smaller pictures hold no letter
_MAX_ENGINES = 8  # a second engine took 100 MB more (benchmarks/index.md)
# The engine pads a picture that is wider than this ratio with black bars above and below, up to a
# height of a quarter of its width.
_MAX_WIDTH_TO_HEIGHT = 8
_LINE_HEIGHT = 48  # pixels, the recogniser's input
_NO_LIMIT = 1 << 16  # pixels
_SCHEMA = """CREATE TABLE IF NOT EXISTS labels (
    digest TEXT NOT NULL, stamp TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (digest, stamp)
) WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class OcrSettings:
    """How pictures are read. `benchmarks/ocr.md` chose the defaults.

    `figure_pixels` and `page_pixels` are the smallest and largest area that the detector gets, in
    pixels. Smaller pictures are scaled up, by `max_scale` at most; larger ones are scaled down.
    A limit on the area bounds the time for pictures of any shape, unlike rapidocr's limit on one
    side. The upper limit is high enough to keep small print in large scans legible.

    Regions that the detector scores below `box_threshold` are not text. Lines whose characters have
    a mean probability below `min_score` are dropped. `min_width` is the least width in pixels to
    which the recogniser pads a line, at a height of 48. At rapidocr's own value of 320, most of
    the time goes into padding. `batch` lines are recognised together.

    `concurrent_pictures` pictures are read at the same time, each with `threads` threads. These
    two settings do not change the text.
    """

    figure_pixels: tuple[int, int] = (200_000, 600_000)
    page_pixels: tuple[int, int] = (600_000, 1_600_000)
    max_scale: float = 2.5
    box_threshold: float = 0.5
    min_score: float = 0.5
    min_width: int = 48
    batch: int = 6
    threads: int = 2
    concurrent_pictures: int = 1

    @classmethod
    def for_many(cls, cores: int) -> OcrSettings:
        """Return settings for many pictures: up to eight at a time, each on one core."""
        return cls(threads=1, concurrent_pictures=min(cores, _MAX_ENGINES))

    def engine_params(self) -> dict[str, Any]:
        """Return the parameters of `OcrEngine`. They turn its scaling off: `LabelReader` scales."""
        return {
            "Global.log_level": "error",
            "Global.text_score": self.min_score,
            "Global.use_preprocess_img": False,  # this step scales pictures
            "Global.width_height_ratio": _MAX_WIDTH_TO_HEIGHT,
            "EngineConfig.onnxruntime.intra_op_num_threads": self.threads,
            "Det.limit_type": "max",
            "Det.limit_side_len": _NO_LIMIT,
            "Det.box_thresh": self.box_threshold,
            "Rec.rec_img_shape": [3, _LINE_HEIGHT, self.min_width],
            "Rec.rec_batch_num": self.batch,
        }

    def stamp(self) -> str:
        """Return a hash of everything that the labels depend on, for the cache."""
        values = (
            version("rapidocr"),
            _POSTPROCESSING_VERSION,
            self.figure_pixels,
            self.max_scale,
            self.box_threshold,
            self.min_score,
            self.min_width,
            self.batch,  # the batch size changes the padding, which rarely changes a letter
        )
        return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


class LabelCache(Protocol):
    """A cache of figure labels, keyed by picture digest and settings stamp."""

    def get(self, digest: str, stamp: str) -> str | None: ...

    def put(self, digest: str, stamp: str, text: str) -> None: ...


class OcrCache:
    """A cache of figure labels in a SQLite file, keyed by picture digest and settings stamp.

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
    """Read the text in pictures. Safe to call from several threads.

    There are `settings.concurrent_pictures` threads. Each loads its own engine when it reads its
    first picture.
    """

    def __init__(
        self, settings: OcrSettings | None = None, cache: LabelCache | None = None
    ) -> None:
        self.settings = settings or OcrSettings()
        self._cache = cache
        self._threads = ThreadPoolExecutor(self.settings.concurrent_pictures, "ocr")
        self._thread_local = threading.local()

    def read(self, picture: Image.Image) -> str:
        """Return the labels of a figure in reading order, one per line; '' if it has none.

        Labels without a letter or digit and repeated labels are left out. A word that is hyphenated
        over two lines is joined.
        """
        return self._threads.submit(self._read_figure, picture).result()

    def read_page(self, picture: Image.Image) -> str:
        """Return the text of a photographed page in reading order, column by column.

        Lines are joined into paragraphs, which are separated by an empty line. A tilt of up to 20
        degrees is removed first.
        """
        return self._threads.submit(self._read_page, picture).result()

    def read_lines(self, picture: Image.Image) -> list[TextLine]:
        """Return the lines of a page, unordered; corners are fractions of the picture's sides."""
        pixels = self.settings.page_pixels
        width, height = scale(picture, pixels, self.settings.max_scale).size
        lines = self._threads.submit(self._recognise, picture, pixels).result()
        sides = np.array([width, height], dtype=np.float64)
        return [TextLine(line.text, line.corners / sides, line.score) for line in lines]

    def read_all(self, pictures: Mapping[str, Image.Image]) -> dict[str, str]:
        """Return the labels of figures, keyed by picture digest. Uses and fills the cache."""
        labels = {d: text for d in pictures if (text := self.cached(d)) is not None}
        new = [digest for digest in pictures if digest not in labels]
        texts = self._threads.map(self._read_figure, [pictures[digest] for digest in new])
        for digest, text in zip(new, texts, strict=True):
            labels[digest] = text
            if self._cache:
                self._cache.put(digest, self.settings.stamp(), text)
        return labels

    def cached(self, digest: str) -> str | None:
        """Return the labels of a figure from the cache, or None."""
        return self._cache.get(digest, self.settings.stamp()) if self._cache else None

    def _read_figure(self, picture: Image.Image) -> str:
        lines = self._recognise(picture, self.settings.figure_pixels)
        labels = join_hyphenated([line for row in group_rows(lines) for line in row])
        return "\n".join(dict.fromkeys(label for label in labels if has_letter_or_digit(label)))

    def _read_page(self, picture: Image.Image) -> str:
        lines = self._recognise(picture, self.settings.page_pixels)
        return "\n\n".join(join_paragraphs(straighten(lines)))

    def _recognise(self, picture: Image.Image, pixels: tuple[int, int]) -> list[TextLine]:
        if min(picture.size) < _MIN_SIDE:
            return []
        if not hasattr(self._thread_local, "engine"):
            self._thread_local.engine = _load_engine(self.settings)
        output = self._thread_local.engine(scale(picture, pixels, self.settings.max_scale))
        if output.boxes is None or output.txts is None:
            return []
        return [
            TextLine(text.strip(), np.asarray(corners, dtype=np.float64), float(score))
            for text, corners, score in zip(output.txts, output.boxes, output.scores, strict=True)
        ]


def scale(picture: Image.Image, pixels: tuple[int, int], max_scale: float) -> Image.Image:
    """Return the picture as RGB, scaled so that its area lies between the two `pixels` limits.

    The aspect ratio is kept, and the picture is enlarged by `max_scale` at most. The area of a
    wide strip includes the bars that the engine adds.
    """
    width, height = picture.size
    area = width * (width / 4 if width > _MAX_WIDTH_TO_HEIGHT * height else height)
    min_pixels, max_pixels = pixels
    factor = min(math.sqrt(min(max(area, min_pixels), max_pixels) / area), max_scale)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def _load_engine(settings: OcrSettings) -> Any:
    for package in ("rapidocr", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise Missing(
                f"reading text in pictures needs the package {package}; "
                'run: pip install "rapidocr==3.10.*" onnxruntime'
            )
    from data.ocr_engine import OcrEngine

    return OcrEngine(settings.engine_params())
