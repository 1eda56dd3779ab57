"""Trace a figure: its lines as strokes, its words as boxes.

Dark lines are thinned to their middle (Zhang and Suen, 1984), areas to their border. The skeleton
falls into strokes at its junctions. H is the height of a picture, W its width, C components.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from data.style_operators.common import Pixels, blur, to_grey
from data.style_operators.drawing.junctions import join_at_junctions
from data.style_operators.drawing.strokes import Strokes, concatenate
from data.style_operators.drawing.words import Box, find_words, long_lines

__all__ = ["DRAWING_SIDE", "MAX_TRACED_SIDE", "Tracing", "thin", "trace", "trace_skeleton"]

DRAWING_SIDE = 500  # length of the longer side of a figure, in the units of its strokes
MAX_TRACED_SIDE = 640  # pixels of the longer side of a figure while it is traced
_WORKING_SIDES = (420, MAX_TRACED_SIDE)
_NEIGHBOURS = np.array([[1, 2, 4], [128, 0, 8], [64, 32, 16]], np.float32)
_THINNING_ROUNDS = 20
_LINE_WIDTH = 7  # pixels; wider dark areas have a border instead of a middle
_LINE_SHARE = 0.5  # of the darkest pixel nearby; paler ones are the soft rim of a line
_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
_MAX_STROKES = 320  # nobody draws more
_MIN_LENGTH = 4.0  # pixels of a stroke
_FIRST_FRAME = 100_000  # number of the component of the first frame around words


@dataclass(frozen=True, slots=True)
class Tracing:
    """The strokes of a figure, the boxes of its words, and its dark areas.

    Lengths are in shares of the figure's longer side, times `DRAWING_SIDE`.
    """

    strokes: Strokes
    labels: list[tuple[float, float, float, float]]  # left, top, width and height
    areas_HW: Pixels  # in pixels of the size at which the figure was traced
    size: tuple[float, float]  # width and height


def trace(x_HWC: Pixels, contrast: float, detail: float, word_length: float) -> Tracing:
    """Trace a figure.

    Lines count from a `contrast` of 0 to 255, `detail` in pixels is the error of the strokes. Words
    shorter than `word_length` times their height, such as the symbols of atoms, are strokes too.
    """
    longer = max(x_HWC.shape[:2])
    side = int(np.clip(longer, *_WORKING_SIDES))
    width, height = (max(8, round(length * side / longer)) for length in x_HWC.shape[1::-1])
    interpolation = cv2.INTER_AREA if side < longer else cv2.INTER_CUBIC
    y_HWC = cv2.resize(x_HWC, (width, height), interpolation=interpolation).astype(np.uint8)
    lines_HW = _dark_lines(y_HWC, contrast)
    labels, frames = find_words(lines_HW, word_length)
    long_HW = long_lines(lines_HW)  # the frame around a word stays
    for left, top, w, h in labels:
        lines_HW[top : top + h, left : left + w] &= long_HW[top : top + h, left : left + w]
    borders_HW = _area_borders(y_HWC, contrast)
    for left, top, w, h in labels:
        borders_HW[max(0, top - 3) : top + h + 3, max(0, left - 3) : left + w + 3] = 0
    # A line has borders too, which are not drawn beside it.
    borders_HW[cv2.dilate(lines_HW, np.ones((7, 7), np.uint8)) > 0] = 0
    band_HW = cv2.morphologyEx(lines_HW | borders_HW, cv2.MORPH_CLOSE, _DISC).astype(np.uint8)
    strokes = trace_skeleton(thin(band_HW), detail, y_HWC)
    strokes = concatenate([strokes, _frame_strokes(frames)])
    scale = DRAWING_SIDE / side
    return Tracing(
        strokes.moved(strokes.points_P2 * scale),
        [(left * scale, top * scale, w * scale, h * scale) for left, top, w, h in labels],
        _dark_areas(y_HWC),
        (width * scale, height * scale),
    )


def thin(mask_HW: Pixels) -> Pixels:
    """Thin the nonzero areas of a mask to lines one pixel wide, of value 1."""
    thinned_HW = (mask_HW > 0).astype(np.uint8)
    thinned_HW[[0, -1], :] = thinned_HW[:, [0, -1]] = 0
    for _ in range(_THINNING_ROUNDS):
        before = int(np.count_nonzero(thinned_HW))
        for table in _THINNING_TABLES:
            codes_HW = cv2.filter2D(thinned_HW, cv2.CV_8U, _NEIGHBOURS, None, (-1, -1), 0, 0)
            thinned_HW = cv2.bitwise_and(thinned_HW, cv2.LUT(codes_HW, table)).astype(np.uint8)
        if int(np.count_nonzero(thinned_HW)) == before:
            break
    return thinned_HW


def trace_skeleton(skeleton_HW: Pixels, detail: float, figure_HWC: Pixels | None = None) -> Strokes:
    """Return the longest strokes of a skeleton, in the colours of the figure or black."""
    codes_HW = cv2.filter2D(skeleton_HW, cv2.CV_8U, _NEIGHBOURS, None, (-1, -1), 0, 0)
    junction_HW = cv2.bitwise_and(skeleton_HW, cv2.LUT(codes_HW, _JUNCTION_TABLE))
    around_HW = cv2.dilate(junction_HW, np.ones((3, 3), np.uint8))
    no_junction_HW = cv2.subtract(skeleton_HW, around_HW).astype(np.uint8)
    _, component_HW = cv2.connectedComponents(skeleton_HW, connectivity=8)
    contours, hierarchy = cv2.findContours(no_junction_HW, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outlines = [
        _unfold(np.asarray(contour, np.int32)[:, 0], is_ring=bool(relatives[2] >= 0))
        for contour, relatives in zip(contours, _rows(hierarchy), strict=True)
        if relatives[3] < 0 and len(contour) > _MIN_LENGTH
    ]
    lines, components, middles = [], [], []
    _, number_HW = cv2.connectedComponents(cv2.dilate(around_HW, np.ones((3, 3), np.uint8)))
    unfolded = join_at_junctions(outlines, np.asarray(number_HW, np.int32))
    unfolded.sort(key=len, reverse=True)
    for line_N2 in unfolded[:_MAX_STROKES]:
        simple_N2 = _simplify(line_N2, detail)
        if len(simple_N2) > 1:
            lines.append(simple_N2)
            column, row = line_N2[len(line_N2) // 2]
            components.append(int(component_HW[row, column]))
            middles.append((row, column))
    colours = None
    if figure_HWC is not None and middles:
        rows, columns = np.array(middles).T
        colours = figure_HWC[rows, columns]
    return Strokes.of(lines, components, False, colours)


def _simplify(line_N2: NDArray[np.int32], detail: float) -> NDArray[np.float32]:
    """Return the corners of a line, which lie at most `detail` pixels from it."""
    is_ring = len(line_N2) > 3 and bool((line_N2[0] == line_N2[-1]).all())
    points_N2 = line_N2[: len(line_N2) - is_ring].astype(np.float32)
    corners_N2 = np.asarray(cv2.approxPolyDP(points_N2, detail, is_ring)[:, 0], np.float32)
    return np.concatenate([corners_N2, corners_N2[:1]]) if is_ring else corners_N2


def _rows(hierarchy: object) -> NDArray[np.int32]:
    """Return next, previous, child and parent of each contour, (N, 4); none without contours."""
    return np.empty((0, 4), np.int32) if hierarchy is None else np.asarray(hierarchy)[0]


def _unfold(outline_N2: NDArray[np.int32], *, is_ring: bool) -> NDArray[np.int32]:
    """Return the line whose outline runs along it and back, or the ring around a hole."""
    before_N2, after_N2 = np.roll(outline_N2, 1, axis=0), np.roll(outline_N2, -1, axis=0)
    ends = np.flatnonzero((before_N2 == after_N2).all(axis=1))
    if is_ring or not len(ends):
        return np.concatenate([outline_N2, outline_N2[:1]])
    # A line with spurs has more than two ends; the longest way between two of them is the line.
    around_NN = (ends[None] - ends[:, None]) % len(outline_N2)
    start, end = np.unravel_index(np.minimum(around_NN, around_NN.T).argmax(), around_NN.shape)
    length = int(around_NN[start, end]) or len(outline_N2) // 2
    return np.roll(outline_N2, -int(ends[start]), axis=0)[: length + 1]


def _dark_lines(x_HWC: Pixels, contrast: float) -> Pixels:
    """Return a mask of thin lines that are darker than both of their sides, or lighter."""
    darkest_HW = _darkest_channel(x_HWC)
    kernel = np.ones((_LINE_WIDTH, _LINE_WIDTH), np.uint8)
    dark_HW = cv2.morphologyEx(darkest_HW, cv2.MORPH_BLACKHAT, kernel)
    light_HW = cv2.morphologyEx(to_grey(x_HWC), cv2.MORPH_TOPHAT, kernel)
    on_dark_HW = cv2.erode(darkest_HW, kernel) < 90
    darkest_near_HW = cv2.dilate(dark_HW, np.ones((5, 5), np.uint8)).astype(np.float32)
    is_dark_HW = dark_HW > np.maximum(contrast, _LINE_SHARE * darkest_near_HW)
    return (is_dark_HW | ((light_HW > 2 * contrast) & on_dark_HW)).astype(np.uint8)


def _darkest_channel(x_HWC: Pixels) -> Pixels:
    """Return the least of the three channels, in which lines of any colour are dark."""
    return np.minimum(np.minimum(x_HWC[..., 0], x_HWC[..., 1]), x_HWC[..., 2])


def _area_borders(x_HWC: Pixels, contrast: float) -> Pixels:
    """Return a mask of the edges between areas of any colour."""
    soft_HWC = blur(x_HWC, 1.3).astype(np.uint8)
    edges = [cv2.Canny(soft_HWC[..., c], contrast, 2.5 * contrast) for c in range(3)]
    return (np.maximum.reduce(edges) > 0).astype(np.uint8)


def _dark_areas(x_HWC: Pixels) -> Pixels:
    """Return a mask of filled areas that a pen would hatch."""
    dark_HW = (_darkest_channel(x_HWC) < 120).astype(np.uint8)
    return cv2.morphologyEx(dark_HW, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8)).astype(np.uint8)


def _frame_strokes(frames: list[Box]) -> Strokes:
    """Return a closed stroke for each frame."""
    lines = [
        np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)], np.float32)
        for x, y, w, h in frames
    ]
    return Strokes.of(lines, [_FIRST_FRAME + i for i in range(len(frames))], is_label=False)


def _thinning_tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the two tables of Zhang and Suen: 0 where the code of the neighbours removes."""
    tables = np.ones((2, 256), np.uint8)
    for code in range(256):
        ring = [code >> bit & 1 for bit in range(8)]  # clockwise from the upper left
        if not 2 <= sum(ring) <= 6 or _crossings(ring) != 1:
            continue
        north, east, south, west = ring[1], ring[3], ring[5], ring[7]
        tables[0, code] = bool(north * east * south or east * south * west)
        tables[1, code] = bool(north * east * west or north * south * west)
    return tables[0], tables[1]


def _crossings(ring: list[int]) -> int:
    """Return how many lines leave the middle of a ring of neighbours."""
    return sum(a < b for a, b in zip(ring, [*ring[1:], ring[0]], strict=True))


_THINNING_TABLES = _thinning_tables()
_JUNCTION_TABLE = np.array(
    [_crossings([code >> bit & 1 for bit in range(8)]) > 2 for code in range(256)], np.uint8
)
