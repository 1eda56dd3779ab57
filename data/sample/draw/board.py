"""A drawing board of 16 x 11 units of 40 pixels each, so that lengths are to scale."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from data.sample.draw.style import INK

Point = tuple[float, float]


def board() -> tuple[Figure, Axes]:
    """Return an empty drawing board without axes: x from 0 to 16, y from 0 to 11."""
    fig = plt.figure(layout="none")
    ax = fig.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set(xlim=(0, 16), ylim=(0, 11))
    ax.axis("off")
    return fig, ax


def polar(origin: Point, degrees: float, length: float) -> Point:
    """Return the point at `length` from `origin`, `degrees` anticlockwise from the x axis."""
    angle = np.deg2rad(degrees)
    return origin[0] + length * float(np.cos(angle)), origin[1] + length * float(np.sin(angle))


def arrow(
    ax: Axes, tail: Point, head: Point, colour: str = INK, kind: str = "-|>", bend: float = 0
) -> None:
    """Draw an arrow; `kind` is an arrow style of matplotlib, `bend` 0 is straight."""
    look = {"arrowstyle": kind, "color": colour, "lw": 2.2, "shrinkA": 0, "shrinkB": 0}
    look |= {"mutation_scale": 16, "connectionstyle": f"arc3,rad={bend}"}
    ax.annotate("", head, tail, arrowprops=look)


def note(ax: Axes, at: Point, words: str, colour: str = INK, **look: Any) -> None:
    """Write text centred at a point; `look` overrides text properties."""
    ax.text(*at, words, **{"color": colour, "ha": "center", "va": "center"} | look)


def line(ax: Axes, *points: Point, colour: str = INK, **look: Any) -> None:
    """Draw a line through the points; `look` sets line properties."""
    ax.plot(*zip(*points, strict=True), color=colour, **look)


def photon(ax: Axes, tail: Point, head: Point, colour: str) -> None:
    """Draw a wavy arrow: one quantum of light."""
    start, way = np.array(tail), np.array(head) - np.array(tail)
    along = np.linspace(0, 6 / 7, 200)[:, None]  # six waves, then the head
    across = np.array([-way[1], way[0]]) / np.hypot(*way)
    xy = start + along * way + 0.16 * np.sin(along * 2 * np.pi * 7) * across
    ax.plot(xy[:, 0], xy[:, 1], color=colour, lw=1.8)
    arrow(ax, (float(xy[-1, 0]), float(xy[-1, 1])), head, colour)


def ball(ax: Axes, at: Point, radius: float, colour: str, words: str = "", size: int = 12) -> None:
    """Draw a ball, such as an atom or an electron, with white `words` in its middle."""
    ax.add_patch(Circle(at, radius, fc=colour, ec=INK, lw=1.2, zorder=3))
    note(ax, at, words, "white", size=size, weight="bold", zorder=4)
