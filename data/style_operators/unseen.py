"""Operators of the unseen styles: for tests only, none of our encoders is trained on them."""

from __future__ import annotations

import cv2
import numpy as np

from data.style_operators.common import (
    Pixels,
    bend,
    blur,
    saturate,
    smooth_noise,
    thicken,
    to_grey,
    to_rgb,
)
from data.style_operators.sketch import contour, ink, pencil

__all__ = [
    "blackboard",
    "blueprint",
    "halftone",
    "handdrawn",
    "monitor",
    "mosaic",
    "stainedglass",
    "stipple",
    "stitch",
    "thermal",
]


def blackboard(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Light, broken lines of chalk on dark green or black."""
    lines = 255 - pencil(x, rng)[..., 0].astype(np.float32)
    chalk = np.clip(1.5 * lines / 255, 0, 1) * (0.75 + 0.25 * smooth_noise(lines.shape, rng, 1.5))
    board = np.array([(38, 70, 55), (35, 35, 38)][int(rng.integers(2))], np.float32)
    dust = board + 10 * smooth_noise(lines.shape, rng, 40)[..., None]
    y = dust + chalk[..., None] * (np.array((240, 240, 225)) - dust)
    return np.clip(y, 0, 255).astype(np.uint8)


def mosaic(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Tiles of one colour each with grout between them, 18 to 36 along the longer side."""
    height, width = x.shape[:2]
    tile = max(height, width) / rng.uniform(18, 36)
    small = (max(2, round(width / tile)), max(2, round(height / tile)))
    tiles = np.asarray(cv2.resize(x, small, interpolation=cv2.INTER_AREA), np.float32)
    shaded = tiles + rng.normal(0, 12, tiles.shape).astype(np.float32)
    y = np.asarray(cv2.resize(shaded, (width, height), interpolation=cv2.INTER_NEAREST))
    rows, columns = np.mgrid[0:height, 0:width]
    cell = width / small[0], height / small[1]
    grout = (columns % cell[0] < 1.2) | (rows % cell[1] < 1.2)
    y[grout] = rng.uniform(90, 200)
    return np.clip(y, 0, 255).astype(np.uint8)


def halftone(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Printing dots of a newspaper, on yellowed paper."""
    grey = blur(to_grey(x), 1) / 255
    rows, columns = np.mgrid[0 : x.shape[0], 0 : x.shape[1]]
    angle, pitch = rng.uniform(0.4, 1.2), rng.uniform(3.5, 6)
    u = (columns * np.cos(angle) + rows * np.sin(angle)) * 2 * np.pi / pitch
    v = (rows * np.cos(angle) - columns * np.sin(angle)) * 2 * np.pi / pitch
    screen = (np.cos(u) + np.cos(v)) / 4 + 0.5
    ink = 1 / (1 + np.exp(-12 * (1 - grey - screen)))
    paper = np.array((236, 226, 200), np.float32)
    return np.clip(paper * (1 - 0.85 * ink[..., None]), 0, 255).astype(np.uint8)


def blueprint(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Pale lines on blue, over a faint grid."""
    lines = 255 - contour(x, rng)[..., 0].astype(np.float32)
    rows, columns = np.mgrid[0 : x.shape[0], 0 : x.shape[1]]
    step = int(rng.integers(14, 26))
    lines = np.maximum(lines, 45.0 * ((rows % step == 0) | (columns % step == 0)))
    blue = np.array([(24, 60, 140), (20, 40, 100)][int(rng.integers(2))], np.float32)
    y = blue + (lines / 255)[..., None] * (np.array((225, 235, 250)) - blue)
    return np.clip(y, 0, 255).astype(np.uint8)


def handdrawn(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Copied by hand: bent like handwriting, in one ink on ruled paper."""
    y = bend(x, rng, rng.uniform(6, 11), rng.uniform(35, 70))
    y = bend(y, rng, rng.uniform(1.5, 3), rng.uniform(8, 14))
    lines = 255 - ink(y, rng)[..., 0].astype(np.float32)
    colour = np.array(
        [(30, 40, 130), (30, 30, 30), (140, 30, 40)][int(rng.integers(3))], np.float32
    )
    paper = np.full(x.shape, (250, 248, 240), np.float32)
    paper[:: int(rng.integers(16, 26))] = (170, 195, 225)
    page = paper + (lines / 255)[..., None] * (colour - paper)
    return np.clip(page, 0, 255).astype(np.uint8)


def thermal(x: Pixels, rng: np.random.Generator) -> Pixels:
    """False colours of a heat camera, sometimes inverted."""
    grey = blur(to_grey(x), rng.uniform(0.5, 2)).astype(np.uint8)
    if rng.random() < 0.5:
        grey = (255 - grey).astype(np.uint8)
    colour_maps = (cv2.COLORMAP_JET, cv2.COLORMAP_INFERNO, cv2.COLORMAP_TURBO)
    coloured = cv2.applyColorMap(grey, colour_maps[int(rng.integers(3))])
    return cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB).astype(np.uint8)


def stipple(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Dots of a pen, denser in dark areas."""
    size = int(rng.integers(2, 4))
    dark = 1 - blur(to_grey(thicken(x)), 0.8)[::size, ::size] / 255
    dots = rng.random(dark.shape) < 0.02 + 0.75 * np.maximum(dark, 0) ** rng.uniform(0.6, 1)
    ink = cv2.resize(255.0 * dots, x.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return to_rgb(250 - 0.9 * blur(np.asarray(ink), 0.5 * size))


def stainedglass(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Pieces of glass of one colour each, between strips of lead."""
    height, width = x.shape[:2]
    pieces = int(rng.integers(900, 1800))
    is_free = np.ones((height, width), np.uint8)
    is_free[rng.integers(0, height, pieces), rng.integers(0, width, pieces)] = 0
    _, label = cv2.distanceTransformWithLabels(
        is_free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    size = np.maximum(np.bincount(label.ravel()), 1)
    dark = thicken(x)
    sums = [np.bincount(label.ravel(), dark[..., c].ravel()) for c in range(3)]
    y = np.stack([(s / size)[label] for s in sums], axis=-1)
    glass = saturate(y + rng.normal(0, 8, y.shape), rng.uniform(1.3, 2.2))
    lead = (cv2.morphologyEx(label.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((2, 2)))) > 0
    glass[lead] = 25
    return glass


def stitch(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Cross-stitch: an X of thread in each cell of a cloth."""
    height, width = x.shape[:2]
    cell = int(rng.integers(5, 8))
    small = (max(2, -(-width // cell)), max(2, -(-height // cell)))
    colours = cv2.resize(thicken(x), small, interpolation=cv2.INTER_AREA)
    threads = np.repeat(np.repeat(colours, cell, axis=0), cell, axis=1)[:height, :width]
    rows, columns = np.mgrid[0:height, 0:width] % cell
    cross = (abs(rows - columns) <= 1) | (abs(rows + columns - cell + 1) <= 1)
    cloth = np.array((222, 212, 190)) + 14 * smooth_noise(x.shape, rng, 1.5)[..., None]
    shade = 1 - 0.25 * rng.random((height, width, 1))
    return np.clip(np.where(cross[..., None], threads * shade, cloth), 0, 255).astype(np.uint8)


def monitor(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Photographed from a screen: dots, moiré and a reflection."""
    height, width = x.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    dots = np.stack([0.55 + 0.45 * ((columns + c) % 3 == 0) for c in range(3)], axis=-1)
    lines = 0.75 + 0.25 * (rows % int(rng.integers(3, 5)) > 0)
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(4, 9)
    wave = columns * np.cos(angle) + rows * np.sin(angle) + 6 * smooth_noise(x.shape, rng, 80)
    moire = np.stack([np.sin(2 * np.pi * wave / pitch + c) for c in range(3)], axis=-1)
    lamp = np.exp(
        -((columns / width - rng.random()) ** 2 + (rows / height - rng.random()) ** 2) * 8
    )
    y = (x.astype(np.float32) * dots * lines[..., None] * 0.8 + 35 * moire) + 90 * lamp[..., None]
    return np.clip(y * rng.uniform(0.8, 1.1, 3), 0, 255).astype(np.uint8)
