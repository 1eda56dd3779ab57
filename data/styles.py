"""Query styles: how the same figure looks as a pencil sketch, a painting, a small copy, a photo.

A style is a family of operators; each operator draws its strength from a seeded generator, so one
(figure, style, number, seed) always gives the same picture. Operators take and return (H, W, 3)
uint8 RGB of the same size, at most `SIDE` pixels on the longer side. Styles marked `unseen` are
for tests only: no encoder of ours is trained on them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from data.operators import art, capture, sketch, unseen
from data.operators.common import Pixels

__all__ = ["SEEN", "SIDE", "STYLES", "UNSEEN", "VERSION", "Style", "restyle"]

Operator = Callable[[Pixels, np.random.Generator], Pixels]
VERSION = 1  # raised when an operator changes: pictures kept by others are then made again
SIDE = 320  # pixels: what the towers see (224) and a little more


@dataclass(frozen=True, slots=True)
class Style:
    """A query style: its operators, one of which is drawn for each picture."""

    name: str
    operators: tuple[Operator, ...]
    unseen: bool = False


def restyle(picture: Image.Image, style: str, name: str, seed: int, number: int = 0) -> Image.Image:
    """`picture` (any size and mode) in `style`; `name` is the figure's, `number` tells takes apart.

    Raises `KeyError` for a style that is not in `STYLES`.
    """
    key = hashlib.sha256(f"{seed}\n{style}\n{number}\n{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(key[:8], "big"))
    operators = STYLES[style].operators
    operator = operators[int(rng.integers(len(operators)))]
    return Image.fromarray(operator(_fit(picture), rng))


def _fit(picture: Image.Image) -> Pixels:
    scale = SIDE / max(picture.size)
    rgb = picture.convert("RGB")
    if scale < 1:
        width, height = (max(8, round(side * scale)) for side in picture.size)
        rgb = rgb.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


_ALL = (
    Style("sketch", (sketch.pencil, sketch.contour, sketch.ink, sketch.hatching)),
    Style("art", (art.oil, art.watercolour, art.dabs, art.poster, art.brush)),
    Style("lowres", (capture.tiny, capture.defocus, capture.shaken, capture.crushed)),
    Style("photo", (capture.photo,)),
    Style("screenshot", (capture.screenshot,)),
    Style("photocopy", (capture.photocopy,)),
    Style("blackboard", (unseen.blackboard,), unseen=True),
    Style("blueprint", (unseen.blueprint,), unseen=True),
    Style("mosaic", (unseen.mosaic,), unseen=True),
    Style("halftone", (unseen.halftone,), unseen=True),
    Style("handdrawn", (unseen.handdrawn,), unseen=True),
    Style("thermal", (unseen.thermal,), unseen=True),
    Style("stipple", (unseen.stipple,), unseen=True),
    Style("stainedglass", (unseen.stainedglass,), unseen=True),
    Style("stitch", (unseen.stitch,), unseen=True),
    Style("monitor", (unseen.monitor,), unseen=True),
)
STYLES: Mapping[str, Style] = {style.name: style for style in _ALL}
SEEN = tuple(style.name for style in _ALL if not style.unseen)
UNSEEN = tuple(style.name for style in _ALL if style.unseen)
