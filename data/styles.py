"""Query styles: how the same figure looks as a pencil sketch, a painting, a small copy, a photo.

A style is a family of operators; each operator draws its strength from a seeded generator, so one
(figure, style, number, seed) always gives the same picture. Operators take and return (H, W, 3)
uint8 RGB of the same size, at most `SIDE` pixels on the longer side. Styles marked `unseen` are
for tests only: no encoder of ours is trained on them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SEEN", "SIDE", "STYLES", "UNSEEN", "VERSION", "Style", "restyle"]

Pixels = NDArray[np.uint8]
Operator = Callable[[Pixels, np.random.Generator], Pixels]
VERSION = 1  # raised when an operator changes: pictures kept by others are then made again
SIDE = 320  # pixels: what the towers see (224) and a little more


@dataclass(frozen=True, slots=True)
class Style:
    """A query style: its operators, one of which is drawn for each picture."""

    name: str
    operators: tuple[Operator, ...]
    unseen: bool = False


def restyle(picture: Image.Image, style: str, name: str, seed: int, number: int = 0) -> Image.Image:
    """`picture` (any size and mode) in `style`; `name` is the figure's, `number` tells takes apart.

    Raises `KeyError` for a style that is not in `STYLES`.
    """
    key = hashlib.sha256(f"{seed}\n{style}\n{number}\n{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(key[:8], "big"))
    operators = STYLES[style].operators
    operator = operators[int(rng.integers(len(operators)))]
    return Image.fromarray(operator(_fit(picture), rng))


def _fit(picture: Image.Image) -> Pixels:
    scale = SIDE / max(picture.size)
    rgb = picture.convert("RGB")
    if scale < 1:
        width, height = (max(8, round(side * scale)) for side in picture.size)
        rgb = rgb.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


def _grey(x_HWC: Pixels) -> Pixels:
    return cv2.cvtColor(x_HWC, cv2.COLOR_RGB2GRAY).astype(np.uint8)


def _rgb(x_HW: NDArray[np.generic]) -> Pixels:
    return np.repeat(np.clip(x_HW, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _blur(x: NDArray[np.generic], sigma: float) -> NDArray[np.float32]:
    return cv2.GaussianBlur(x.astype(np.float32), (0, 0), sigma).astype(np.float32)


def _noise(shape: tuple[int, ...], rng: np.random.Generator, size: float) -> NDArray[np.float32]:
    """Smooth noise in about [-1, 1] with blobs of `size` pixels: paper, chalk, a shaking hand."""
    height, width = shape[:2]
    small = (max(2, round(height / size)), max(2, round(width / size)))
    coarse = rng.uniform(-1, 1, small).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def _bend(x: Pixels, rng: np.random.Generator, pixels: float, size: float) -> Pixels:
    """Each point moved by up to `pixels`, neighbours alike."""
    height, width = x.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return cv2.remap(
        x,
        columns + pixels * _noise(x.shape, rng, size),
        rows + pixels * _noise(x.shape, rng, size),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.uint8)


def _saturate(x_HWC: NDArray[np.generic], factor: float) -> Pixels:
    grey = x_HWC.astype(np.float32).mean(axis=2, keepdims=True)
    return np.clip(grey + factor * (x_HWC - grey), 0, 255).astype(np.uint8)


# Sketch: lines of a pencil, a pen, a brush of ink.


def _pencil(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Grey divided by its blurred copy (a colour dodge), on paper with a grain."""
    grey = _grey(x).astype(np.float32)
    lines = grey / np.maximum(_blur(grey, rng.uniform(2, 7)), 1)
    dark = np.clip(lines, 0, 1) ** rng.uniform(1.5, 5)
    return _rgb(dark * (248 + 7 * _noise(grey.shape, rng, 2)))


