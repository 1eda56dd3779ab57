"""Imitate how a picture of a book reaches a student: a photo, a screenshot, a crop, a sketch.

Each rendition takes the picture and a seeded generator and returns the bytes of a file. The
renditions imitate what a phone, a chat program or a pen does. They are mild on purpose, and were
fixed before any search ran with them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

__all__ = ["RENDITIONS", "render"]

_MAX_CORNER_SHIFT = 0.05  # share of the side: about 4 degrees of perspective
_LOWRES_LONG_SIDE = 96  # pixels


def render(picture: Image.Image, rendition: str, name: str, seed: int) -> bytes:
    """Return the file of a rendition of an RGB picture; `name` and `seed` make it reproducible."""
    key = hashlib.sha256(f"{seed}\n{rendition}\n{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(key[:8], "big"))
    return RENDITIONS[rendition](picture, rng)


def _photo(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Photograph a page under a lamp: perspective, up to 40 per cent less light, sensor noise."""
    width, height = picture.size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    shifted = corners + rng.uniform(-_MAX_CORNER_SHIFT, _MAX_CORNER_SHIFT, (4, 2)) * (width, height)
    tilted = picture.transform(
        picture.size,
        Image.Transform.PERSPECTIVE,
        _perspective_coefficients(corners, shifted),
        Image.Resampling.BICUBIC,
        fillcolor="white",
    )
    angle = rng.uniform(0, 2 * np.pi)
    y_HW, x_HW = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light_HW = 0.85 + 0.14 * (np.cos(angle) * x_HW + np.sin(angle) * y_HW)
    lit_HWC = np.asarray(tilted, float) * light_HW[..., None]
    noisy_HWC = lit_HWC + rng.normal(0, 6, lit_HWC.shape)
    return _jpeg(Image.fromarray(np.clip(noisy_HWC, 0, 255).astype(np.uint8)), 60)


def _perspective_coefficients(target: np.ndarray, source: np.ndarray) -> list[float]:
    """Return the eight numbers by which Pillow maps each corner of `target` to `source`."""
    rows, values = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(n) for n in np.linalg.solve(np.array(rows), np.array(values))]


def _screenshot(picture: Image.Image, _: np.random.Generator) -> bytes:
    """Scale the picture to 0.6 and save it as a chat program does."""
    size = tuple(max(1, round(0.6 * side)) for side in picture.size)
    return _jpeg(picture.resize((size[0], size[1]), Image.Resampling.LANCZOS), 40)


def _crop(picture: Image.Image, _: np.random.Generator) -> bytes:
    """Keep the middle three quarters of each side."""
    width, height = picture.size
    box = (width // 8, height // 8, width - width // 8, height - height // 8)
    return _png(picture.crop(box))


def _lowres(picture: Image.Image, _: np.random.Generator) -> bytes:
    """Shrink the longer side to 96 pixels and enlarge the result again."""
    scale = _LOWRES_LONG_SIDE / max(picture.size)
    size = tuple(max(1, round(scale * side)) for side in picture.size)
    small = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    return _png(small.resize(picture.size, Image.Resampling.BICUBIC))


def _grey(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Copy the picture in grey, with a contrast of 0.5 to 0.75 or of 1.3 to 1.6."""
    contrast = rng.uniform(0.5, 0.75) if rng.random() < 0.5 else rng.uniform(1.3, 1.6)
    grey_HW = np.asarray(ImageOps.grayscale(picture), float)
    changed_HW = 128 + contrast * (grey_HW - 128)
    return _png(Image.fromarray(np.clip(changed_HW, 0, 255).astype(np.uint8)))


def _sketch(picture: Image.Image, _: np.random.Generator) -> bytes:
    """Draw pencil lines: divide the grey picture by a blurred copy (colour dodge) and darken it."""
    grey = ImageOps.grayscale(picture)
    blurred = np.asarray(ImageOps.invert(grey).filter(ImageFilter.GaussianBlur(4)), float)
    dodged_HW = np.asarray(grey, float) * 255 / np.maximum(255 - blurred, 1)
    lines = Image.fromarray(np.clip(dodged_HW, 0, 255).astype(np.uint8))
    return _png(ImageChops.multiply(lines, lines))


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


RENDITIONS: Mapping[str, Callable[[Image.Image, np.random.Generator], bytes]] = {
    "photo": _photo,
    "screenshot": _screenshot,
    "crop": _crop,
    "lowres": _lowres,
    "grey": _grey,
    "sketch": _sketch,
}
