"""Draw strokes as a person would: leave some out, move the rest, shake, overshoot, draw twice.

P points, S strokes, C components.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from data.style_operators.drawing.letters import Handwriting, LabelBox, write_label
from data.style_operators.drawing.strokes import Strokes, concatenate
from data.style_operators.drawing.tracing import DRAWING_SIDE, Tracing

__all__ = ["Hand", "redraw"]

_STEP = 4.0  # pixels between the points of a drawn stroke
_JUNCTION_GAP = 1.5  # pixels between the end of a traced line and its junction
_FIELD = 32  # cells of the field that moves the layout, along each side
_KEPT_LENGTH = 0.45  # at least this share of the length of all strokes is drawn
_MAX_HATCHED_AREAS = 5


@dataclass(frozen=True, slots=True)
class Hand:
    """How one person draws. Lengths are in units of `DRAWING_SIDE`."""

    left_out: float  # share of the components and labels that are not drawn
    spacing: float  # how far rows and columns of the layout move
    warp: float  # how far each place of the layout moves on its own
    shift: float  # how far a component moves on its own
    wobble: float  # how far a line strays
    wavelength: float  # of the wobble
    bow: float  # of a straight line, as a share of its length
    overshoot: float  # of the ends of strokes
    smoothing: int  # rounds; each makes corners rounder
    doubled: float  # share of strokes that are drawn twice
    hatched: float  # share of the dark areas that are filled with lines
    label_share: float  # share of the labels that are written
    label_scale: float  # height of letters, relative to the print
    least_letter: float  # height of a letter
    handwriting: Handwriting


def redraw(tracing: Tracing, hand: Hand, rng: np.random.Generator) -> Strokes:
    """Return the strokes of a drawing of the figure, in its pixels."""
    outlines = _leave_out(tracing.strokes, hand.left_out, rng)
    outlines = _open_rings(_add_overshoot(outlines, hand.overshoot, rng), rng)
    hatching = _hatch(tracing, hand, rng)
    labels = _write_labels(tracing.labels, hand, rng)
    # The corners move before the lines between them are drawn, so that straight lines stay so.
    planned = _move_layout(concatenate([outlines, hatching, labels]), hand, tracing.size, rng)
    words, lines = (planned.select(planned.is_label_S == flag) for flag in (True, False))
    lines = lines.resample(_STEP)
    twice = lines.select(rng.random(len(lines)) < hand.doubled)
    twice = twice.moved(twice.points_P2 + rng.normal(0, 0.8, (1, 2)))
    return concatenate([_shake(lines, hand, rng), _shake(twice, hand, rng), words])


def _leave_out(strokes: Strokes, share: float, rng: np.random.Generator) -> Strokes:
    """Leave out about a `share` of the components, and a few strokes of the others.

    Long ones stay more often, and the drawing keeps nearly half of the length of its strokes.
    """
    if not len(strokes):
        return strokes
    length_S = strokes.lengths
    _, component_S = np.unique(strokes.component_S, return_inverse=True)
    length_C = np.bincount(component_S, length_S)
    importance_C = np.sqrt(length_C / length_C.max())
    chosen_C = rng.random(len(length_C)) > share * (1.4 - importance_C)
    chosen_C[length_C.argmax()] = True
    importance_S = np.sqrt(length_S / length_S.max())
    chosen_S = chosen_C[component_S] & (rng.random(len(strokes)) > share * (0.7 - importance_S))
    for stroke in np.argsort(-length_S):
        if length_S[chosen_S].sum() >= _KEPT_LENGTH * length_S.sum():
            break
        chosen_S[stroke] = True
    return strokes.select(chosen_S)


def _add_overshoot(strokes: Strokes, pixels: float, rng: np.random.Generator) -> Strokes:
    """Draw the ends of strokes a little too far or too short."""
    points_P2 = strokes.points_P2.copy()
    first_S, last_S = strokes.firsts, strokes.lasts
    for end_S, inner_S in ((first_S, first_S + 1), (last_S, last_S - 1)):
        direction_S2 = points_P2[end_S] - points_P2[inner_S]
        length_S1 = np.maximum(np.hypot(*direction_S2.T), 1.0)[:, None]
        shift_S1 = np.clip(
            rng.normal(_JUNCTION_GAP, pixels, (len(strokes), 1)), -0.4 * length_S1, 0.3 * length_S1
        )
        points_P2[end_S] += direction_S2 / length_S1 * shift_S1
    return strokes.moved(points_P2)


def _open_rings(strokes: Strokes, rng: np.random.Generator) -> Strokes:
    """Move the ends of closed strokes, so that some stay open and some cross themselves."""
    points_P2 = strokes.points_P2.copy()
    first_S, last_S = strokes.firsts, strokes.lasts
    is_ring_S = np.hypot(*(points_P2[first_S] - points_P2[last_S]).T) < 3
    points_P2[last_S[is_ring_S]] += rng.normal(0, 3, (int(is_ring_S.sum()), 2))
    return strokes.moved(points_P2)


def _shake(strokes: Strokes, hand: Hand, rng: np.random.Generator) -> Strokes:
    """Bow the strokes, round their corners, and let the pen stray."""
    if not len(strokes):
        return strokes
    arc_P, first_S, last_S = strokes.travel, strokes.firsts, strokes.lasts
    length_S = np.maximum(arc_P[last_S] - arc_P[first_S], 1.0)
    progress_P = (arc_P - arc_P[first_S][strokes.stroke_P]) / length_S[strokes.stroke_P]
    chord_S2 = strokes.points_P2[last_S] - strokes.points_P2[first_S]
    across_S2 = np.stack([-chord_S2[:, 1], chord_S2[:, 0]], axis=1)
    bow_S1 = np.clip(rng.normal(0, hand.bow, (len(strokes), 1)), -0.06, 0.06)
    bowed_P2 = (bow_S1 * across_S2)[strokes.stroke_P] * np.sin(np.pi * progress_P)[:, None]
    knots = int(arc_P[-1] / hand.wavelength) + 3
    stray_P2 = np.stack(
        [
            np.interp(arc_P / hand.wavelength, np.arange(knots), rng.normal(0, hand.wobble, knots))
            for _ in range(2)
        ],
        axis=1,
    )
    return strokes.moved(strokes.points_P2 + bowed_P2 + stray_P2).smooth(hand.smoothing)


def _move_layout(
    strokes: Strokes, hand: Hand, size: tuple[float, float], rng: np.random.Generator
) -> Strokes:
    """Move the layout smoothly, and each component a little on its own.

    Smooth motion keeps what touches together. A component that spans the figure hardly moves alone.
    """
    if not len(strokes):
        return strokes
    points_P2 = strokes.points_P2
    _, component_S = np.unique(strokes.component_S, return_inverse=True)
    component_P = component_S[strokes.stroke_P]
    count_C = np.bincount(component_P)
    sum_C2 = np.stack([np.bincount(component_P, points_P2[:, i]) for i in (0, 1)], 1)
    centre_C2 = sum_C2 / count_C[:, None]
    from_centre_P2 = points_P2 - centre_C2[component_P]
    radius_C = np.sqrt(np.bincount(component_P, (from_centre_P2**2).sum(1)) / count_C)
    freedom_C = 1 / (1 + (radius_C / 50) ** 2)
    scale_C = np.exp(rng.normal(0, 0.15, len(count_C)) * freedom_C)
    angle_C = rng.normal(0, 0.06, len(count_C)) * freedom_C
    cos_P, sin_P = (f(angle_C)[component_P] for f in (np.cos, np.sin))
    x_P, y_P = (from_centre_P2 * scale_C[component_P, None]).T
    turned_P2 = np.stack([cos_P * x_P - sin_P * y_P, sin_P * x_P + cos_P * y_P], axis=1)
    field_YX2 = _warp_field(hand, rng)
    cell_C2 = np.clip(centre_C2 / np.array(size) * (_FIELD - 1), 0, _FIELD - 1).astype(np.intp)
    cell_P2 = np.clip(points_P2 / np.array(size) * (_FIELD - 1), 0, _FIELD - 1.001)
    alone_C2 = rng.normal(0, hand.shift, (len(count_C), 2)) * freedom_C[:, None]
    whole_C2 = field_YX2[cell_C2[:, 1], cell_C2[:, 0]]
    is_small_C1 = (radius_C < 20)[:, None]  # a small component keeps its shape
    own_P2 = (alone_C2 + is_small_C1 * whole_C2)[component_P]
    bent_P2 = np.where(is_small_C1[component_P], 0, _interpolate(field_YX2, cell_P2))
    return strokes.moved(centre_C2[component_P] + turned_P2 + own_P2 + bent_P2)


def _warp_field(hand: Hand, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return how far the layout moves in each cell of a field, in x and y.

    Whole columns and rows move most, because people keep upright lines upright.
    """
    count = int(rng.integers(3, 7))
    rows_Y1, columns_1X = (
        _enlarged(rng.normal(0, hand.spacing, shape), size)
        for shape, size in (((count, 1), (1, _FIELD)), ((1, count), (_FIELD, 1)))
    )
    free_YX2 = [_enlarged(rng.normal(0, hand.warp, (4, 4)), (_FIELD, _FIELD)) for _ in range(2)]
    return np.stack([columns_1X + free_YX2[0], rows_Y1 + free_YX2[1]], axis=-1)


