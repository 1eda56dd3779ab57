"""Operators of the style `art`: several kinds of paint."""

from __future__ import annotations

import cv2
import numpy as np

from data.style_operators.common import Pixels, bend, saturate, smooth_noise, thicken

__all__ = ["brush", "dabs", "oil", "poster", "watercolour"]


def oil(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Oil paint: flat dabs by repeated medians, brighter colours, the grain of a canvas."""
    y = thicken(x)
    for _ in range(int(rng.integers(2, 5))):
        y = cv2.medianBlur(y, int(rng.choice([3, 5]))).astype(np.uint8)
    canvas = 1 + rng.uniform(0.02, 0.08) * smooth_noise(x.shape, rng, 2)
    return saturate(y * canvas[..., None], rng.uniform(1.1, 1.8))


def watercolour(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Watercolour: smooth, pale washes that run over their edges, on rough paper."""
    y = cv2.bilateralFilter(x, 7, rng.uniform(40, 90), 5).astype(np.uint8)
    y = bend(y, rng, rng.uniform(1, 4), rng.uniform(8, 20)).astype(np.float32)
    pale = 255 - (255 - y) * rng.uniform(0.55, 0.9)
    wash = 1 + rng.uniform(0.03, 0.1) * smooth_noise(x.shape, rng, rng.uniform(6, 30))
    return saturate(pale * wash[..., None], rng.uniform(0.9, 1.6))


def dabs(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Pointillism: round dabs of about the colour beneath, in random order."""
    height, width = x.shape[:2]
    radius = int(rng.integers(2, 5))
    y = np.full_like(x, 245)
    count = int(3 * height * width / (3.14 * radius**2))
    rows, columns = rng.integers(0, height, count), rng.integers(0, width, count)
    colours = thicken(x)[rows, columns] + rng.normal(0, rng.uniform(5, 25), (count, 3))
    for row, column, colour in zip(
        rows.tolist(), columns.tolist(), np.clip(colours, 0, 255).tolist(), strict=True
    ):
        cv2.circle(y, (column, row), radius, colour, -1, cv2.LINE_AA)
    return y


def poster(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Screen print: few levels of each colour, and another hue."""
    levels = int(rng.integers(2, 5))
    smooth = cv2.bilateralFilter(x, 5, 50, 5).astype(np.float32)
    flat = np.round(smooth / 255 * levels) / levels * 255
    hsv = cv2.cvtColor(flat.astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.int32)
    hsv[..., 0] = (hsv[..., 0] + int(rng.integers(0, 180))) % 180
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.uint8)


def brush(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Brush strokes whose direction changes over the picture."""
    y = np.zeros(x.shape, np.float32)
    weight = np.zeros(x.shape[:2], np.float32)
    direction = smooth_noise(x.shape, rng, 60)
    for i, angle in enumerate(rng.uniform(0, np.pi, 3)):
        length = int(rng.integers(5, 11))
        kernel = np.zeros((length, length), np.float32)
        c, dx, dy = length / 2 - 0.5, np.cos(angle) * length / 2, np.sin(angle) * length / 2
        ends = (round(c - dx), round(c - dy)), (round(c + dx), round(c + dy))
        cv2.line(kernel, *ends, 1.0, 1)
        share = np.exp(-6 * (direction - (i - 1) * 0.6) ** 2)
        y += cv2.filter2D(x.astype(np.float32), -1, kernel / kernel.sum()) * share[..., None]
        weight += share
    painted = (
        y / np.maximum(weight, 1e-6)[..., None] + 14 * smooth_noise(x.shape, rng, 2)[..., None]
    )
    return saturate(painted, rng.uniform(1.1, 1.7))
