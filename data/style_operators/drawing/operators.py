"""The operators of style `drawing`: pencil, ballpoint, whiteboard, tablet and mouse.

Each takes a figure of any size and returns a picture of the drawing of a size of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from data.style_operators.common import Pixels, compress_jpeg, smooth_noise
from data.style_operators.drawing import camera
from data.style_operators.drawing.hand import Hand, redraw
from data.style_operators.drawing.letters import FONTS, Handwriting
from data.style_operators.drawing.sheet import (
    OUTPUT_SIDE,
    SUPERSAMPLING,
    Sheet,
    View,
    choose_sheet,
    choose_view,
    place_drawing,
    render_sheet,
    to_fixed,
)
from data.style_operators.drawing.strokes import Strokes
from data.style_operators.drawing.tracing import trace

__all__ = ["ballpoint", "mouse", "pencil", "tablet", "whiteboard"]

_SHIFT = 4  # binary digits of a pixel that OpenCV's lines take
_COLOURED = 45  # distance of a colour from grey, from which a person takes a coloured pen
_BALLPOINTS = ((28, 44, 150), (32, 40, 120), (25, 25, 32), (40, 60, 175), (150, 30, 40))
_MARKERS = ((25, 28, 32), (25, 60, 165), (190, 35, 40), (20, 125, 70))
_SCREEN_INKS = ((20, 20, 20), (30, 70, 190), (205, 40, 45), (20, 130, 60), (120, 60, 170))


@dataclass(frozen=True, slots=True)
class Pen:
    """A pen: the width of its line in output pixels, its colours, and how evenly it covers."""

    width: float
    colours: tuple[tuple[int, int, int], ...]
    cover: tuple[float, float]  # least and most opacity of a stroke
    grain: float = 0.0  # how much the tooth of the paper shows


def pencil(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw with a pencil on paper, photographed or scanned."""
    grey = int(rng.integers(45, 115))
    pen = Pen(
        rng.uniform(0.45, 1.0), ((grey, grey, grey + 4),), (0.45, 0.95), rng.uniform(0.2, 0.6)
    )
    return _on_paper(_draw(x, _choose_hand(rng), rng), pen, rng)


