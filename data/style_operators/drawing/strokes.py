"""Strokes of a pen: many polylines in one array, so that a drawing costs few numpy calls.

P points of all strokes, S strokes, C components (strokes that hang together).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Strokes", "concatenate"]

_SMALL = 1e-6  # pixels; avoids a division by the length of a dot


@dataclass(frozen=True, slots=True)
class Strokes:
    """Polylines with x and y in pixels of the figure.

    The points of a stroke follow each other, and each stroke has at least two.
    """

    points_P2: NDArray[np.float32]
    stroke_P: NDArray[np.intp]  # ascending, without gaps
    component_S: NDArray[np.intp]
    is_label_S: NDArray[np.bool_]
    colour_S3: NDArray[np.float32]  # of the line in the figure, RGB of 0 to 255

    @classmethod
    def of(
        cls,
        lines: Sequence[NDArray[np.float32]],
        component_S: Sequence[int],
        is_label: bool,
        colour_S3: NDArray[np.floating] | None = None,
    ) -> Strokes:
        """Join polylines (n, 2) that belong to the components `component_S`; black by default."""
        counts = [len(line) for line in lines]
        return cls(
            np.concatenate([np.empty((0, 2), np.float32), *lines]).astype(np.float32),
            np.repeat(np.arange(len(lines)), counts),
            np.asarray(component_S, np.intp),
            np.full(len(lines), is_label),
            np.zeros((len(lines), 3), np.float32)
            if colour_S3 is None
            else colour_S3.astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.component_S)

    @property
    def firsts(self) -> NDArray[np.intp]:
        """The index of the first point of each stroke, (S,)."""
        return np.searchsorted(self.stroke_P, np.arange(len(self)))

    @property
    def lasts(self) -> NDArray[np.intp]:
        """The index of the last point of each stroke, (S,)."""
        return np.searchsorted(self.stroke_P, np.arange(len(self)), side="right") - 1

    @property
    def travel(self) -> NDArray[np.float64]:
        """The way of the pen up to each point, (P,); between two strokes it counts as 1."""
        steps = np.diff(self.points_P2, axis=0, prepend=self.points_P2[:1])
        lengths = np.hypot(steps[:, 0], steps[:, 1]) + _SMALL
        lengths[self.firsts] = 1
        return np.cumsum(lengths, dtype=np.float64)

    @property
    def lengths(self) -> NDArray[np.float64]:
        """The length of each stroke in pixels, (S,)."""
        arc_P = self.travel
        return arc_P[self.lasts] - arc_P[self.firsts]

    def moved(self, points_P2: NDArray[np.floating]) -> Strokes:
        """Return the strokes with other points."""
        return replace(self, points_P2=points_P2.astype(np.float32))

    def select(self, chosen_S: NDArray[np.bool_]) -> Strokes:
        """Return the chosen strokes."""
        chosen_P = chosen_S[self.stroke_P]
        numbers_S = np.cumsum(chosen_S) - 1
        return Strokes(
            self.points_P2[chosen_P],
            numbers_S[self.stroke_P[chosen_P]],
            self.component_S[chosen_S],
            self.is_label_S[chosen_S],
            self.colour_S3[chosen_S],
        )

    def resample(self, step: float) -> Strokes:
        """Return the strokes with points about `step` pixels apart."""
        if not len(self):
            return self
        arc_P, first_S = self.travel, self.firsts
        length_S = arc_P[self.lasts] - arc_P[first_S]
        count_S = np.maximum(2, np.ceil(length_S / step - 1e-3).astype(np.intp) + 1)
        stroke_P = np.repeat(np.arange(len(self)), count_S)
        number_P = np.arange(len(stroke_P)) - np.repeat(np.cumsum(count_S) - count_S, count_S)
        target_P = arc_P[first_S][stroke_P] + number_P * (length_S / (count_S - 1))[stroke_P]
        points_P2 = np.stack(
            [np.interp(target_P, arc_P, self.points_P2[:, axis]) for axis in (0, 1)], axis=1
        )
        return replace(self, points_P2=points_P2.astype(np.float32), stroke_P=stroke_P)

    def smooth(self, rounds: int) -> Strokes:
        """Return the strokes with rounder corners; both ends stay in place."""
        points_P2 = self.points_P2.copy()
        inner_P = np.ones(len(points_P2), bool)
        inner_P[self.firsts] = inner_P[self.lasts] = False
        inner = np.flatnonzero(inner_P)
        for _ in range(rounds):
            points_P2[inner] = (
                points_P2[inner - 1] + 2 * points_P2[inner] + points_P2[inner + 1]
            ) / 4
        return self.moved(points_P2)


def concatenate(groups: Sequence[Strokes]) -> Strokes:
    """Join groups of strokes in order."""
    starts = np.cumsum([0, *(len(group) for group in groups)])
    return Strokes(
        np.concatenate([g.points_P2 for g in groups]),
        np.concatenate([g.stroke_P + start for g, start in zip(groups, starts, strict=False)]),
        np.concatenate([g.component_S for g in groups]),
        np.concatenate([g.is_label_S for g in groups]),
        np.concatenate([g.colour_S3 for g in groups]),
    )
