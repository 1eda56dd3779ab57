"""Operators for poor copies: few pixels, out of focus, photographed, saved again, photocopied."""

from __future__ import annotations

import cv2
import numpy as np

from data.style_operators.common import Pixels, blur, compress_jpeg, resize, to_grey, to_rgb

__all__ = ["crushed", "defocus", "photo", "photocopy", "screenshot", "shaken", "tiny"]


def tiny(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Reduced to 24 to 72 pixels on the longer side and enlarged again."""
    height, width = x.shape[:2]
    scale = min(1.0, rng.uniform(24, 72) / max(height, width))
    small = (max(3, round(width * scale)), max(3, round(height * scale)))
    interpolation = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC][int(rng.integers(3))]
    y = cv2.resize(x, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(y, (width, height), interpolation=interpolation).astype(np.uint8)


def defocus(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Out of focus."""
    return np.clip(blur(x, rng.uniform(2, 5)), 0, 255).astype(np.uint8)


def shaken(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Blurred along one direction, as by a moving hand."""
    length = int(rng.integers(9, 21))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    centre = (length / 2 - 0.5, length / 2 - 0.5)
    rotation = cv2.getRotationMatrix2D(centre, rng.uniform(0, 180), 1)
    rotated = np.asarray(cv2.warpAffine(kernel, rotation, (length, length)), np.float32)
    y = cv2.filter2D(x, -1, rotated / max(float(rotated.sum()), 1e-6))
    return np.clip(y, 0, 255).astype(np.uint8)


def crushed(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Saved at about half the size, as JPEG of quality 3 to 12."""
    return compress_jpeg(resize(x, rng.uniform(0.4, 0.7)), int(rng.integers(3, 13)), x.shape)


def photo(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Photographed on a desk: perspective, uneven light, a colour cast, noise, JPEG."""
    height, width = x.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    max_shift = np.array((width, height)) * rng.uniform(0.03, 0.12)
    shifted = (corners + rng.uniform(-1, 1, (4, 2)) * max_shift).astype(np.float32)
    centre = (width / 2, height / 2)
    shifted = (shifted - centre) * rng.uniform(0.8, 1) + centre
    desk = rng.uniform(40, 230, 3).tolist()
    matrix = cv2.getPerspectiveTransform(corners, shifted.astype(np.float32))
    y = cv2.warpPerspective(x, matrix, (width, height), borderValue=desk).astype(np.float32)
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    light = rng.uniform(0.65, 0.9) + rng.uniform(0, 0.25) * (
        np.cos(angle) * columns + np.sin(angle) * rows
    )
    y = y * light[..., None] * rng.uniform(0.85, 1.1, 3) + rng.normal(0, 6, x.shape)
    return compress_jpeg(np.clip(y, 0, 255).astype(np.uint8), int(rng.integers(35, 80)), x.shape)


def screenshot(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Cropped a little too tight or too wide, resized, and saved again by a chat program."""
    height, width = x.shape[:2]
    left, right = (int(rng.uniform(-0.06, 0.08) * width) for _ in range(2))
    top, bottom = (int(rng.uniform(-0.06, 0.08) * height) for _ in range(2))
    margin = max(0, -left), max(0, -right), max(0, -top), max(0, -bottom)
    shade = int(rng.choice([255, 255, 240, 32]))
    y = cv2.copyMakeBorder(
        x, margin[2], margin[3], margin[0], margin[1], cv2.BORDER_CONSTANT, value=[shade] * 3
    )
    y = y[max(0, top) : y.shape[0] - max(0, bottom), max(0, left) : y.shape[1] - max(0, right)]
    y = resize(y.astype(np.uint8), rng.uniform(0.4, 1))
    return compress_jpeg(y, int(rng.integers(15, 60)), x.shape)


def photocopy(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Photocopied: grey, with more or less contrast, and specks."""
    grey = to_grey(x).astype(np.float32)
    contrast = rng.uniform(0.35, 0.7) if rng.random() < 0.4 else rng.uniform(1.4, 3)
    y = 128 + contrast * (grey - 128) + rng.uniform(0, 40)
    specks = rng.random(grey.shape) < rng.uniform(0, 0.004)
    return to_rgb(blur(np.where(specks, 30, y), rng.uniform(0.3, 0.8)))
