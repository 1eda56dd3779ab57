"""What operators share: grey, blur, smooth noise, bending, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Pixels",
    "bend",
    "blur",
    "jpeg",
    "noise",
    "resized",
    "saturate",
    "thick",
    "to_grey",
    "to_rgb",
]

Pixels = NDArray[np.uint8]


def to_grey(x_HWC: Pixels) -> Pixels:
    return cv2.cvtColor(x_HWC, cv2.COLOR_RGB2GRAY).astype(np.uint8)


def to_rgb(x_HW: NDArray[np.generic]) -> Pixels:
    return np.repeat(np.clip(x_HW, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def blur(x: NDArray[np.generic], sigma: float) -> NDArray[np.float32]:
    return cv2.GaussianBlur(x.astype(np.float32), (0, 0), sigma).astype(np.float32)


def noise(shape: tuple[int, ...], rng: np.random.Generator, size: float) -> NDArray[np.float32]:
    """Smooth noise in about [-1, 1] with blobs of `size` pixels: paper, chalk, a shaking hand."""
    height, width = shape[:2]
    small = (max(2, round(height / size)), max(2, round(width / size)))
    coarse = rng.uniform(-1, 1, small).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def bend(x: Pixels, rng: np.random.Generator, pixels: float, size: float) -> Pixels:
    """Each point moved by up to `pixels`, neighbours alike."""
    height, width = x.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return cv2.remap(
        x,
        columns + pixels * noise(x.shape, rng, size),
        rows + pixels * noise(x.shape, rng, size),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.uint8)


def saturate(x_HWC: NDArray[np.generic], factor: float) -> Pixels:
    grey = x_HWC.astype(np.float32).mean(axis=2, keepdims=True)
    return np.clip(grey + factor * (x_HWC - grey), 0, 255).astype(np.uint8)


def thick(x: Pixels) -> Pixels:
    """Dark lines as thick as a brush: a painter paints a thin line, a median takes it away."""
    return cv2.erode(x, np.ones((3, 3), np.uint8)).astype(np.uint8)


def resized(x: Pixels, scale: float) -> Pixels:
    height, width = x.shape[:2]
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    return cv2.resize(x, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def jpeg(x: Pixels, quality: int, shape: tuple[int, ...]) -> Pixels:
    """Through JPEG and back, at the size of `shape`."""
    _, data = cv2.imencode(".jpg", x[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    y = decoded[..., ::-1]
    return cv2.resize(y, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