def ballpoint(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw with a ballpoint on paper, photographed or scanned."""
    colours = _some_colours(_BALLPOINTS, 0.15, rng)
    pen = Pen(rng.uniform(0.3, 0.8), colours, (0.65, 1.0), rng.uniform(0, 0.25))
    return _on_paper(_draw(x, _choose_hand(rng), rng), pen, rng)


def whiteboard(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw with markers on a whiteboard, photographed."""
    strokes = _draw(x, _choose_hand(rng, calm=0.9, letters=(11, 18)), rng)
    height = rng.uniform(80, 150)
    board = Sheet(
        height * rng.uniform(1.1, 1.8), height, "plain", 1, np.array((238, 240, 242.0)),
        np.zeros(3), 0, 0, 0, False,
    )  # fmt: skip
    points_P2 = place_drawing(strokes.points_P2, board, rng) if len(strokes) else strokes.points_P2
    framing = "table" if rng.random() < 0.25 else "close"
    view = choose_view(_points_or_corners(points_P2, board), board, framing, rng)
    page = render_sheet(board, view, camera.render_desk(view.size, rng))
    page = _smear(page, rng)
    pen = Pen(
        rng.uniform(0.9, 1.9), _some_colours(_MARKERS, 0.5, rng), (0.75, 1.0), rng.uniform(0, 0.3)
    )
    page = _ink(page, strokes.moved(view.project(points_P2)), pen, rng)
    return camera.photograph(_reflect(page, rng), rng, 0.35)


def tablet(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw with a pen on a tablet: smooth lines, a screen as the paper."""
    strokes = _draw(x, _choose_hand(rng, calm=0.7, smoother=2, letters=(9, 16)), rng)
    is_dark = rng.random() < 0.1
    paper = (28, 28, 32) if is_dark else (255, 255, 255) if rng.random() < 0.7 else (252, 250, 240)
    sheet = _screen(paper, 0.3, rng)
    inks = ((240, 240, 240), (250, 210, 90)) if is_dark else _SCREEN_INKS
    pen = Pen(rng.uniform(0.6, 1.5), _some_colours(inks, 0.45, rng), (0.9, 1.0))
    return _on_screen(strokes, sheet, pen, rng)


def mouse(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw with a mouse in a web page: jagged lines, few details, hardly a word."""
    hand = _choose_hand(
        rng, calm=1.5, label_share=float(rng.choice([0, 0, 0.5])), rougher=True, letters=(12, 20)
    )
    strokes = _draw(x, hand, rng, detail=rng.uniform(2.2, 4.5))
    pen = Pen(rng.uniform(0.7, 1.6), _some_colours(_SCREEN_INKS, 0.15, rng), (1.0, 1.0))
    return _on_screen(strokes, _screen((255, 255, 255), 0.0, rng), pen, rng)


def _draw(x: Pixels, hand: Hand, rng: np.random.Generator, detail: float | None = None) -> Strokes:
    """Return the strokes of a drawing of the figure."""
    detail = rng.uniform(1.0, 2.4) if detail is None else detail
    word_length = float(rng.choice([1.2, 2.0, 2.8, 1e3], p=[0.25, 0.4, 0.25, 0.1]))
    tracing = trace(x, rng.uniform(22, 48), detail, word_length)
    return redraw(tracing, hand, rng)


def _choose_hand(
    rng: np.random.Generator,
    calm: float = 1.0,
    smoother: int = 0,
    label_share: float | None = None,
    rougher: bool = False,
    letters: tuple[float, float] = (7, 12),
) -> Hand:
    """Choose a person. `calm` multiplies how far the lines stray, `letters` bounds their height."""
    shares = (0.0, 0.7, 1.0)
    share = shares[int(rng.choice(3, p=[0.12, 0.38, 0.5]))] if label_share is None else label_share
    return Hand(
        left_out=rng.uniform(0.15, 0.5) + (0.15 if rougher else 0),
        spacing=rng.uniform(4, 16),
        warp=rng.uniform(1.5, 6),
        shift=rng.uniform(2, 7),
        wobble=calm * rng.uniform(0.3, 1.1),
        wavelength=rng.uniform(7, 13) if rougher else rng.uniform(13, 30),
        bow=calm * rng.uniform(0.003, 0.014),
        overshoot=calm * rng.uniform(0.6, 2.6),
        smoothing=0 if rougher else int(rng.integers(1, 4)) + smoother,
        doubled=rng.uniform(0, 0.12) if rng.random() < 0.5 else 0.0,
        hatched=rng.uniform(0.3, 1) if rng.random() < 0.5 else 0.0,
        label_share=share,
        label_scale=rng.uniform(1.0, 1.7),
        least_letter=rng.uniform(*letters),
        handwriting=Handwriting(
            FONTS[int(rng.integers(len(FONTS)))], rng.normal(0.05, 0.15), rng.uniform(0.02, 0.07)
        ),
    )


def _on_paper(strokes: Strokes, pen: Pen, rng: np.random.Generator) -> Pixels:
    """Put strokes on a sheet of paper and take its picture."""
    extent = np.ptp(strokes.points_P2, axis=0) if len(strokes) else np.ones(2)
    sheet = choose_sheet(bool(extent[0] > extent[1]), rng)
    points_P2 = place_drawing(strokes.points_P2, sheet, rng) if len(strokes) else strokes.points_P2
    framing = str(rng.choice(["scan", "close", "table"], p=[0.35, 0.35, 0.3]))
    view = choose_view(_points_or_corners(points_P2, sheet), sheet, framing, rng)
    is_scan = framing == "scan"
    white = np.full((*view.size[::-1], 3), 248, np.float32)
    page = render_sheet(sheet, view, white if is_scan else camera.render_desk(view.size, rng))
    page = page * (1 + 0.012 * smooth_noise(page.shape, rng, 3)[..., None])
    page = _ink(page, strokes.moved(view.project(points_P2)), pen, rng)
    return camera.scan(page, rng) if is_scan else camera.photograph(page, rng)


def _on_screen(strokes: Strokes, sheet: Sheet, pen: Pen, rng: np.random.Generator) -> Pixels:
    """Put strokes on a screen and save it."""
    points_P2 = place_drawing(strokes.points_P2, sheet, rng) if len(strokes) else strokes.points_P2
    frame = np.array([(0, 0), (sheet.width, 0), (sheet.width, sheet.height), (0, sheet.height)])
    size = np.array((sheet.width, sheet.height))
    width, height = np.round(size / size.max() * OUTPUT_SIDE).astype(int)
    picture = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    view = View(
        np.asarray(cv2.getPerspectiveTransform(frame.astype(np.float32), picture), np.float64),
        (int(width), int(height)),
    )
    page = render_sheet(sheet, view, np.full((height, width, 3), sheet.paper, np.float32))
    page = _ink(page, strokes.moved(view.project(points_P2)), pen, rng)
    pixels = np.clip(page, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        return pixels
    return compress_jpeg(pixels, int(rng.integers(50, 95)), pixels.shape)


def _screen(paper: tuple[int, int, int], ruled_share: float, rng: np.random.Generator) -> Sheet:
    """Return a screen as a sheet, sometimes with the lines of a notes program."""
    width, height = 200.0, 200.0 * rng.uniform(0.55, 1.3)
    ruling = str(rng.choice(["squared", "ruled"])) if rng.random() < ruled_share else "plain"
    background = np.array(paper, np.float64)
    rule = np.where(background > 128, background - 30, background + 30)
    return Sheet(width, height, ruling, rng.uniform(7, 12), background, rule, 0.8, 0, 0, False)


def _points_or_corners(points_P2: NDArray[np.float32], sheet: Sheet) -> NDArray[np.float32]:
    """Return the points to aim at: the corners of the sheet if nothing is drawn."""
    corners = np.array([(0, 0), (sheet.width, sheet.height)], np.float32)
    return points_P2 if len(points_P2) else corners


def _some_colours(
    colours: tuple[tuple[int, int, int], ...], mixed_share: float, rng: np.random.Generator
) -> tuple[tuple[int, int, int], ...]:
    """Choose one pen, or sometimes two or three; the first draws the most."""
    count = int(rng.integers(2, 4)) if rng.random() < mixed_share else 1
    weights = (1 + np.arange(len(colours))) ** -1.5
    chosen = rng.choice(
        len(colours), min(count, len(colours)), replace=False, p=weights / weights.sum()
    )
    return tuple(colours[int(i)] for i in chosen)


def _ink(
    page_HWC: NDArray[np.float32], strokes: Strokes, pen: Pen, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw strokes, whose points are in output pixels, on a page."""
    if not len(strokes):
        return page_HWC
    height, width = page_HWC.shape[:2]
    fixed = to_fixed(strokes.points_P2)
    lines = np.split(fixed, strokes.firsts[1:])
    pen_S = _pens_like(strokes.colour_S3, pen.colours)
    cover_S = (255 * rng.uniform(*pen.cover, len(strokes))).astype(int)
    thickness = max(1, round(pen.width * SUPERSAMPLING))
    thin_cover = min(1.0, pen.width * SUPERSAMPLING / thickness)
    for number, colour in enumerate(pen.colours):
        layer_HW = np.zeros((SUPERSAMPLING * height, SUPERSAMPLING * width), np.uint8)
        for stroke in np.flatnonzero(pen_S == number):
            cv2.polylines(
                layer_HW,
                [lines[stroke]],
                False,
                int(cover_S[stroke]),
                thickness,
                cv2.LINE_AA,
                _SHIFT,
            )
        cover_HW = cv2.resize(layer_HW, (width, height), interpolation=cv2.INTER_AREA) / 255
        cover_HW = cover_HW * (thin_cover * (1 - pen.grain * _tooth((height, width), rng)))
        page_HWC = page_HWC + cover_HW[..., None] * (np.array(colour, np.float32) - page_HWC)
    return np.asarray(page_HWC, np.float32)


def _pens_like(
    colour_S3: NDArray[np.float32], pens: tuple[tuple[int, int, int], ...]
) -> NDArray[np.intp]:
    """Return the number of the pen for each stroke: the first, or one of about its hue."""
    hues_S3 = colour_S3 - colour_S3.mean(1, keepdims=True)
    strength_S = np.hypot.reduce(hues_S3, axis=1)
    pens_N3 = np.array(pens, np.float32)
    pen_hues_N3 = pens_N3 - pens_N3.mean(1, keepdims=True)
    pen_hues_N3 /= np.maximum(np.hypot.reduce(pen_hues_N3, axis=1, keepdims=True), 40)
    nearest_S = (hues_S3 @ pen_hues_N3.T).argmax(1)
    return np.where(strength_S > _COLOURED, nearest_S, 0)


def _tooth(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the tooth of paper: where it is 1, the pen skips."""
    return rng.random(shape, np.float32) * (0.6 + 0.4 * smooth_noise(shape, rng, 12))


def _smear(page_HWC: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Leave the traces of an eraser on a whiteboard."""
    traces = np.clip(smooth_noise(page_HWC.shape, rng, rng.uniform(12, 50)), 0, 1)
    tint = np.array((120, 125, 140), np.float32)
    return page_HWC + rng.uniform(0, 0.14) * traces[..., None] * (tint - page_HWC)


def _reflect(page_HWC: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Reflect a lamp or a window in a whiteboard."""
    if rng.random() < 0.4:
        return page_HWC
    height, width = page_HWC.shape[:2]
    y, x = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    distance = ((x - rng.random()) / rng.uniform(0.05, 0.3)) ** 2
    distance = distance + ((y - rng.random()) / rng.uniform(0.05, 0.3)) ** 2
    lamp = rng.uniform(0.2, 0.9) * np.exp(-distance).astype(np.float32)
    return page_HWC + lamp[..., None] * (255 - page_HWC)
