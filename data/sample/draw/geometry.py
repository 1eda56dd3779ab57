"""Figures of the mathematics cards: circles, triangles and vectors."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, Polygon

from data.sample.draw.style import BLUE, GREEN, GREY, INK, RED, figure

Point = tuple[float, float]


def _arrow(ax: Axes, start: Point, end: Point, colour: str = INK, line: str = "-") -> None:
    width = 1.4 if colour == GREY else 2.4  # grey arrows are axes
    style = {"arrowstyle": "-|>", "color": colour, "lw": width, "ls": line, "mutation_scale": 18}
    ax.annotate("", end, start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})


@figure("unit-circle-angles")
def unit_circle_angles() -> Figure:
    """Draw the unit circle with common angles and their coordinates."""
    fig, ax = plt.subplots()
    ax.axis("off")
    ax.set(xlim=(-2.35, 2.35), ylim=(-1.38, 1.45), aspect="equal", title="The unit circle")
    ax.add_patch(Circle((0, 0), 1, fc="#f4f8fc", ec=BLUE, lw=2.4))
    _arrow(ax, (-1.3, 0), (1.95, 0), GREY)
    _arrow(ax, (0, -1.3), (0, 1.42), GREY)
    ax.text(1.98, 0, "x = cos", va="center", fontsize=11)
    ax.text(0.06, 1.33, "y = sin", va="center", fontsize=11)
    named = {30: "(√3/2, 1/2)", 45: "(√2/2, √2/2)", 60: "(1/2, √3/2)"}
    for degrees in (0, 30, 45, 60, 90, 120, 135, 150, 180, 210, 225, 240, 270, 300, 315, 330):
        x, y = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        if degrees in named:
            ax.plot([0, x], [0, y], color=GREY, lw=1, zorder=2)
        ax.plot(x, y, "o", color=RED if degrees in named else BLUE, ms=6)
        label = f"{degrees}° {named.get(degrees, '')}".strip()
        side = "center" if degrees in (90, 270) else ("left" if x > 0 else "right")
        lift = 0.1 if degrees in (0, 180) else 0.0
        nudge = 0.17 if degrees in (90, 270) else 0.0
        ax.text(1.07 * x - nudge, 1.09 * y + lift, label, ha=side, va="center", fontsize=10.5)
    ax.add_patch(Polygon([(0, 0), (0.5, 0), (0.5, np.sqrt(3) / 2)], fc="#f7d9d5", ec=RED, lw=2))
    ax.text(0.3, -0.18, "cos 60°", ha="center", color=RED, fontsize=11)
    ax.text(0.53, 0.13, "sin 60°", color=RED, fontsize=11)
    return fig


@figure("sine-from-circle")
def sine_from_circle() -> Figure:
    """Draw the sine wave as the height of a point that turns on the unit circle."""
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.set(xlim=(-1.5, 6.8), ylim=(-1.75, 1.7), aspect="equal")
    ax.set_title("The height of a turning point is the sine")
    ax.axis("off")
    start, scale = 1.9, 4.5 / 360  # the wave begins at x = 1.9; units per degree
    ax.plot([-1.2, 1.25], [0, 0], color=GREY, lw=1)
    ax.add_patch(Circle((0, 0), 1, fc="#f4f8fc", ec=BLUE, lw=2.2))
    x, y = np.cos(np.radians(50)), np.sin(np.radians(50))
    ax.plot([0, x, x], [0, y, 0], color=INK, lw=1.8)
    ax.plot([x, x], [0, y], color=RED, lw=2.6)
    ax.plot([x, start + 50 * scale], [y, y], color=RED, lw=1.2, ls=":")
    ax.add_patch(Arc((0, 0), 0.6, 0.6, theta1=0, theta2=50, color=INK, lw=1.4))
    ax.text(0.36, 0.1, "θ", fontsize=13)
    ax.text(0, 1.15, "radius 1", ha="center", fontsize=11)
    ax.text(0, -1.4, "circle", ha="center", fontsize=12)
    turn = np.linspace(0, 360, 300)
    ax.plot(start + turn * scale, np.sin(np.radians(turn)), color=RED)
    ax.plot(start + 50 * scale, y, "o", color=RED, ms=7)
    ax.text(start + 62 * scale, 1.2, "sin 50° = 0.77", color=RED, fontsize=12)
    ax.text(start + 245 * scale, 0.4, "y = sin θ", color=RED, fontsize=13)
    _arrow(ax, (start, 0), (start + 385 * scale, 0), GREY)
    _arrow(ax, (start, -1.25), (start, 1.5), GREY)
    for degrees, side in ((90, "center"), (180, "right"), (270, "center"), (360, "left")):
        place = start + degrees * scale
        ax.plot([place, place], [-0.06, 0.06], color=INK, lw=1.2)
        ax.text(place, -0.14, f"{degrees}°", ha=side, va="top", fontsize=11)
    for height in (-1, 1):
        ax.text(start - 0.1, height, f"{height}".replace("-", "−"), ha="right", va="center")
    ax.text(start + 180 * scale, -1.4, "angle θ", ha="center", fontsize=12)
    return fig


@figure("pythagoras-squares")
def pythagoras_squares() -> Figure:
    """Draw the squares on the sides of a 3-4-5 triangle."""
    fig, ax = plt.subplots()
    ax.set(xlim=(-6.6, 11.2), ylim=(-4.5, 7.6), aspect="equal")
    ax.axis("off")
    ax.set_title("Squares on the sides of a 3-4-5 triangle")
    squares: tuple[tuple[list[Point], str, str, Point], ...] = (
        ([(0, 0), (4, 0), (4, -4), (0, -4)], "#cfe1f2", "b² = 16", (2, -2)),
        ([(0, 0), (0, 3), (-3, 3), (-3, 0)], "#d9efe1", "a² = 9", (-1.5, 1.5)),
        ([(4, 0), (0, 3), (3, 7), (7, 4)], "#f8dcb4", "c² = 25", (3.5, 3.5)),
    )
    for corners, face, label, place in squares:
        ax.add_patch(Polygon(corners, fc=face, ec=INK, lw=1.4))
        ax.text(*place, label, ha="center", va="center", fontsize=14)
    ax.add_patch(Polygon([(0, 0), (4, 0), (0, 3)], fc="#f3b8b0", ec=INK, lw=2.2))
    ax.add_patch(Polygon([(0, 0), (0.45, 0), (0.45, 0.45), (0, 0.45)], fc="none", ec=INK))
    ax.text(0.16, 1.45, "a = 3", fontsize=11)
    ax.text(1.6, 0.22, "b = 4", fontsize=11)
    ax.text(2.2, 1.8, "c = 5", fontsize=11, ha="center", va="center", rotation=-36.9)
    ax.annotate("hypotenuse", (3.2, 0.6), (6.0, 1.0), arrowprops={"arrowstyle": "->", "color": INK})
    ax.annotate(
        "right angle", (0.1, 0.1), (-5.9, -2.2), arrowprops={"arrowstyle": "->", "color": INK}
    )
    ax.text(6.0, -2.2, "9 + 16 = 25\na² + b² = c²", fontsize=15, va="center")
    return fig


@figure("pythagoras-rearrangement")
def pythagoras_rearrangement() -> Figure:
    """Draw the proof of Pythagoras' theorem by moving four triangles."""
    fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.9))
    a, b = 3.0, 4.0
    whole = a + b
    tilted = (
        [(0, 0), (b, 0), (0, a)],
        [(b, 0), (whole, 0), (whole, b)],
        [(whole, b), (whole, whole), (a, whole)],
        [(a, whole), (0, whole), (0, a)],
    )
    straight = (
        [(a, 0), (whole, 0), (whole, a)],
        [(a, 0), (whole, a), (a, a)],
        [(0, a), (a, a), (a, whole)],
        [(0, a), (a, whole), (0, whole)],
    )
    for ax, pieces, title in zip(
        axes, (tilted, straight), ("uncovered: c²", "uncovered: a² + b²"), strict=True
    ):
        ax.set(xlim=(-0.9, 7.3), ylim=(-0.9, 7.3), aspect="equal", title=title)
        ax.axis("off")
        ax.add_patch(
            Polygon([(0, 0), (whole, 0), (whole, whole), (0, whole)], fc="#fdf1d8", ec=INK)
        )
        for corners in pieces:
            ax.add_patch(Polygon(corners, fc="#9cc0e4", ec=INK, lw=1.4))
    axes[0].text(3.5, 3.5, "c²", ha="center", va="center", fontsize=20)
    axes[1].text(1.5, 1.5, "a²", ha="center", va="center", fontsize=18)
    axes[1].text(5, 5, "b²", ha="center", va="center", fontsize=20)
    for ax, names in zip(axes, ("ba", "ab"), strict=True):
        split = b if names[0] == "b" else a
        ax.text(split / 2, -0.5, names[0], ha="center", va="center", fontsize=13)
        ax.text((split + whole) / 2, -0.5, names[1], ha="center", va="center", fontsize=13)
        ax.text(-0.45, a / 2, "a", ha="center", va="center", fontsize=13)
        ax.text(-0.45, (a + whole) / 2, "b", ha="center", va="center", fontsize=13)
    return fig


