"""How a picture of a book reaches a student: a photo, a screenshot, a crop, a small copy, a sketch.

Each way is a function of the picture and a seeded generator to the bytes of a file. They are mild
on purpose and fixed before any search was run with them: what a phone, a chat or a pen does.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

__all__ = ["WAYS", "make"]

_TILT = 0.05  # how far a corner moves, as a share of the side: about 4 degrees of perspective
_LONG_SIDE = 96  # pixels, of a small copy


def make(picture: Image.Image, way: str, name: str, seed: int) -> bytes:
    """The file that `way` makes of `picture` (RGB); one name and seed always give the same one."""
    key = hashlib.sha256(f"{seed}\n{way}\n{name}".encode()).digest()
    return WAYS[way](picture, np.random.default_rng(int.from_bytes(key[:8], "big")))


def _photo(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """A page under a lamp: perspective, a gradient of light of up to 40 per cent, sensor noise."""
    width, height = picture.size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    seen = corners + rng.uniform(-_TILT, _TILT, (4, 2)) * (width, height)
    tilted = picture.transform(
        picture.size,
        Image.Transform.PERSPECTIVE,
        _perspective(corners, seen),
        Image.Resampling.BICUBIC,
        fillcolor="white",
    )
    angle = rng.uniform(0, 2 * np.pi)
    y_HW, x_HW = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light_HW = 0.85 + 0.14 * (np.cos(angle) * x_HW + np.sin(angle) * y_HW)
    lit_HWC = np.asarray(tilted, float) * light_HW[..., None]
    noisy_HWC = lit_HWC + rng.normal(0, 6, lit_HWC.shape)
    return _jpeg(Image.fromarray(np.clip(noisy_HWC, 0, 255).astype(np.uint8)), 60)


def _perspective(seen: np.ndarray, source: np.ndarray) -> list[float]:
    """The eight numbers by which Pillow maps each corner of `seen` to its place in `source`."""
    rows, values = [], []
    for (x, y), (u, v) in zip(seen, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(n) for n in np.linalg.solve(np.array(rows), np.array(values))]


def _screenshot(picture: Image.Image, _: np.random.Generator) -> bytes:
    """Scaled to 0.6 and saved by a chat program."""
    size = tuple(max(1, round(0.6 * side)) for side in picture.size)
    return _jpeg(picture.resize((size[0], size[1]), Image.Resampling.LANCZOS), 40)


def _crop(picture: Image.Image, _: np.random.Generator) -> bytes:
    """The middle, three quarters of each side."""
    width, height = picture.size
    box = (width // 8, height // 8, width - width // 8, height - height // 8)
    return _png(picture.crop(box))


def _lowres(picture: Image.Image, _: np.random.Generator) -> bytes:
    """96 pixels on the longer side, enlarged again."""
    scale = _LONG_SIDE / max(picture.size)
    small = tuple(max(1, round(scale * side)) for side in picture.size)
    tiny = picture.resize((small[0], small[1]), Image.Resampling.LANCZOS)
    return _png(tiny.resize(picture.size, Image.Resampling.BICUBIC))


def _grey(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """A copy in grey, paler (contrast 0.5 to 0.75) or harsher (1.3 to 1.6) than the original."""
    contrast = rng.uniform(0.5, 0.75) if rng.random() < 0.5 else rng.uniform(1.3, 1.6)
    grey_HW = np.asarray(ImageOps.grayscale(picture), float)
    changed_HW = 128 + contrast * (grey_HW - 128)
    return _png(Image.fromarray(np.clip(changed_HW, 0, 255).astype(np.uint8)))


def _sketch(picture: Image.Image, _: np.random.Generator) -> bytes:
    """Pencil lines: the grey picture divided by a blurred copy (a colour dodge), darkened."""
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


WAYS: Mapping[str, Callable[[Image.Image, np.random.Generator], bytes]] = {
    "photo": _photo,
    "screenshot": _screenshot,
    "crop": _crop,
    "lowres": _lowres,
    "grey": _grey,
    "sketch": _sketch,
}