def _contour(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Edges as a pen would draw them, with a hand that shakes a little."""
    low = rng.uniform(25, 60)
    edges = cv2.Canny(_blur(_grey(x), rng.uniform(0.6, 1.4)).astype(np.uint8), low, 2.5 * low)
    if rng.random() < 0.5:
        edges = cv2.dilate(edges, np.ones((2, 2), np.uint8))
    drawn = _bend(edges.astype(np.uint8), rng, rng.uniform(0.5, 2.5), rng.uniform(12, 40))
    ink = rng.uniform(0.75, 1)
    return _rgb(255 - ink * _blur(drawn, 0.6))


def _ink(x: Pixels, rng: np.random.Generator) -> Pixels:
    """A soft-thresholded difference of Gaussians (XDoG, Winnemoeller 2012): black areas too."""
    grey = _grey(x).astype(np.float32) / 255
    sigma, sharp = rng.uniform(0.6, 1.4), rng.uniform(8, 20)
    d = (1 + sharp) * _blur(grey, sigma) - sharp * _blur(grey, 1.6 * sigma)
    level = rng.uniform(0.5, 0.85)
    return _rgb(255 * np.where(d >= level, 1, 1 + np.tanh(rng.uniform(4, 12) * (d - level))))


def _hatching(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Pencil lines, with strokes across the dark areas."""
    grey = _blur(_grey(x), 1.5)
    rows, columns = np.mgrid[0 : x.shape[0], 0 : x.shape[1]]
    page = _pencil(x, rng)[..., 0].astype(np.float32)
    for level, angle in ((170, rng.uniform(0.5, 1.1)), (100, rng.uniform(2.0, 2.6))):
        step = rng.uniform(3.5, 6)
        across = columns * np.cos(angle) + rows * np.sin(angle) + 2 * _noise(grey.shape, rng, 30)
        page = np.where((grey < level) & (across % step < 1.2), np.minimum(page, 110), page)
    return _rgb(_blur(page, 0.5))


# Art: paint of several kinds.


def _thick(x: Pixels) -> Pixels:
    """Dark lines as thick as a brush: a painter paints a thin line, a median takes it away."""
    return cv2.erode(x, np.ones((3, 3), np.uint8)).astype(np.uint8)


def _oil(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Medians over medians: flat dabs; then brighter colours and a canvas."""
    y = _thick(x)
    for _ in range(int(rng.integers(2, 5))):
        y = cv2.medianBlur(y, int(rng.choice([3, 5]))).astype(np.uint8)
    canvas = 1 + rng.uniform(0.02, 0.08) * _noise(x.shape, rng, 2)
    return _saturate(y * canvas[..., None], rng.uniform(1.1, 1.8))


def _watercolour(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Smooth washes that run over their edges, paler, on rough paper."""
    y = cv2.bilateralFilter(x, 7, rng.uniform(40, 90), 5).astype(np.uint8)
    y = _bend(y, rng, rng.uniform(1, 4), rng.uniform(8, 20)).astype(np.float32)
    pale = 255 - (255 - y) * rng.uniform(0.55, 0.9)
    wash = 1 + rng.uniform(0.03, 0.1) * _noise(x.shape, rng, rng.uniform(6, 30))
    return _saturate(pale * wash[..., None], rng.uniform(0.9, 1.6))


def _dabs(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Pointillism: round dabs of the colour beneath, a little off, in random order."""
    height, width = x.shape[:2]
    radius = int(rng.integers(2, 5))
    y = np.full_like(x, 245)
    count = int(3 * height * width / (3.14 * radius**2))
    rows, columns = rng.integers(0, height, count), rng.integers(0, width, count)
    colours = _thick(x)[rows, columns] + rng.normal(0, rng.uniform(5, 25), (count, 3))
    for row, column, colour in zip(
        rows.tolist(), columns.tolist(), np.clip(colours, 0, 255).tolist(), strict=True
    ):
        cv2.circle(y, (column, row), radius, colour, -1, cv2.LINE_AA)
    return y


def _poster(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Few levels of each colour and another hue: a screen print."""
    levels = int(rng.integers(2, 5))
    smooth = cv2.bilateralFilter(x, 5, 50, 5).astype(np.float32)
    flat = np.round(smooth / 255 * levels) / levels * 255
    hsv = cv2.cvtColor(flat.astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.int32)
    hsv[..., 0] = (hsv[..., 0] + int(rng.integers(0, 180))) % 180
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.uint8)


def _brush(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Strokes in a direction that changes over the picture."""
    y = np.zeros(x.shape, np.float32)
    weight = np.zeros(x.shape[:2], np.float32)
    turn = _noise(x.shape, rng, 60)
    for i, angle in enumerate(rng.uniform(0, np.pi, 3)):
        length = int(rng.integers(5, 11))
        kernel = np.zeros((length, length), np.float32)
        c, dx, dy = length / 2 - 0.5, np.cos(angle) * length / 2, np.sin(angle) * length / 2
        ends = (round(c - dx), round(c - dy)), (round(c + dx), round(c + dy))
        cv2.line(kernel, *ends, 1.0, 1)
        share = np.exp(-6 * (turn - (i - 1) * 0.6) ** 2)
        y += cv2.filter2D(x.astype(np.float32), -1, kernel / kernel.sum()) * share[..., None]
        weight += share
    painted = y / np.maximum(weight, 1e-6)[..., None] + 14 * _noise(x.shape, rng, 2)[..., None]
    return _saturate(painted, rng.uniform(1.1, 1.7))


# Low resolution: too few pixels, out of focus, saved too often.


def _tiny(x: Pixels, rng: np.random.Generator) -> Pixels:
    """24 to 72 pixels on the longer side, enlarged again."""
    height, width = x.shape[:2]
    scale = min(1.0, rng.uniform(24, 72) / max(height, width))
    small = (max(3, round(width * scale)), max(3, round(height * scale)))
    way = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC][int(rng.integers(3))]
    y = cv2.resize(x, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(y, (width, height), interpolation=way).astype(np.uint8)


def _defocus(x: Pixels, rng: np.random.Generator) -> Pixels:
    return np.clip(_blur(x, rng.uniform(2, 5)), 0, 255).astype(np.uint8)


def _shaken(x: Pixels, rng: np.random.Generator) -> Pixels:
    """A hand that moved: blur along one direction."""
    length = int(rng.integers(9, 21))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), rng.uniform(0, 180), 1)
    turned = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), np.float32)
    y = cv2.filter2D(x, -1, turned / max(float(turned.sum()), 1e-6))
    return np.clip(y, 0, 255).astype(np.uint8)


def _crushed(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Half size, JPEG of quality 3 to 12."""
    return _jpeg(_resized(x, rng.uniform(0.4, 0.7)), int(rng.integers(3, 13)), x.shape)


# Photo, screenshot, copy: how a page travels.


def _photo(x: Pixels, rng: np.random.Generator) -> Pixels:
    """A page on a desk under a lamp: perspective, uneven light, a colour cast, noise, JPEG."""
    height, width = x.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    reach = np.array((width, height)) * rng.uniform(0.03, 0.12)
    seen = (corners + rng.uniform(-1, 1, (4, 2)) * reach).astype(np.float32)
    seen = (seen - (width / 2, height / 2)) * rng.uniform(0.8, 1) + (width / 2, height / 2)
    desk = rng.uniform(40, 230, 3).tolist()
    matrix = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    y = cv2.warpPerspective(x, matrix, (width, height), borderValue=desk).astype(np.float32)
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    light = rng.uniform(0.65, 0.9) + rng.uniform(0, 0.25) * (
        np.cos(angle) * columns + np.sin(angle) * rows
    )
    y = y * light[..., None] * rng.uniform(0.85, 1.1, 3) + rng.normal(0, 6, x.shape)
    return _jpeg(np.clip(y, 0, 255).astype(np.uint8), int(rng.integers(35, 80)), x.shape)


def _screenshot(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Cut a little too tight or too wide, scaled, and saved again by a chat program."""
    height, width = x.shape[:2]
    left, right = (int(rng.uniform(-0.06, 0.08) * width) for _ in range(2))
    top, bottom = (int(rng.uniform(-0.06, 0.08) * height) for _ in range(2))
    margin = max(0, -left), max(0, -right), max(0, -top), max(0, -bottom)
    shade = int(rng.choice([255, 255, 240, 32]))
    y = cv2.copyMakeBorder(
        x, margin[2], margin[3], margin[0], margin[1], cv2.BORDER_CONSTANT, value=[shade] * 3
    )
    y = y[max(0, top) : y.shape[0] - max(0, bottom), max(0, left) : y.shape[1] - max(0, right)]
    y = _resized(y.astype(np.uint8), rng.uniform(0.4, 1))
    return _jpeg(y, int(rng.integers(15, 60)), x.shape)


def _photocopy(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Grey, harsher or paler, with specks."""
    grey = _grey(x).astype(np.float32)
    contrast = rng.uniform(0.35, 0.7) if rng.random() < 0.4 else rng.uniform(1.4, 3)
    y = 128 + contrast * (grey - 128) + rng.uniform(0, 40)
    specks = rng.random(grey.shape) < rng.uniform(0, 0.004)
    return _rgb(_blur(np.where(specks, 30, y), rng.uniform(0.3, 0.8)))


# Kept for tests: no encoder of ours is trained on these.


def _blackboard(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Chalk: light, broken lines on dark green or black."""
    lines = 255 - _pencil(x, rng)[..., 0].astype(np.float32)
    chalk = np.clip(1.5 * lines / 255, 0, 1) * (0.75 + 0.25 * _noise(lines.shape, rng, 1.5))
    board = np.array([(38, 70, 55), (35, 35, 38)][int(rng.integers(2))], np.float32)
    dust = board + 10 * _noise(lines.shape, rng, 40)[..., None]
    y = dust + chalk[..., None] * (np.array((240, 240, 225)) - dust)
    return np.clip(y, 0, 255).astype(np.uint8)


def _mosaic(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Tiles of one colour each, 18 to 36 along the longer side, with grout."""
    height, width = x.shape[:2]
    tile = max(height, width) / rng.uniform(18, 36)
    small = (max(2, round(width / tile)), max(2, round(height / tile)))
    tiles = np.asarray(cv2.resize(x, small, interpolation=cv2.INTER_AREA), np.float32)
    fired = tiles + rng.normal(0, 12, tiles.shape).astype(np.float32)
    y = np.asarray(cv2.resize(fired, (width, height), interpolation=cv2.INTER_NEAREST))
    rows, columns = np.mgrid[0:height, 0:width]
    cell = width / small[0], height / small[1]
    grout = (columns % cell[0] < 1.2) | (rows % cell[1] < 1.2)
    y[grout] = rng.uniform(90, 200)
    return np.clip(y, 0, 255).astype(np.uint8)


def _halftone(x: Pixels, rng: np.random.Generator) -> Pixels:
    """The dots of a newspaper, on yellowed paper."""
    grey = _blur(_grey(x), 1) / 255
    rows, columns = np.mgrid[0 : x.shape[0], 0 : x.shape[1]]
    angle, pitch = rng.uniform(0.4, 1.2), rng.uniform(3.5, 6)
    u = (columns * np.cos(angle) + rows * np.sin(angle)) * 2 * np.pi / pitch
    v = (rows * np.cos(angle) - columns * np.sin(angle)) * 2 * np.pi / pitch
    screen = (np.cos(u) + np.cos(v)) / 4 + 0.5
    ink = 1 / (1 + np.exp(-12 * (1 - grey - screen)))
    paper = np.array((236, 226, 200), np.float32)
    return np.clip(paper * (1 - 0.85 * ink[..., None]), 0, 255).astype(np.uint8)


def _blueprint(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Pale lines on blue, over a faint grid."""
    lines = 255 - _contour(x, rng)[..., 0].astype(np.float32)
    rows, columns = np.mgrid[0 : x.shape[0], 0 : x.shape[1]]
    step = int(rng.integers(14, 26))
    lines = np.maximum(lines, 45.0 * ((rows % step == 0) | (columns % step == 0)))
    blue = np.array([(24, 60, 140), (20, 40, 100)][int(rng.integers(2))], np.float32)
    y = blue + (lines / 255)[..., None] * (np.array((225, 235, 250)) - blue)
    return np.clip(y, 0, 255).astype(np.uint8)


def _handdrawn(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Copied by hand: everything bent as handwriting bends it, in one ink on ruled paper."""
    y = _bend(x, rng, rng.uniform(6, 11), rng.uniform(35, 70))
    y = _bend(y, rng, rng.uniform(1.5, 3), rng.uniform(8, 14))
    lines = 255 - _ink(y, rng)[..., 0].astype(np.float32)
    ink = np.array([(30, 40, 130), (30, 30, 30), (140, 30, 40)][int(rng.integers(3))], np.float32)
    paper = np.full(x.shape, (250, 248, 240), np.float32)
    paper[:: int(rng.integers(16, 26))] = (170, 195, 225)
    page = paper + (lines / 255)[..., None] * (ink - paper)
    return np.clip(page, 0, 255).astype(np.uint8)


def _thermal(x: Pixels, rng: np.random.Generator) -> Pixels:
    """False colours, as of a heat camera, sometimes inverted."""
    grey = _blur(_grey(x), rng.uniform(0.5, 2)).astype(np.uint8)
    if rng.random() < 0.5:
        grey = (255 - grey).astype(np.uint8)
    maps = (cv2.COLORMAP_JET, cv2.COLORMAP_INFERNO, cv2.COLORMAP_TURBO)
    coloured = cv2.applyColorMap(grey, maps[int(rng.integers(3))])
    return cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB).astype(np.uint8)


def _stipple(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Dots of a pen, denser where it is darker, and nothing else."""
    size = int(rng.integers(2, 4))
    dark = 1 - _blur(_grey(_thick(x)), 0.8)[::size, ::size] / 255
    dots = rng.random(dark.shape) < 0.02 + 0.75 * np.maximum(dark, 0) ** rng.uniform(0.6, 1)
    ink = cv2.resize(255.0 * dots, x.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return _rgb(250 - 0.9 * _blur(np.asarray(ink), 0.5 * size))


def _stainedglass(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Pieces of glass of one colour each between strips of lead."""
    height, width = x.shape[:2]
    pieces = int(rng.integers(900, 1800))
    free = np.ones((height, width), np.uint8)
    free[rng.integers(0, height, pieces), rng.integers(0, width, pieces)] = 0
    _, label = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    size = np.maximum(np.bincount(label.ravel()), 1)
    dark = _thick(x)
    sums = [np.bincount(label.ravel(), dark[..., c].ravel()) for c in range(3)]
    y = np.stack([(s / size)[label] for s in sums], axis=-1)
    glass = _saturate(y + rng.normal(0, 8, y.shape), rng.uniform(1.3, 2.2))
    lead = (cv2.morphologyEx(label.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((2, 2)))) > 0
    glass[lead] = 25
    return glass


def _stitch(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Cross-stitch: an X of thread for each cell, on cloth."""
    height, width = x.shape[:2]
    cell = int(rng.integers(5, 8))
    small = (max(2, -(-width // cell)), max(2, -(-height // cell)))
    colours = cv2.resize(_thick(x), small, interpolation=cv2.INTER_AREA)
    threads = np.repeat(np.repeat(colours, cell, axis=0), cell, axis=1)[:height, :width]
    rows, columns = np.mgrid[0:height, 0:width] % cell
    cross = (abs(rows - columns) <= 1) | (abs(rows + columns - cell + 1) <= 1)
    cloth = np.array((222, 212, 190)) + 14 * _noise(x.shape, rng, 1.5)[..., None]
    shade = 1 - 0.25 * rng.random((height, width, 1))
    return np.clip(np.where(cross[..., None], threads * shade, cloth), 0, 255).astype(np.uint8)


def _monitor(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Photographed from a screen: its dots, moire and a reflection."""
    height, width = x.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    dots = np.stack([0.55 + 0.45 * ((columns + c) % 3 == 0) for c in range(3)], axis=-1)
    lines = 0.75 + 0.25 * (rows % int(rng.integers(3, 5)) > 0)
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(4, 9)
    wave = columns * np.cos(angle) + rows * np.sin(angle) + 6 * _noise(x.shape, rng, 80)
    moire = np.stack([np.sin(2 * np.pi * wave / pitch + c) for c in range(3)], axis=-1)
    lamp = np.exp(
        -((columns / width - rng.random()) ** 2 + (rows / height - rng.random()) ** 2) * 8
    )
    y = (x.astype(np.float32) * dots * lines[..., None] * 0.8 + 35 * moire) + 90 * lamp[..., None]
    return np.clip(y * rng.uniform(0.8, 1.1, 3), 0, 255).astype(np.uint8)


def _resized(x: Pixels, scale: float) -> Pixels:
    height, width = x.shape[:2]
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    return cv2.resize(x, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _jpeg(x: Pixels, quality: int, shape: tuple[int, ...]) -> Pixels:
    """Through JPEG and back, at the size of `shape`."""
    _, data = cv2.imencode(".jpg", x[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    y = decoded[..., ::-1]
    return cv2.resize(y, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


_ALL = (
    Style("sketch", (_pencil, _contour, _ink, _hatching)),
    Style("art", (_oil, _watercolour, _dabs, _poster, _brush)),
    Style("lowres", (_tiny, _defocus, _shaken, _crushed)),
    Style("photo", (_photo,)),
    Style("screenshot", (_screenshot,)),
    Style("photocopy", (_photocopy,)),
    Style("blackboard", (_blackboard,), unseen=True),
    Style("blueprint", (_blueprint,), unseen=True),
    Style("mosaic", (_mosaic,), unseen=True),
    Style("halftone", (_halftone,), unseen=True),
    Style("handdrawn", (_handdrawn,), unseen=True),
    Style("thermal", (_thermal,), unseen=True),
    Style("stipple", (_stipple,), unseen=True),
    Style("stainedglass", (_stainedglass,), unseen=True),
    Style("stitch", (_stitch,), unseen=True),
    Style("monitor", (_monitor,), unseen=True),
)
STYLES: Mapping[str, Style] = {style.name: style for style in _ALL}
SEEN = tuple(style.name for style in _ALL if not style.unseen)
UNSEEN = tuple(style.name for style in _ALL if style.unseen)