@figure("vector-addition-tip-to-tail")
def vector_addition_tip_to_tail() -> Figure:
    """Draw the sum of two vectors, tip to tail."""
    fig, ax = plt.subplots()
    ax.set(xlim=(-0.4, 7.4), ylim=(-0.6, 4.8), aspect="equal")
    ax.grid(color="#dfe5eb", lw=0.8)
    ax.set_axisbelow(True)
    _arrow(ax, (0, 0), (4, 1), BLUE)
    _arrow(ax, (4, 1), (5, 4), GREEN)
    _arrow(ax, (0, 0), (5, 4), RED)
    _arrow(ax, (0, 0), (1, 3), GREEN, ":")
    ax.plot([1, 5], [3, 4], color=BLUE, lw=1.4, ls=":")
    ax.text(2.75, 0.28, "a = (4, 1)", color=BLUE, fontsize=13)
    ax.text(4.75, 2.2, "b = (1, 3)", color=GREEN, fontsize=13)
    ax.text(1.15, 2.62, "a + b = (5, 4)", color=RED, fontsize=12.5, va="center")
    ax.text(0.05, 3.65, "b moved to the origin", color=GREEN, fontsize=11)
    ax.add_patch(Arc((0, 0), 3, 3, theta1=0, theta2=38.66, color=INK, lw=1.3))
    ax.text(1.58, 0.14, "38.7°", fontsize=11, va="center")
    ax.text(5.15, 4.15, "length √41 = 6.40", fontsize=11, color=RED)
    ax.set(xlabel="x", ylabel="y", xticks=range(8), yticks=range(5))
    ax.set_title("Tip-to-tail addition of vectors")
    return fig
