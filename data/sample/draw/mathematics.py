"""Figures of the mathematics cards."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, Polygon

from data.sample.draw.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, figure

Point = tuple[float, float]


def _through_origin(ax: Axes, x: Point, y: Point, names: tuple[str, str] = ("x", "y")) -> None:
    """Draw axes that cross at the origin, with their names at the ends."""
    ax.set(xlim=x, ylim=y)
    ax.spines["left"].set_position("zero")
    ax.spines["bottom"].set_position("zero")
    ax.text(x[1], 0.02 * (y[1] - y[0]), names[0], ha="right", va="bottom", fontsize=13)
    ax.text(0.015 * (x[1] - x[0]), y[1], names[1], ha="left", va="top", fontsize=13)


def _arrow(ax: Axes, start: Point, end: Point, colour: str = INK, line: str = "-") -> None:
    width = 1.4 if colour == GREY else 2.4  # grey arrows are axes
    style = {"arrowstyle": "-|>", "color": colour, "lw": width, "ls": line, "mutation_scale": 18}
    ax.annotate("", end, start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})


def _dot(ax: Axes, place: Point, label: str, text: Point, colour: str = INK) -> None:
    """Mark a point; its label starts at `text` (data units)."""
    ax.plot(*place, "o", color=colour, ms=7, zorder=4)
    ax.text(*text, label, color=colour, fontsize=12, va="center")


@figure("parabola-features")
def parabola_features() -> Figure:
    """Draw a parabola with its vertex, roots, intercept and axis of symmetry."""
    drawn, ax = plt.subplots()
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
    return drawn


@figure("fence-area-parabola")
def fence_area_parabola() -> Figure:
    """Draw the area of a rectangle inside 40 m of wire, over its width."""
    drawn, ax = plt.subplots()
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
    return drawn


@figure("unit-circle-angles")
def unit_circle_angles() -> Figure:
    """Draw the unit circle with common angles and their coordinates."""
    drawn, ax = plt.subplots()
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
    return drawn


@figure("sine-from-circle")
def sine_from_circle() -> Figure:
    """Draw the sine wave as the height of a point that turns on the unit circle."""
    drawn, ax = plt.subplots(figsize=(6.4, 3.4))
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
    return drawn


@figure("pythagoras-squares")
def pythagoras_squares() -> Figure:
    """Draw the squares on the sides of a 3-4-5 triangle."""
    drawn, ax = plt.subplots()
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
    return drawn


@figure("pythagoras-rearrangement")
def pythagoras_rearrangement() -> Figure:
    """Draw the proof of Pythagoras' theorem by moving four triangles."""
    drawn, axes = plt.subplots(1, 2, figsize=(6.4, 3.9))
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
    return drawn


@figure("tangent-and-secants")
def tangent_and_secants() -> Figure:
    """Draw a tangent of y = x² and two secants that approach it."""
    drawn, ax = plt.subplots()
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
    return drawn


@figure("riemann-sums")
def riemann_sums() -> Figure:
    """Draw the area under a velocity curve as 4 and as 16 strips."""
    drawn, axes = plt.subplots(1, 2, sharey=True)
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
    return drawn


@figure("normal-distribution-bands")
def normal_distribution_bands() -> Figure:
    """Draw a normal distribution with its bands of one, two and three sigma."""
    drawn, ax = plt.subplots()
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
    return drawn


@figure("vector-addition-tip-to-tail")
def vector_addition_tip_to_tail() -> Figure:
    """Draw the sum of two vectors, tip to tail."""
    drawn, ax = plt.subplots()
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
    return drawn


@figure("growth-and-decay")
def growth_and_decay() -> Figure:
    """Draw exponential growth with its doubling time and decay with its half-life."""
    drawn, (up, down) = plt.subplots(1, 2)
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
    return drawn


@figure("linear-system-intersection")
def linear_system_intersection() -> Figure:
    """Draw two lines that cross at the solution of their equations."""
    drawn, ax = plt.subplots()
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
    return drawn


@figure("linear-system-cases")
def linear_system_cases() -> Figure:
    """Draw two lines with one, no and infinitely many common points."""
    drawn, axes = plt.subplots(1, 3, figsize=(6.4, 3.2))
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
    return drawn


@figure("probability-tree")
def probability_tree() -> Figure:
    """Draw the probability tree of two draws without replacement."""
    drawn, ax = plt.subplots()
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
    return drawn
