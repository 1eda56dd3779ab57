"""Query styles: how a figure looks as a pencil sketch, a painting, a small copy, a photo.

A style is a family of operators. An operator takes and returns (H, W, 3) uint8 RGB, at most
`MAX_SIDE` pixels on the longer side. A seeded generator determines its strength, so the same
figure, style, variant and seed always give the same picture. Styles marked `unseen` are for tests
only: none of our encoders is trained on them.

Most styles are filters: they keep the size of the picture, and everything in its place. Styles that
are `redrawn` are drawings as a person makes them on a sheet: with fewer lines, in another layout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from data.style_operators import art, capture, sketch, unseen, unseen_drawing
from data.style_operators.common import Pixels
from data.style_operators.drawing import operators as drawing
from data.style_operators.drawing.tracing import MAX_TRACED_SIDE

__all__ = [
    "DRAWING",
    "FILTER_STYLES",
    "MAX_SIDE",
    "NEW_STYLES",
    "REDRAWN_STYLES",
    "SEEN_STYLES",
    "STYLES",
    "STYLES_VERSION",
    "UNSEEN_STYLES",
    "QueryStyle",
    "restyle",
]

DRAWING = "drawing"  # by hand, on paper, a board or a screen
Operator = Callable[[Pixels, np.random.Generator], Pixels]
STYLES_VERSION = 3  # raise it when an operator changes: stored features are then computed again
MAX_SIDE = 320  # pixels; image encoders see 224
_MIN_SIDE = 8  # pixels


@dataclass(frozen=True, slots=True)
class QueryStyle:
    """A query style. Each picture gets one of its operators, at random.

    A `recoloured` style is unseen, but only recolours what an operator of a trained style draws. A
    `redrawn` picture has a size of its own.
    """

    name: str
    operators: tuple[Operator, ...]
    unseen: bool = False
    recoloured: bool = False
    redrawn: bool = False


def restyle(picture: Image.Image, style: str, name: str, seed: int, number: int = 0) -> Image.Image:
    """Return a picture of any size and mode in a style, as RGB.

    `name` identifies the figure; `number` counts the variants of one figure in one style. Raises
    `KeyError` if `style` is not in `STYLES`.
    """
    key = hashlib.sha256(f"{seed}\n{style}\n{number}\n{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(key[:8], "big"))
    operators = STYLES[style].operators
    operator = operators[int(rng.integers(len(operators)))]
    max_side = MAX_TRACED_SIDE if STYLES[style].redrawn else MAX_SIDE
    return Image.fromarray(operator(_to_pixels(picture, max_side), rng))


def _to_pixels(picture: Image.Image, max_side: int) -> Pixels:
    """Scale a large picture down and convert it to RGB."""
    scale = max_side / max(picture.size)
    rgb = picture.convert("RGB")
    if scale < 1:
        width, height = (max(_MIN_SIDE, round(side * scale)) for side in picture.size)
        rgb = rgb.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


_STYLES = (
    QueryStyle("sketch", (sketch.pencil, sketch.contour, sketch.ink, sketch.hatching)),
    QueryStyle("art", (art.oil, art.watercolour, art.dabs, art.poster, art.brush)),
    QueryStyle("lowres", (capture.tiny, capture.defocus, capture.shaken, capture.crushed)),
    QueryStyle("photo", (capture.photo,)),
    QueryStyle("screenshot", (capture.screenshot,)),
    QueryStyle("photocopy", (capture.photocopy,)),
    QueryStyle(
        DRAWING,
        (
            drawing.pencil,
            drawing.ballpoint,
            drawing.whiteboard,
            drawing.tablet,
            drawing.mouse,
        ),
        redrawn=True,
    ),
    QueryStyle("blackboard", (unseen.blackboard,), unseen=True, recoloured=True),
    QueryStyle("blueprint", (unseen.blueprint,), unseen=True, recoloured=True),
    QueryStyle("mosaic", (unseen.mosaic,), unseen=True),
    QueryStyle("halftone", (unseen.halftone,), unseen=True),
    QueryStyle("handdrawn", (unseen.handdrawn,), unseen=True, recoloured=True),
    QueryStyle("thermal", (unseen.thermal,), unseen=True),
    QueryStyle("stipple", (unseen.stipple,), unseen=True),
    QueryStyle("stainedglass", (unseen.stainedglass,), unseen=True),
    QueryStyle("stitch", (unseen.stitch,), unseen=True),
    QueryStyle("monitor", (unseen.monitor,), unseen=True),
    QueryStyle("chalk drawing", (unseen_drawing.chalk,), unseen=True, redrawn=True),
    QueryStyle("felt-tip drawing", (unseen_drawing.felt_tip,), unseen=True, redrawn=True),
    QueryStyle("fountain-pen drawing", (unseen_drawing.fountain_pen,), unseen=True, redrawn=True),
)
STYLES: Mapping[str, QueryStyle] = {style.name: style for style in _STYLES}
SEEN_STYLES = tuple(style.name for style in _STYLES if not style.unseen)
UNSEEN_STYLES = tuple(style.name for style in _STYLES if style.unseen)
# Means over unseen styles are over these: the others flatter an encoder.
NEW_STYLES = tuple(style.name for style in _STYLES if style.unseen and not style.recoloured)
REDRAWN_STYLES = tuple(style.name for style in _STYLES if style.redrawn)
FILTER_STYLES = tuple(style.name for style in _STYLES if not style.redrawn)
