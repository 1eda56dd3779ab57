"""Shapes for diagrams: a canvas without axes, arrows, boxes and labels."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from data.sample.draw.style import INK, PALE

Point = tuple[float, float]


def canvas() -> tuple[Figure, Axes]:
    """Return an empty canvas of 64 x 44 units of ten pixels, without axes."""
    fig = plt.figure(layout="none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 64), ylim=(0, 44))
    ax.axis("off")
    return fig, ax


def arrow(
    ax: Axes, start: Point, end: Point, colour: str = INK, width: float = 2, bend: float = 0
) -> None:
    """Draw an arrow; `bend` is its sagitta over half its length, 0 for a straight arrow."""
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=10 + 3 * width,
            color=colour,
            lw=width,
            shrinkA=0,
            shrinkB=0,
            connectionstyle=f"arc3,rad={bend}",
            zorder=3,
        )
    )


def box(
    ax: Axes, centre: Point, size: Point, text: str = "", fill: str = PALE, edge: str = INK
) -> None:
    """Draw a rounded box of `size` (width, height) around `centre`, with `text` in the middle."""
    (x, y), (w, h) = centre, size
    style = f"round,pad=0,rounding_size={min(1.2, 0.45 * h)}"
    corner = (x - w / 2, y - h / 2)
    ax.add_patch(FancyBboxPatch(corner, w, h, style, fc=fill, ec=edge, lw=1.6, zorder=2))
    say(ax, x, y, text)


def say(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    colour: str = INK,
    size: float = 11,
    ha: str = "center",
    rotation: float = 0,
) -> None:
    """Write text above all shapes, centred on `y`; a size 12 character is about a unit wide."""
    ax.text(
        x, y, text, color=colour, fontsize=size, ha=ha, va="center", rotation=rotation, zorder=5
    )
