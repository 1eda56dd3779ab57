"""Photograph or scan a sheet: light, shadows, a colour cast, blur, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from data.style_operators.common import Pixels, blur, compress_jpeg, smooth_noise

__all__ = ["photograph", "render_desk", "scan"]

_NOISE_TILE = 64  # pixels of the sensor's noise, repeated at a random place


def render_desk(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a table (H, W, 3): wood, or one colour."""
    width, height = size
    colours = ((96, 62, 38), (150, 104, 66), (196, 164, 124), (40, 38, 40), (120, 118, 116))
    colour = np.array((*colours, (205, 205, 208))[int(rng.integers(6))], np.float32)
    colour = colour * rng.uniform(0.75, 1.15) * rng.uniform(0.95, 1.05, 3).astype(np.float32)
    coarse = rng.uniform(-1, 1, (int(rng.integers(12, 40)), 3)).astype(np.float32)
    if rng.random() < 0.5:
        coarse = coarse.T
    grain = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return colour * (1 + rng.uniform(0.02, 0.16) * np.asarray(grain, np.float32)[..., None])


def photograph(
    page_HWC: NDArray[np.float32], rng: np.random.Generator, darkness: float = 0.45
) -> Pixels:
    """Photograph a page with a phone; the light dims by at most `darkness`."""
    shape = page_HWC.shape
    light = 1.04 - darkness * rng.beta(1.2, 2.2)
    lit = page_HWC * (light * _light(shape, rng))[..., None]
    cast = 1 + rng.normal(0, 0.02, 3) + rng.normal(0.01, 0.035) * np.array((1, 0.2, -1.2))
    soft = blur(lit * cast, rng.uniform(0.25, 0.8))
    noisy = soft + _noise(shape, rng.uniform(1, 5), rng)
    contrast = rng.uniform(0.95, 1.25)
    developed = 128 + contrast * (noisy - 128)
    return compress_jpeg(_clipped(developed), int(rng.integers(40, 92)), shape)


def scan(page_HWC: NDArray[np.float32], rng: np.random.Generator) -> Pixels:
    """Scan a page: bright, even, with more contrast, so that the paper becomes nearly white."""
    white = rng.uniform(225, 252)
    developed = 255 * (page_HWC / white) ** rng.uniform(1, 1.5)
    noisy = blur(developed, rng.uniform(0.2, 0.5)) + _noise(page_HWC.shape, rng.uniform(0, 2), rng)
    return compress_jpeg(_clipped(noisy), int(rng.integers(50, 95)), page_HWC.shape)


def _light(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the light on each pixel: a slope, a soft shadow, a darker rim."""
    height, width = shape[:2]
    y_H1 = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x_1W = np.linspace(-1, 1, width, dtype=np.float32)[None]
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.float32(np.cos(angle)) * x_1W + np.float32(np.sin(angle)) * y_H1
    light = 1 + np.float32(rng.uniform(0, 0.22)) * slope
    if rng.random() < 0.4:  # the shadow of a hand or a phone
        turned = angle + rng.normal(0, 0.8)
        across = np.float32(np.cos(turned)) * x_1W + np.float32(np.sin(turned)) * y_H1
        across = across + 0.15 * smooth_noise(shape, rng, 60)
        edge = 1 / (1 + np.exp(rng.uniform(3, 14) * (across - rng.uniform(-0.3, 0.9))))
        light = light * (1 - rng.uniform(0.08, 0.4) * (1 - edge))
    light = light - np.float32(rng.uniform(0, 0.1)) * (x_1W**2 + y_H1**2)
    return np.asarray(light + 0.02 * smooth_noise(shape, rng, 50), np.float32)


def _noise(
    shape: tuple[int, ...], deviation: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the noise of a sensor, mostly grey."""
    tile = rng.standard_normal((_NOISE_TILE, _NOISE_TILE, 1), np.float32)
    tile = tile + 0.5 * rng.standard_normal((_NOISE_TILE, _NOISE_TILE, 3), np.float32)
    repeats = (-(-shape[0] // _NOISE_TILE), -(-shape[1] // _NOISE_TILE), 1)
    return np.tile(np.float32(deviation) * tile, repeats)[: shape[0], : shape[1]]


def _clipped(x: NDArray[np.floating]) -> Pixels:
    return np.clip(x, 0, 255).astype(np.uint8)
