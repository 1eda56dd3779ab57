"""Decide which picture of a slide a caption belongs to, by the gap between them."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

__all__ = ["Box", "captions_of_figures"]

Box = tuple[float, float, float, float]  # left, top, right and bottom as fractions of the slide
_SLACK = 0.03  # of the slide: pictures at about the same distance share a caption


def captions_of_figures(
    captions: Sequence[tuple[str, Box | None]], figures: Sequence[Box | None]
) -> dict[int, int]:
    """Return the number of the caption of each figure that has one.

    A caption goes to the nearest figure; one that is as near as the nearest shares it, unless
    another caption is nearer. Each figure has one caption at most.
    """
    if len(captions) == len(figures) == 1:
        return {0: 0}
    gaps = [[_gap(box, figure) for figure in figures] for _, box in captions]
    owners: dict[int, int] = {}
    pairs = sorted((g, c, f) for c, row in enumerate(gaps) for f, g in enumerate(row))
    served: dict[int, float] = {}  # the smallest gap of each caption
    for gap, caption, figure in pairs:
        if gap == float("inf") or figure in owners:
            continue
        nearest = served.setdefault(caption, gap)
        if gap <= nearest + _SLACK:
            owners[figure] = caption
    return owners


def _gap(box: Box | None, other: Box | None) -> float:
    """Return the distance between two boxes; 0 if they touch, infinite if a place is unknown."""
    if box is None or other is None:
        return float("inf")
    across = max(other[0] - box[2], box[0] - other[2], 0.0)
    down = max(other[1] - box[3], box[1] - other[3], 0.0)
    return hypot(across, down)
