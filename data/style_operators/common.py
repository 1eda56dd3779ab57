"""Shared steps of the operators: grey, blur, smooth noise, bending, JPEG.

H is the height of a picture, W its width, C its channels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Pixels",
    "bend",
    "blur",
    "compress_jpeg",
    "resize",
    "saturate",
    "smooth_noise",
    "thicken",
    "to_grey",
    "to_rgb",
]

Pixels = NDArray[np.uint8]

_MIN_SIDE = 8  # pixels


def to_grey(x_HWC: Pixels) -> Pixels:
    """Convert RGB (H, W, 3) to grey (H, W)."""
    return cv2.cvtColor(x_HWC, cv2.COLOR_RGB2GRAY).astype(np.uint8)


def to_rgb(x_HW: NDArray[np.generic]) -> Pixels:
    """Convert grey (H, W) of any dtype to RGB (H, W, 3), clipped to 0 to 255."""
    return np.repeat(np.clip(x_HW, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def blur(x: NDArray[np.generic], sigma: float) -> NDArray[np.float32]:
    """Blur with a Gaussian of `sigma` pixels."""
    return cv2.GaussianBlur(x.astype(np.float32), (0, 0), sigma).astype(np.float32)


def smooth_noise(
    shape: tuple[int, ...], rng: np.random.Generator, size: float
) -> NDArray[np.float32]:
    """Return noise (H, W) in about [-1, 1] with blobs of `size` pixels.

    It serves as the grain of paper, as chalk, as a shaking hand.
    """
    height, width = shape[:2]
    small = (max(2, round(height / size)), max(2, round(width / size)))
    coarse = rng.uniform(-1, 1, small).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def bend(x: Pixels, rng: np.random.Generator, pixels: float, size: float) -> Pixels:
    """Move each point by up to `pixels`; points within about `size` pixels move alike."""
    height, width = x.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return cv2.remap(
        x,
        columns + pixels * smooth_noise(x.shape, rng, size),
        rows + pixels * smooth_noise(x.shape, rng, size),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.uint8)


def saturate(x_HWC: NDArray[np.generic], factor: float) -> Pixels:
    """Multiply the distance of each colour from grey by `factor`."""
    grey = x_HWC.astype(np.float32).mean(axis=2, keepdims=True)
    return np.clip(grey + factor * (x_HWC - grey), 0, 255).astype(np.uint8)


def thicken(x: Pixels) -> Pixels:
    """Make dark lines as thick as a brush: a median filter would remove thin ones."""
    return cv2.erode(x, np.ones((3, 3), np.uint8)).astype(np.uint8)


def resize(x: Pixels, scale: float) -> Pixels:
    """Resize by `scale`, to at least 8 pixels on each side."""
    height, width = x.shape[:2]
    size = (max(_MIN_SIDE, round(width * scale)), max(_MIN_SIDE, round(height * scale)))
    return cv2.resize(x, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def compress_jpeg(x_HWC: Pixels, quality: int, shape: tuple[int, ...]) -> Pixels:
    """Encode as JPEG of `quality` (0 to 100), decode, and resize to `shape` (H, W, ...)."""
    _, data = cv2.imencode(".jpg", x_HWC[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded_BGR = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded_BGR is not None
    decoded = decoded_BGR[..., ::-1]
    size = (shape[1], shape[0])
    return cv2.resize(decoded, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