def _enlarged(coarse: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    """Enlarge a coarse field smoothly to a width and height."""
    smooth = cv2.resize(coarse.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth, np.float32).reshape(size[::-1])


def _interpolate(
    field_YX2: NDArray[np.float32], cell_P2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the values of a field between its cells."""
    column_P, row_P = cell_P2.astype(np.intp).T
    x_P1, y_P1 = (cell_P2 % 1).T[..., None]
    upper = field_YX2[row_P, column_P] * (1 - x_P1) + field_YX2[row_P, column_P + 1] * x_P1
    lower = field_YX2[row_P + 1, column_P] * (1 - x_P1) + field_YX2[row_P + 1, column_P + 1] * x_P1
    return np.asarray(upper * (1 - y_P1) + lower * y_P1)


def _hatch(tracing: Tracing, hand: Hand, rng: np.random.Generator) -> Strokes:
    """Fill some of the dark areas with parallel lines."""
    areas_HW = tracing.areas_HW
    _, label_HW, stats, _ = cv2.connectedComponentsWithStats(areas_HW)
    lines: list[NDArray[np.float32]] = []
    components = []
    angle = rng.uniform(0.4, 1.2) * (1 if rng.random() < 0.7 else -1)
    direction = np.array((np.cos(angle), np.sin(angle)))
    across = np.array((-direction[1], direction[0]))
    for area in 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:_MAX_HATCHED_AREAS]:
        if rng.random() > hand.hatched:
            continue
        left, top, width, height = stats[area, :4]
        centre, reach = np.array((left + width / 2, top + height / 2)), np.hypot(width, height) / 2
        along = np.arange(-reach, reach, 2.0)
        for offset in np.arange(-reach, reach, rng.uniform(6, 11)):
            line_N2 = centre + along[:, None] * direction + offset * across
            column_N, row_N = np.clip(line_N2, 0, np.array(areas_HW.shape[::-1]) - 1).T.astype(int)
            inside = np.flatnonzero(label_HW[row_N, column_N] == area)
            if len(inside) > 2:
                ends = line_N2[inside[[0, -1]]] + rng.normal(0, 2, (2, 2))
                lines.append(ends.astype(np.float32))
                components.append(-int(area))
    strokes = Strokes.of(lines, components, is_label=False)
    return strokes.moved(strokes.points_P2 * (max(tracing.size) / max(areas_HW.shape)))


def _write_labels(labels: list[LabelBox], hand: Hand, rng: np.random.Generator) -> Strokes:
    """Write words in place of the labels."""
    written = [
        write_label(
            box,
            float(np.clip(0.75 * box[3] * hand.label_scale, hand.least_letter, DRAWING_SIDE / 12)),
            10_000 + number,
            hand.handwriting,
            rng,
        )
        for number, box in enumerate(labels)
        if rng.random() < hand.label_share
    ]
    return concatenate([Strokes.of([], [], is_label=True), *written])
