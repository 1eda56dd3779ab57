"""Figures of the mathematics cards: functions, calculus and probability."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from data.sample.draw.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, figure

Point = tuple[float, float]


def _through_origin(ax: Axes, x: Point, y: Point, names: tuple[str, str] = ("x", "y")) -> None:
    """Draw axes that cross at the origin, with their names at the ends."""
    ax.set(xlim=x, ylim=y)
    ax.spines["left"].set_position("zero")
    ax.spines["bottom"].set_position("zero")
    ax.text(x[1], 0.02 * (y[1] - y[0]), names[0], ha="right", va="bottom", fontsize=13)
    ax.text(0.015 * (x[1] - x[0]), y[1], names[1], ha="left", va="top", fontsize=13)


def _dot(ax: Axes, place: Point, label: str, text: Point, colour: str = INK) -> None:
    """Mark a point; its label starts at `text` (data units)."""
    ax.plot(*place, "o", color=colour, ms=7, zorder=4)
    ax.text(*text, label, color=colour, fontsize=12, va="center")


@figure("parabola-features")
def parabola_features() -> Figure:
    """Draw a parabola with its vertex, roots, intercept and axis of symmetry."""
    fig, ax = plt.subplots()
    x = np.linspace(-0.8, 4.8, 200)
    _through_origin(ax, (-1.2, 6.6), (-2.2, 6.4))
    ax.plot(x, x**2 - 4 * x + 3, color=BLUE)
    ax.plot([2, 2], [-2.2, 5.4], color=PURPLE, ls="--", lw=1.5)
    ax.text(2.1, 4.9, "axis of symmetry x = 2", color=PURPLE, fontsize=11, va="center")
    _dot(ax, (2, -1), "vertex (2, −1)", (2.15, -1.45), RED)
    _dot(ax, (1, 0), "root x = 1", (0.12, -0.85), GREEN)
    ax.plot([0.75, 0.96], [-0.62, -0.1], color=GREEN, lw=1)
    _dot(ax, (3, 0), "root x = 3", (3.35, 0.62), GREEN)
    _dot(ax, (0, 3), "y-intercept 3", (0.45, 3.35), ORANGE)
    ax.text(4.75, 2.6, "y = x² − 4x + 3", color=BLUE, ha="left", fontsize=13)
    ax.set(xticks=(4, 5, 6), yticks=(1, 2, 5, 6))
    ax.set_title("Features of a parabola")
    return fig


@figure("fence-area-parabola")
def fence_area_parabola() -> Figure:
    """Draw the area of a rectangle inside 40 m of wire against its width."""
    fig, ax = plt.subplots()
    width = np.linspace(0, 20, 200)
    ax.plot(width, width * (20 - width), color=BLUE)
    ax.fill_between(width, width * (20 - width), color=BLUE, alpha=0.08)
    ax.plot([10, 10], [46, 100], color=GREY, ls=":", lw=1.5)
    _dot(ax, (10, 100), "maximum area 100 m² at x = 10 m", (4.6, 109), RED)
    ax.add_patch(Polygon([(7.5, 18), (12.5, 18), (12.5, 44), (7.5, 44)], fc="#d9efe1", ec=GREEN))
    ax.text(10, 31, "A = x(20 − x)", ha="center", va="center", fontsize=11)
    ax.text(10, 15, "width x", ha="center", va="top", fontsize=11)
    ax.text(12.7, 31, "20 − x", va="center", fontsize=11)
    ax.set(
        xlim=(0, 20.5),
        ylim=(0, 120),
        xticks=range(0, 21, 5),
        xlabel="width x (m)",
        ylabel="area A (m²)",
    )
    ax.set_title("Rectangle fenced with 40 m of wire")
    return fig


@figure("tangent-and-secants")
def tangent_and_secants() -> Figure:
    """Draw a tangent of y = x² and two secants that approach it."""
    fig, ax = plt.subplots()
    x = np.linspace(-0.6, 2.4, 200)
    _through_origin(ax, (-0.7, 3.6), (-1.3, 5.4))
    ax.plot(x, x**2, color=BLUE, lw=2.6)
    for h, colour in ((1.0, ORANGE), (0.5, PURPLE)):
        slope = 2 + h
        ends = np.array([0.45, 2.25])
        ax.plot(ends, 1 + slope * (ends - 1), color=colour, lw=1.6, ls="--")
        ax.plot(1 + h, (1 + h) ** 2, "o", color=colour, ms=7)
    ends = np.array([0.0, 2.25])
    ax.plot(ends, 1 + 2 * (ends - 1), color=RED)
    _dot(ax, (1, 1), "P (1, 1)", (1.12, 0.8), INK)
    ax.text(1.15, 5.15, "curve y = x²", color=BLUE, fontsize=12, ha="left", va="center")
    ax.text(2.3, 4.85, "secant h = 1: slope 3", color=ORANGE, fontsize=11, va="center")
    ax.text(2.32, 4.15, "h = 0.5: slope 2.5", color=PURPLE, fontsize=11, va="center")
    ax.text(2.32, 3.45, "tangent: slope 2", color=RED, fontsize=12, va="center")
    ax.set(xticks=(1, 2, 3), yticks=(1, 2, 3, 4, 5))
    ax.set_title("Secants turn into the tangent as h shrinks")
    return fig


@figure("riemann-sums")
def riemann_sums() -> Figure:
    """Draw the area under a velocity curve as 4 and as 16 strips."""
    fig, axes = plt.subplots(1, 2, sharey=True)
    time = np.linspace(0, 4, 200)
    for ax, bars, colour in zip(axes, (4, 16), (ORANGE, GREEN), strict=True):
        width = 4 / bars
        middle = (np.arange(bars) + 0.5) * width
        height = 4 * middle - middle**2
        ax.bar(middle, height, width, color=colour, alpha=0.4, ec=INK, lw=0.8)
        ax.plot(time, 4 * time - time**2, color=BLUE)
        ax.set(xlim=(0, 4.2), ylim=(0, 5.3), xlabel="time t (s)", xticks=range(5))
        ax.set_title(f"{bars} strips: {np.sum(height) * width:.2f} m")
    axes[0].set_ylabel("velocity v (m/s)")
    axes[0].text(2, 4.5, "v = 4t − t²", color=BLUE, ha="center", fontsize=13)
    axes[1].text(2, 4.5, "exact area 10.67 m", color=BLUE, ha="center", fontsize=13)
    return fig


@figure("normal-distribution-bands")
def normal_distribution_bands() -> Figure:
    """Draw a normal distribution with its bands of one, two and three sigma."""
    fig, ax = plt.subplots()
    z = np.linspace(-3.9, 3.9, 400)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    for low, share, colour in (
        (2, "2.1 %", "#cfe1f2"),
        (1, "13.6 %", "#93bde3"),
        (0, "34.1 %", BLUE),
    ):
        for sign in (-1, 1):
            inside = (sign * z >= low) & (sign * z <= low + 1)
            ax.fill_between(z[inside], density[inside], color=colour, alpha=0.75, lw=0)
            height = {0: 0.17, 1: 0.045, 2: 0.075}[low]
            shade = "white" if low == 0 else INK
            ax.text(sign * (low + 0.5), height, share, ha="center", fontsize=11, color=shade)
    ax.plot(z, density, color=INK)
    for reach, y, label in ((1, 0.42, "68 %"), (2, 0.465, "95 %"), (3, 0.51, "99.7 %")):
        style = {"arrowstyle": "<->", "color": RED, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (reach, y), (-reach, y), arrowprops=style)
        paper = {"fc": "white", "ec": "none", "pad": 1.0}
        ax.text(0, y, label, ha="center", va="center", color=RED, fontsize=11, bbox=paper)
    ticks = [f"{n:+d}σ".replace("-", "−") if n else "0" for n in range(-3, 4)]
    names = [f"{t}\n{170 + 8 * n} cm" for n, t in zip(range(-3, 4), ticks, strict=True)]
    ax.set_xticks(range(-3, 4), names, fontsize=10.5)
    ax.set_title("Normal distribution of heights")
    ax.set(ylim=(0, 0.54), xlim=(-4, 4), yticks=(0, 0.1, 0.2, 0.3, 0.4))
    ax.set(xlabel="height (mean μ = 170 cm, σ = 8 cm)", ylabel="density (per σ)")
    return fig


@figure("growth-and-decay")
def growth_and_decay() -> Figure:
    """Draw exponential growth with its doubling time and decay with its half-life."""
    fig, (up, down) = plt.subplots(1, 2)
    time = np.linspace(0, 9, 200)
    up.plot(time, 100 * 2 ** (time / 3), color=GREEN)
    for hours in (0, 3, 6, 9):
        count = 100 * 2 ** (hours / 3)
        up.plot([hours, hours, 0], [0, count, count], color=GREY, lw=1, ls=":")
        up.plot(hours, count, "o", color=GREEN, ms=6, clip_on=False)
    up.set(xlim=(0, 9.6), ylim=(0, 900), xticks=(0, 3, 6, 9), yticks=(100, 200, 400, 800))
    up.set(xlabel="time (h)", ylabel="bacteria", title="Growth")
    up.text(0.6, 620, "doubling\ntime 3 h", color=GREEN)
    time = np.linspace(0, 24, 200)
    down.plot(time, 80 * 2 ** (-time / 5), color=RED)
    for hours in (0, 5, 10, 15, 20):
        mass = 80 * 2 ** (-hours / 5)
        down.plot([hours, hours, 0], [0, mass, mass], color=GREY, lw=1, ls=":")
        down.plot(hours, mass, "o", color=RED, ms=6, clip_on=False)
    down.set(xlim=(0, 24), ylim=(0, 90), xticks=(0, 5, 10, 15, 20), yticks=(5, 10, 20, 40, 80))
    down.set(xlabel="time (h)", ylabel="caffeine in the body (mg)", title="Decay")
    down.text(8, 62, "half-life 5 h", color=RED)
    return fig


@figure("linear-system-intersection")
def linear_system_intersection() -> Figure:
    """Draw two lines that cross at the solution of their equations."""
    fig, ax = plt.subplots()
    x = np.linspace(-0.5, 5.5, 2)
    _through_origin(ax, (-1, 7.4), (-1.9, 8.9))
    ax.plot(x, 8 - 2 * x, color=BLUE)
    ax.plot(np.array([-0.7, 6.2]), np.array([-1.7, 5.2]), color=ORANGE)
    ax.plot([3, 3, 0], [0, 2, 2], color=GREY, ls=":", lw=1.5)
    _dot(ax, (3, 2), "solution (3, 2)", (3.4, 2.0), RED)
    ax.text(0.85, 6.9, "2x + y = 8", color=BLUE, fontsize=13)
    ax.text(5.2, 3.3, "x − y = 1", color=ORANGE, fontsize=13)
    ax.set(xticks=range(1, 7), yticks=(2, 4, 6, 8))
    ax.set_title("Two lines, one common point")
    return fig


@figure("linear-system-cases")
def linear_system_cases() -> Figure:
    """Draw two lines with one, no and infinitely many common points."""
    fig, axes = plt.subplots(1, 3, figsize=(6.4, 3.2))
    x = np.array([-0.5, 4.5])
    cases: tuple[tuple[str, str, Callable[[np.ndarray], np.ndarray]], ...] = (
        ("one solution", "lines cross", lambda t: 4 - t),
        ("no solution", "parallel lines", lambda t: t + 1.5),
        ("infinitely many", "same line", lambda t: t),
    )
    for ax, (title, note, second) in zip(axes, cases, strict=True):
        ax.plot(x, x, color=BLUE, lw=4 if note == "same line" else 2.2)
        dashes = "--" if note == "same line" else "-"
        ax.plot(x, second(x), color=ORANGE, ls=dashes)
        ax.set(xlim=(-0.5, 4.6), ylim=(-0.8, 6.2), xticks=(), yticks=())
        ax.set(title=title, xlabel="x", ylabel="y")
        ax.text(2.1, -0.45, note, ha="center", fontsize=12)
    axes[0].plot(2, 2, "o", color=RED, ms=9)
    return fig


@figure("probability-tree")
def probability_tree() -> Figure:
    """Draw the probability tree of two draws without replacement."""
    fig, ax = plt.subplots()
    ax.set(xlim=(0, 64), ylim=(0, 42), title="Two draws without replacement: 3 red, 2 blue")
    ax.axis("off")
    ax.text(18, 39, "first draw", ha="center", fontsize=12)
    ax.text(36, 39, "second draw", ha="center", fontsize=12)
    ax.text(53, 39, "probability", ha="center", fontsize=12)
    first = ((28.0, "3/5", "R", RED), (10.0, "2/5", "B", BLUE))
    leaves = (
        (28.0, 33.0, "2/4", "R", RED, "RR: 3/5 × 2/4 = 6/20"),
        (28.0, 23.0, "2/4", "B", BLUE, "RB: 3/5 × 2/4 = 6/20"),
        (10.0, 15.0, "3/4", "R", RED, "BR: 2/5 × 3/4 = 6/20"),
        (10.0, 5.0, "1/4", "B", BLUE, "BB: 2/5 × 1/4 = 2/20"),
    )

    def branch(start: Point, end: Point, share: str) -> None:
        ax.plot([start[0], end[0]], [start[1], end[1]], color=INK, lw=1.6, zorder=1)
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        paper = {"fc": "white", "ec": "none", "pad": 1.5}
        ax.text(*middle, share, ha="center", va="center", fontsize=12, bbox=paper)

    def ball(place: Point, name: str, colour: str) -> None:
        ax.plot(*place, "o", color=colour, ms=24, zorder=3)
        ax.text(*place, name, color="white", ha="center", va="center", fontsize=12, zorder=4)

    for y, share, name, colour in first:
        branch((3, 19), (18, y), share)
        ball((18, y), name, colour)
    for root, y, share, name, colour, result in leaves:
        branch((18, root), (36, y), share)
        ball((36, y), name, colour)
        ax.text(40, y, result, va="center", fontsize=12)
    ax.plot(3, 19, "o", color=INK, ms=9)
    ax.text(53, 0.2, "sum = 20/20 = 1", ha="center", fontsize=12)
    return fig
