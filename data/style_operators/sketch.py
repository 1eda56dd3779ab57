"""Operators of the style `sketch`: pencil, pen and ink."""

from __future__ import annotations

import cv2
import numpy as np

from data.style_operators.common import Pixels, bend, blur, smooth_noise, to_grey, to_rgb

__all__ = ["contour", "hatching", "ink", "pencil"]


def pencil(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Pencil: grey divided by its blurred copy (a colour dodge), on grainy paper."""
    grey = to_grey(x).astype(np.float32)
    lines = grey / np.maximum(blur(grey, rng.uniform(2, 7)), 1)
    dark = np.clip(lines, 0, 1) ** rng.uniform(1.5, 5)
    return to_rgb(dark * (248 + 7 * smooth_noise(grey.shape, rng, 2)))


def contour(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Pen: edges, drawn by a slightly shaking hand."""
    threshold = rng.uniform(25, 60)
    edges = cv2.Canny(
        blur(to_grey(x), rng.uniform(0.6, 1.4)).astype(np.uint8), threshold, 2.5 * threshold
    )
    if rng.random() < 0.5:
        edges = cv2.dilate(edges, np.ones((2, 2), np.uint8))
    drawn = bend(edges.astype(np.uint8), rng, rng.uniform(0.5, 2.5), rng.uniform(12, 40))
    darkness = rng.uniform(0.75, 1)
    return to_rgb(255 - darkness * blur(drawn, 0.6))


def ink(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Ink and black areas: thresholded difference of Gaussians (XDoG, Winnemoeller 2012)."""
    grey = to_grey(x).astype(np.float32) / 255
    sigma, sharp = rng.uniform(0.6, 1.4), rng.uniform(8, 20)
    difference = (1 + sharp) * blur(grey, sigma) - sharp * blur(grey, 1.6 * sigma)
    level = rng.uniform(0.5, 0.85)
    shade = 1 + np.tanh(rng.uniform(4, 12) * (difference - level))
    return to_rgb(255 * np.where(difference >= level, 1, shade))


def hatching(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Pencil, with strokes across the dark areas."""
    grey = blur(to_grey(x), 1.5)
    rows, columns = np.mgrid[0 : x.shape[0], 0 : x.shape[1]]
    page = pencil(x, rng)[..., 0].astype(np.float32)
    for level, angle in ((170, rng.uniform(0.5, 1.1)), (100, rng.uniform(2.0, 2.6))):
        step = rng.uniform(3.5, 6)
        across = (
            columns * np.cos(angle) + rows * np.sin(angle) + 2 * smooth_noise(grey.shape, rng, 30)
        )
        page = np.where((grey < level) & (across % step < 1.2), np.minimum(page, 110), page)
    return to_rgb(blur(page, 0.5))
