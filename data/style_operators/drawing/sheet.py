"""The sheet that a drawing is made on, and where the camera sees it.

Lengths on the sheet are in millimetres, with the origin at its upper left corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "OUTPUT_SIDE",
    "SUPERSAMPLING",
    "Sheet",
    "View",
    "choose_sheet",
    "choose_view",
    "place_drawing",
    "render_sheet",
    "to_fixed",
]

OUTPUT_SIDE = 256  # pixels of the longer side of a query picture
SUPERSAMPLING = 3  # lines are drawn on a picture so many times larger
_SHIFT = 4  # binary digits of a pixel that OpenCV's lines take
_RULES = ((150, 175, 215), (170, 170, 185), (190, 170, 205), (140, 190, 200))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of paper: its size, its ruling and its colours."""

    width: float
    height: float
    ruling: str  # plain, ruled or squared
    pitch: float  # millimetres between the lines
    paper: NDArray[np.float64]  # RGB
    rule: NDArray[np.float64]  # RGB
    rule_strength: float
    margin: float  # millimetres of the margin line from the left; 0 for none
    holes: int  # along the left or upper edge
    is_spiral: bool


@dataclass(frozen=True, slots=True)
class View:
    """What the camera sees: a map from the sheet to an output picture of a size."""

    sheet_to_picture: NDArray[np.float64]  # homography
    size: tuple[int, int]  # width and height in pixels

    def project(self, points_P2: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return where points of the sheet lie in the output picture."""
        points = points_P2.reshape(1, -1, 2).astype(np.float64)
        if not points.size:
            return np.empty((0, 2), np.float32)
        return np.asarray(cv2.perspectiveTransform(points, self.sheet_to_picture)[0], np.float32)


def choose_sheet(is_wide: bool, rng: np.random.Generator) -> Sheet:
    """Take a sheet from a stack: mostly squared or plain A4, white or a little yellow."""
    turned = is_wide if rng.random() < 0.75 else not is_wide
    short, long = (210.0, 297.0) if rng.random() < 0.75 else (148.0, 210.0)
    ruling = str(rng.choice(["plain", "squared", "ruled"], p=[0.38, 0.42, 0.2]))
    tint = rng.choice(3, p=[0.6, 0.25, 0.15])
    paper = np.array([(250, 250, 250), (250, 247, 238), (244, 240, 226)][tint], np.float64)
    has_holes = ruling != "plain" and rng.random() < 0.4
    return Sheet(
        width=long if turned else short,
        height=short if turned else long,
        ruling=ruling,
        pitch=float(rng.uniform(4.5, 6)) if ruling == "squared" else float(rng.uniform(7, 10)),
        paper=paper,
        rule=np.array(_RULES[int(rng.integers(len(_RULES)))], np.float64),
        rule_strength=float(rng.uniform(0.2, 0.75)),
        margin=float(rng.uniform(18, 32)) if ruling != "plain" and rng.random() < 0.3 else 0.0,
        holes=int(rng.choice([2, 4])) if has_holes else 0,
        is_spiral=bool(ruling != "plain" and not has_holes and rng.random() < 0.15),
    )


def place_drawing(
    points_P2: NDArray[np.float32], sheet: Sheet, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Scale a drawing to a part of the sheet, stretched a little, and return its points there."""
    low, high = np.quantile(points_P2, (0.002, 0.998), axis=0)
    extent = np.maximum(high - low, 1.0)
    stretch = np.exp(rng.normal(0, 0.13, 2))
    room = np.array((sheet.width, sheet.height)) * rng.uniform(0.68, 0.95)
    scale = float((room / (extent * stretch)).min())
    free = np.array((sheet.width, sheet.height)) - extent * stretch * scale
    corner = free * np.clip((rng.normal(0.5, 0.12), rng.beta(1.6, 2.6)), 0.03, 0.95)
    return ((points_P2 - low) * stretch * scale + corner).astype(np.float32)


def choose_view(
    points_P2: NDArray[np.float32], sheet: Sheet, framing: str, rng: np.random.Generator
) -> View:
    """Aim the camera. `framing` is scan (the sheet), close (the drawing) or table (around it)."""
    whole = np.array((0, 0, sheet.width, sheet.height), np.float64)
    low, high = np.quantile(points_P2, (0.002, 0.998), axis=0)
    size = np.array((sheet.width, sheet.height))
    if framing == "table":
        margins = rng.uniform(-0.03, 0.16, 4) * np.tile(size, 2)
        frame = whole + margins * (-1, -1, 1, 1)
    elif framing == "close":
        margins = rng.uniform(0.01, 0.16, 4) * np.tile(size, 2)
        frame = np.concatenate([low, high]) + margins * (-1, -1, 1, 1)
        frame = np.clip(frame, 0, np.tile(size, 2))
    else:
        frame = whole + rng.uniform(0, 0.02, 4) * np.tile(size, 2) * (1, 1, -1, -1)
        if rng.random() < 0.4:  # cut to the drawing
            frame = np.concatenate([low - 12, high + 12])
    width, height = _limited_shape(frame)
    picture = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    corners = np.array([frame[[0, 1]], frame[[2, 1]], frame[[2, 3]], frame[[0, 3]]])
    tilt = np.radians(rng.normal(0, 0.4 if framing == "scan" else 2.5))
    middle = corners.mean(0)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    corners = middle + (corners - middle) @ turn.T
    if framing != "scan":
        corners += rng.normal(0, 0.025, (4, 2)) * (frame[2:] - frame[:2])
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), picture)
    return View(np.asarray(matrix, np.float64), (width, height))


def _limited_shape(frame: NDArray[np.float64]) -> tuple[int, int]:
    """Return the size in pixels of a picture of the frame, and widen a strip in place."""
    extent = np.maximum(frame[2:] - frame[:2], 1e-3)
    short = np.maximum(extent, extent.max() / 2.4)
    frame[:2] -= (short - extent) / 2
    frame[2:] += (short - extent) / 2
    width, height = np.round(short / short.max() * OUTPUT_SIDE).astype(int)
    return int(width), int(height)


def render_sheet(sheet: Sheet, view: View, desk_HWC: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the empty sheet on a desk as the camera sees it, (H, W, 3) of 0 to 255."""
    width, height = (SUPERSAMPLING * side for side in view.size)
    corners = np.array(
        [(0, 0), (sheet.width, 0), (sheet.width, sheet.height), (0, sheet.height)], np.float32
    )
    cover_HW = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(cover_HW, to_fixed(view.project(corners)), 255, cv2.LINE_AA, _SHIFT)
    rules_HW = np.zeros((height, width), np.uint8)
    lines_L22 = _ruling(sheet)
    if len(lines_L22):
        pixels = to_fixed(view.project(lines_L22.reshape(-1, 2))).reshape(-1, 2, 2)
        cv2.polylines(rules_HW, list(pixels), False, 255, 2, cv2.LINE_AA, _SHIFT)
    dark_HW = np.zeros((height, width), np.uint8)
    for centre_2, radius in _holes(sheet):
        circle = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)], 1) * radius + centre_2
        cv2.fillPoly(dark_HW, [to_fixed(view.project(circle))], 255, cv2.LINE_AA, _SHIFT)
    cover, rules, dark = (
        cv2.resize(layer, view.size, interpolation=cv2.INTER_AREA)[..., None].astype(np.float32)
        / 255
        for layer in (cover_HW, rules_HW, dark_HW)
    )
    rules = rules * np.float32(sheet.rule_strength)
    paper = sheet.paper.astype(np.float32)
    page = paper + rules * (sheet.rule.astype(np.float32) - paper)
    on_sheet = cover * (1 - 0.75 * dark)
    return np.asarray(desk_HWC + on_sheet * (page - desk_HWC), np.float32)


_CIRCLE = np.linspace(0, 2 * np.pi, 12, endpoint=False)


def _ruling(sheet: Sheet) -> NDArray[np.float64]:
    """Return the printed lines of a sheet, (L, 2, 2)."""
    lines: list[tuple[tuple[float, float], tuple[float, float]]] = []
    if sheet.ruling != "plain":
        lines += [
            ((0, y), (sheet.width, y)) for y in np.arange(8, sheet.height, sheet.pitch).tolist()
        ]
    if sheet.ruling == "squared":
        lines += [
            ((x, 0), (x, sheet.height)) for x in np.arange(3, sheet.width, sheet.pitch).tolist()
        ]
    if sheet.margin:
        lines += 2 * [((sheet.margin, 0), (sheet.margin, sheet.height))]
    return np.array(lines, np.float64).reshape(-1, 2, 2)


def _holes(sheet: Sheet) -> list[tuple[NDArray[np.float64], float]]:
    """Return the centres and radii of the holes, on the longer side of the sheet."""
    count, radius = (28, 1.8) if sheet.is_spiral else (sheet.holes, 2.8)
    along = (np.arange(count) + 0.5) / max(count, 1)
    if sheet.height >= sheet.width:
        return [(np.array((8.0, y)), radius) for y in along * sheet.height]
    return [(np.array((x, 8.0)), radius) for x in along * sheet.width]


def to_fixed(points_P2: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return points of the output picture as OpenCV's fixed-point pixels of the larger one."""
    limited = np.clip(points_P2, -4 * OUTPUT_SIDE, 4 * OUTPUT_SIDE)
    return np.round(limited * (SUPERSAMPLING * 2**_SHIFT)).astype(np.int32)
