"""Figures of the physics cards.

Diagrams are drawn on the board; graphs use ordinary axes. Curves are computed from the formula of
their card.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, FancyBboxPatch, Polygon, Rectangle

from data.sample.draw.board import arrow, board, line, note, photon, polar
from data.sample.draw.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, figure

G = 9.8  # m/s^2, as in the cards


@figure("projectile-motion")
def projectile_motion() -> Figure:
    """Draw the path of a projectile, with its velocity components, height and range."""
    speed = 20.0 * np.sqrt(0.5)
    flight = 2 * speed / G
    fig, ax = plt.subplots()
    t = np.linspace(0, flight, 200)
    ax.plot(speed * t, speed * t - G * t**2 / 2, color=GREY, ls="--")
    for part in np.linspace(0, 1, 5):
        now = part * flight
        x, y, rise = speed * now, speed * now - G * now**2 / 2, 0.32 * (speed - G * now)
        arrow(ax, (x, y), (x + 0.32 * speed, y), BLUE)
        if abs(rise) > 0.1:
            arrow(ax, (x, y), (x, y + rise), RED)
        ax.plot(x, y, "o", color=INK, ms=9, zorder=5)
    range_m, height = speed * flight, speed**2 / (2 * G)
    arrow(ax, (range_m / 2, 0.1), (range_m / 2, height - 0.35), GREEN, "<|-|>")
    note(ax, (range_m / 2 + 0.6, 3.0), f"maximum height\nH = {height:.1f} m", GREEN, ha="left")
    arrow(ax, (0, -5.4), (range_m, -5.4), GREEN, "<|-|>")
    note(ax, (range_m / 2, -4.4), f"range R = {range_m:.1f} m", GREEN)
    note(ax, (range_m / 2, 12.1), r"at the top $v_y = 0$")
    note(ax, (0.2, 14.2), r"$v_x = 14.1$ m/s, constant", BLUE, ha="left")
    note(ax, (0.2, 15.8), r"$v_y$ changes by −9.8 m/s each second", RED, ha="left", size=11)
    ax.axhline(0, color=INK, lw=1)
    ax.set(xlim=(-2, 47), ylim=(-6.3, 17), yticks=range(0, 17, 4))
    ax.set(xlabel="horizontal distance x (m)", ylabel="height y (m)")
    return fig


@figure("forces-on-an-incline")
def forces_on_an_incline() -> Figure:
    """Draw the forces on a block on a slope of 30 degrees."""
    fig, ax = board()
    ax.add_patch(Polygon([(1, 1), (13.4, 1), (13.4, 8.16)], fc=PALE, ec=INK, lw=2))
    foot = polar((1, 1), 30, 8)
    centre = polar(foot, 120, 0.8)
    corners = [polar(polar(foot, 30, s), 120, h) for s, h in ((-1, 0), (1, 0), (1, 1.6), (-1, 1.6))]
    ax.add_patch(Polygon(corners, fc="#f3d9b1", ec=INK, lw=2))
    for angle, length, colour in ((270, 4.2, RED), (120, 3.64, BLUE), (30, 2.7, GREEN)):
        arrow(ax, centre, polar(centre, angle, length), colour)
    components = polar(centre, 210, 2.1), polar(centre, 270, 4.2), polar(centre, 300, 3.64)
    line(ax, *components, colour=GREY, ls=":", lw=1.5)
    line(ax, components[0], centre, components[2], colour=PURPLE, ls="--")
    ax.plot(*centre, "o", color=INK)
    note(ax, (4.0, 9.3), "normal force N", BLUE)
    note(ax, (10.3, 8.0), "friction f", GREEN)
    note(ax, (7.9, 1.4), "weight mg", RED, ha="left", size=11)
    note(ax, (9.35, 3.5), "mg cos θ", PURPLE, ha="left", size=11)
    note(ax, (5.5, 4.9), "mg sin θ", PURPLE, ha="right", size=11)
    ax.add_patch(Arc((1, 1), 4, 4, theta1=0, theta2=30, color=INK, lw=1.5))
    note(ax, (3.5, 1.5), "θ = 30°", ha="left", size=11)
    note(ax, (11.9, 10.2), "across the slope: N = mg cos θ", BLUE, size=11)
    note(ax, (11.9, 9.5), "along the slope: mg sin θ − f = ma", PURPLE, size=11)
    return fig


def _battery(ax: Axes, x: float, y: float) -> None:
    ax.add_patch(Rectangle((x - 0.25, y - 0.2), 0.5, 0.4, color="white", zorder=3))
    line(ax, (x - 0.25, y - 0.7), (x - 0.25, y + 0.7), zorder=4)
    line(ax, (x + 0.25, y - 0.35), (x + 0.25, y + 0.35), lw=5, zorder=4)
    note(ax, (x - 0.65, y + 0.45), "+")
    note(ax, (x + 0.7, y + 0.45), "−")
    note(ax, (x, y - 1.1), "battery 12 V")


def _resistor(ax: Axes, x: float, y: float, colour: str, above: str, below: str) -> None:
    ax.add_patch(Rectangle((x - 0.9, y - 0.3), 1.8, 0.6, fc="white", ec=colour, lw=2.2, zorder=4))
    note(ax, (x, y + 0.7), above, colour, size=11)
    note(ax, (x, y - 0.75), below, colour, size=11)


@figure("series-and-parallel-circuits")
def series_and_parallel_circuits() -> Figure:
    """Draw two resistors in series and in parallel, with currents and voltages."""
    fig, ax = board()
    for left, right, name in ((0.9, 6.9, "Series"), (9.1, 15.1, "Parallel")):
        middle = (left + right) / 2
        line(ax, (left, 3), (left, 8.2), (right, 8.2), (right, 3), (left, 3))
        _battery(ax, middle, 3)
        arrow(ax, (left, 3.4), (left, 4.8), ORANGE)
        note(ax, (middle, 10.3), name, weight="bold", size=14)
    line(ax, (9.1, 6), (15.1, 6))
    ax.plot((9.1, 15.1), (6, 6), "o", color=INK, ms=7)
    _resistor(ax, 2.5, 8.2, BLUE, "R₁ = 4 Ω", "4 V")
    _resistor(ax, 5.3, 8.2, RED, "R₂ = 8 Ω", "8 V")
    _resistor(ax, 12.1, 8.2, BLUE, "R₁ = 4 Ω", "3.0 A")
    _resistor(ax, 12.1, 6, RED, "R₂ = 8 Ω", "1.5 A")
    note(ax, (1.2, 4.4), "I = 1.0 A", ORANGE, ha="left")
    note(ax, (9.4, 4.4), "I = 4.5 A", ORANGE, ha="left")
    note(ax, (3.9, 0.8), "same current everywhere\nR = 4 + 8 = 12 Ω", size=11)
    note(ax, (12.1, 0.8), "same voltage on each branch\n1/R = 1/4 + 1/8, R = 2.7 Ω", size=11)
    return fig


@figure("refraction-at-a-surface")
def refraction_at_a_surface() -> Figure:
    """Draw a light ray that is reflected and refracted at a glass surface."""
    fig, ax = board()
    hit = (7.5, 5.5)
    ax.add_patch(Rectangle((0, 0), 16, 5.5, color="#d6e6f4"))
    line(ax, (0, 5.5), (16, 5.5), lw=2)
    line(ax, (7.5, 0.5), (7.5, 10.5), colour=GREY, ls="--", lw=1.5)
    arrow(ax, polar(hit, 135, 6.2), polar(hit, 135, 2.6), RED)
    line(ax, polar(hit, 135, 2.7), hit, colour=RED)
    arrow(ax, hit, polar(hit, 45, 4.6), ORANGE)
    refracted = float(np.rad2deg(np.arcsin(np.sin(np.pi / 4) / 1.5)))
    arrow(ax, hit, polar(hit, 270 + refracted, 5.4), BLUE)
    for size, first, last in ((3, 90, 135), (2.6, 45, 90), (3.4, 270, 270 + refracted)):
        ax.add_patch(Arc(hit, size, size, theta1=first, theta2=last, color=INK, lw=1.5))
    note(ax, (6.45, 7.75), "θ₁ = 45°", size=11)
    note(ax, (8.3, 7.75), "45°", size=11)
    note(ax, (8.8, 3.9), "θ₂ = 28.1°", ha="left", size=11)
    note(ax, (3.0, 8.6), "incident ray", RED, ha="right")
    note(ax, (10.6, 7.7), "reflected ray (weak)", ORANGE, ha="left", size=11)
    note(ax, (10.5, 1.3), "refracted ray", BLUE, ha="left")
    note(ax, (7.7, 10.4), "normal", GREY, ha="left")
    note(ax, (0.5, 6.1), "air  n₁ = 1.00", ha="left")
    note(ax, (0.5, 4.9), "glass  n₂ = 1.50", ha="left")
    return fig


@figure("total-internal-reflection")
def total_internal_reflection() -> Figure:
    """Draw rays in glass below, at and above the critical angle."""
    fig, ax = board()
    ax.add_patch(Rectangle((0, 1.7), 16, 5, color="#d6e6f4"))
    line(ax, (0, 6.7), (16, 6.7))
    note(ax, (0.4, 10.3), "air  n = 1.00", ha="left")
    note(ax, (0.4, 2.2), "glass  n = 1.50", ha="left")
    for x, angle, colour in ((3.6, 25.0, BLUE), (8.6, 41.8, GREEN), (12.9, 55.0, RED)):
        hit = (x, 6.7)
        line(ax, (x, 4.4), (x, 9.2), colour=GREY, ls="--", lw=1.3)
        start = polar(hit, 270 - angle, 4.2)
        line(ax, start, hit, colour=colour)
        arrow(ax, start, polar(hit, 270 - angle, 1.9), colour)
        ax.add_patch(Arc(hit, 2.4, 2.4, theta1=270 - angle, theta2=270, color=INK, lw=1.5))
        note(ax, (x + 0.8, 5.1), f"{angle:g}°", size=11)
    arrow(ax, (3.6, 6.7), polar((3.6, 6.7), 90 - 39.3, 3), BLUE)
    arrow(ax, (8.6, 6.72), (11.4, 6.72), GREEN)
    arrow(ax, (12.9, 6.7), polar((12.9, 6.7), 270 + 55, 3.6), RED)
    note(ax, (6.1, 8.3), "39.3°", BLUE)
    note(ax, (3.4, 0.8), "below the critical\nangle: refracted", BLUE, size=11)
    note(ax, (8.4, 0.8), "critical angle 41.8°:\nalong the surface", GREEN, size=11)
    note(ax, (13.4, 0.8), "above: total\ninternal reflection", RED, size=11)
    return fig


@figure("double-slit-interference")
def double_slit_interference() -> Figure:
    """Draw waves through two slits and the bright fringes on a screen."""
    fig, ax = board()
    for x in (0.5, 1.1, 1.7, 2.3):
        line(ax, (x, 3.2), (x, 7.8), colour=BLUE, lw=1.5)
    arrow(ax, (0.4, 2.5), (2.8, 2.5), BLUE)
    note(ax, (1.8, 1.7), "laser light,\nwavelength λ", BLUE, size=11)
    for low, high in ((1.2, 4.5), (4.9, 6.1), (6.5, 9.8)):
        line(ax, (3.8, low), (3.8, high), lw=5, solid_capstyle="butt")
    for slit, colour in ((6.3, BLUE), (4.7, PURPLE)):
        for size in np.arange(1.4, 9, 1.2):
            ax.add_patch(Arc((3.8, slit), size, size, theta1=-48, theta2=48, ec=colour, lw=1.3))
    line(ax, (12, 0.8), (12, 10.2), lw=4)
    y = np.linspace(0.9, 10.1, 500)
    bright = np.cos(np.pi * (y - 5.5) / 2) ** 2 * np.sinc((y - 5.5) / 9) ** 2
    ax.fill_betweenx(y, 12.1, 12.1 + 1.7 * bright, color=ORANGE, alpha=0.75, lw=0)
    for order in (-2, -1, 0, 1, 2):
        name = f"m = {order}".replace("-", "−")
        note(ax, (14.9, 5.5 + 2 * order), name, ORANGE, size=11)
    arrow(ax, (11.5, 5.5), (11.5, 7.5), GREEN, "<|-|>")
    note(ax, (11.2, 6.5), "Δy", GREEN, ha="right")
    arrow(ax, (3.9, 0.6), (11.9, 0.6), INK, "<|-|>")
    note(ax, (7.9, 1.1), "distance L to the screen", size=11)
    arrow(ax, (3.3, 6.4), (3.3, 4.6), RED, "<|-|>")
    note(ax, (2.8, 5.5), "d", RED)
    note(ax, (3.4, 8.6), "two slits,\nd apart", RED, ha="right", size=11)
    note(ax, (3.8, 10.3), "barrier", size=11)
    note(ax, (12, 10.6), "screen", ha="right", size=11)
    note(ax, (14.2, 10.5), "brightness", ORANGE, size=11)
    return fig


@figure("simple-pendulum")
def simple_pendulum() -> Figure:
    """Draw the forces on a deflected pendulum."""
    fig, ax = board()
    pivot = (6.5, 10.1)
    ax.add_patch(Rectangle((3.5, 10.1), 6, 0.5, fc=GREY, ec=INK, hatch="///"))
    ax.add_patch(Arc(pivot, 13, 13, theta1=242, theta2=298, color=GREY, ls="--", lw=1.8))
    line(ax, pivot, (6.5, 3.6), colour=GREY, ls="--")
    ax.add_patch(Circle((6.5, 3.6), 0.42, fc=PALE, ec=GREY, ls="--", lw=1.5))
    bob = polar(pivot, 295, 6.5)
    line(ax, pivot, bob)
    for angle, length, colour in ((270, 3.4, RED), (115, 3.08, BLUE), (205, 1.44, PURPLE)):
        arrow(ax, bob, polar(bob, angle, length), colour)
    ax.add_patch(Circle(bob, 0.42, fc=ORANGE, ec=INK, zorder=5))
    ax.add_patch(Arc(pivot, 4, 4, theta1=270, theta2=295, color=INK, lw=1.5))
    note(ax, (6.95, 7.6), "θ")
    note(ax, (9.3, 7.6), "string of length L", ha="left")
    arrow(ax, (9.2, 7.6), (7.75, 7.6), GREY, "-")
    note(ax, (8.8, 6.2), "tension T", BLUE, ha="left")
    note(ax, (9.9, 4.2), "bob of mass m", ORANGE, ha="left")
    note(ax, (9.6, 1.4), "weight mg", RED, ha="left")
    note(ax, (8.8, 2.9), "mg sin θ", PURPLE, ha="right")
    note(ax, (6.1, 2.3), "equilibrium\nposition", GREY, ha="right")
    note(ax, (5.6, 9.5), "pivot", ha="right")
    return fig


@figure("energy-on-a-roller-coaster")
def energy_on_a_roller_coaster() -> Figure:
    """Draw a roller coaster with the potential and kinetic energy at three places."""
    fig, (track, bars) = plt.subplots(2, 1, height_ratios=(1.15, 1))
    x = np.linspace(0, 90, 400)
    down, up = 10 + 10 * np.cos(np.pi * x / 40), 6 - 6 * np.cos(np.pi * (x - 40) / 40)
    height = np.where(x < 40, down, up)
    track.fill_between(x, -1.5, height, color=PALE)
    track.plot(x, height, color=INK)
    places = (("A", 0, 20), ("B", 40, 0), ("C", 80, 12))
    for name, at, high in places:
        track.plot(at, high + 1.2, "s", color=RED, ms=11)
        note(track, (max(at, 6), high + 4.3), f"{name}: h = {high} m", size=11)
    note(track, (40, 20), "v = 0 at A, 19.8 m/s at B, 12.5 m/s at C", size=11)
    track.set(xlim=(-4, 94), ylim=(-1.5, 27), ylabel="height (m)", xticks=[])
    for row, (_, _, high) in zip((2, 1, 0), places, strict=True):
        potential, total = 500 * G * high / 1000, 500 * G * 20 / 1000
        kinetic, middle = total - potential, (potential + total) / 2
        bars.barh(row, potential, color=BLUE)
        bars.barh(row, kinetic, left=potential, color=ORANGE)
        if potential:
            note(bars, (potential / 2, row), f"potential {potential:.0f} kJ", "white", size=10)
        if kinetic:
            note(bars, (middle, row), f"kinetic {kinetic:.0f} kJ", size=10)
    bars.set(yticks=[2, 1, 0], yticklabels=["A", "B", "C"], xlim=(0, 105))
    bars.set_xlabel("energy of a 500 kg car (kJ)")
    return fig


@figure("gas-in-a-cylinder")
def gas_in_a_cylinder() -> Figure:
    """Draw a gas under a piston at three volumes and pressures."""
    fig, ax = board()
    rng = np.random.default_rng(3)
    for x, litres, colour in ((2.9, 3, BLUE), (8.0, 2, PURPLE), (13.1, 1, RED)):
        high = 2.0 * litres
        ax.add_patch(Rectangle((x - 1.6, 2.3), 3.2, high, color=PALE))
        line(ax, (x - 1.6, 9.6), (x - 1.6, 2.3), (x + 1.6, 2.3), (x + 1.6, 9.6), lw=4)
        ax.add_patch(Rectangle((x - 1.52, 2.3 + high), 3.04, 0.5, fc=GREY, ec=INK, zorder=3))
        ax.add_patch(Rectangle((x - 0.15, 2.8 + high), 0.3, 10.1 - 2.8 - high, fc=GREY, ec=INK))
        for column, row in np.ndindex(4, 5):
            right, up = rng.uniform(-0.18, 0.18, 2)
            at = (x - 1.12 + 0.75 * column + right, 2.3 + high * (row + 0.5 + up) / 5)
            ax.add_patch(Circle(at, 0.12, color=colour))
        note(ax, (x, 1.2), f"V = {litres:.1f} L\np = {300 / litres:.0f} kPa", colour)
    for left in (5.0, 10.1):
        arrow(ax, (left, 6), (left + 1, 6))
    note(ax, (5.4, 7.7), "piston", size=11)
    line(ax, (5.3, 8.0), (4.2, 8.5), colour=GREY, lw=1.3)
    note(ax, (8, 10.6), "0.12 mol of gas at a constant 300 K")
    return fig


@figure("gas-isotherms")
def gas_isotherms() -> Figure:
    """Draw the pressure of a gas against its volume at three temperatures."""
    fig, ax = plt.subplots()
    litres = np.linspace(0.4, 4, 300)
    for kelvin, colour in ((450, RED), (300, PURPLE), (200, BLUE)):
        ax.plot(litres, 0.12 * 8.314 * kelvin / litres, color=colour)
        note(ax, (4.05, 0.3 * kelvin - 16), f"{kelvin} K", colour, ha="left")
    ax.plot((1, 2, 3), (300, 150, 100), "o", color=PURPLE, ms=9)
    note(ax, (1.75, 362), "1 L, 300 kPa", PURPLE, size=11, ha="left")
    line(ax, (1.72, 356), (1.07, 305), colour=PURPLE, lw=1)
    note(ax, (2.6, 450), "isotherms: p = nRT/V\nn = 0.12 mol")
    ax.set(xlim=(0, 4.5), ylim=(0, 600), xlabel="volume V (L)", ylabel="pressure p (kPa)")
    return fig


@figure("magnet-and-coil")
def magnet_and_coil() -> Figure:
    """Draw a magnet that moves into a coil and induces a current."""
    fig, ax = board()
    for x in np.arange(8.6, 13.5, 0.8):
        ax.add_patch(Arc((x, 6.8), 1.1, 4.2, color=ORANGE, lw=3))
    for side in (-1, 0, 1):
        arrow(ax, (6.2, 6.8 + 0.5 * side), (14.6, 6.8 + 2.7 * side), GREEN, bend=-0.14 * side)
    ax.add_patch(Rectangle((1.0, 6.0), 2.6, 1.6, fc=BLUE, ec=INK))
    ax.add_patch(Rectangle((3.6, 6.0), 2.6, 1.6, fc=RED, ec=INK))
    for x, pole in ((2.3, "S"), (4.9, "N")):
        note(ax, (x, 6.8), pole, "white", weight="bold", size=16)
    arrow(ax, (2.2, 8.3), (5.2, 8.3))
    note(ax, (3.7, 8.9), "magnet moves in, speed v", size=11)
    line(ax, (8.6, 4.7), (8.6, 2.1), (10.1, 2.1), colour=ORANGE)
    line(ax, (13.4, 4.7), (13.4, 2.1), (11.9, 2.1), colour=ORANGE)
    ax.add_patch(Circle((11, 2.1), 0.95, fc="white", ec=INK, lw=2))
    arrow(ax, (11, 1.6), (11.5, 2.55), RED)
    note(ax, (8.2, 1.2), "galvanometer:\nthe needle deflects", ha="right", size=11)
    arrow(ax, (8.3, 1.5), (9.9, 1.9), GREY)
    note(ax, (11, 9.9), "coil of N turns", ORANGE)
    words = "magnetic field lines:\nmore of them pass the coil\nas the magnet comes nearer"
    note(ax, (3.9, 4.4), words, GREEN, size=11)
    return fig


@figure("photoelectric-tube")
def photoelectric_tube() -> Figure:
    """Draw an evacuated tube in which photons free electrons from a cathode."""
    fig, ax = board()
    look = "round,pad=0.1,rounding_size=1.2"
    ax.add_patch(FancyBboxPatch((2.4, 4.6), 11, 4.1, boxstyle=look, fc=PALE, ec=GREY, lw=2))
    ax.add_patch(Rectangle((3.6, 5.2), 0.35, 2.9, fc=GREY, ec=INK))
    ax.add_patch(Rectangle((12.0, 5.6), 0.25, 2.1, fc=GREY, ec=INK))
    for right, height in ((5.6, 7.7), (7.4, 6.8), (9.2, 5.9)):
        photon(ax, (right, 10.6), (4.0, height), PURPLE)
    for x, y in ((5.4, 5.3), (8.0, 6.1), (10.0, 7.2)):
        arrow(ax, (x, y), (x + 1.4, y), BLUE)
        ax.add_patch(Circle((x, y), 0.26, color=BLUE))
        note(ax, (x, y), "−", "white", weight="bold")
    line(ax, (3.6, 6.6), (1.3, 6.6), (1.3, 2.2), (14.6, 2.2), (14.6, 6.6), (12.2, 6.6))
    ax.add_patch(Circle((5.2, 2.2), 0.7, fc="white", ec=INK, lw=2, zorder=3))
    note(ax, (5.2, 2.2), "A", zorder=4)
    note(ax, (5.2, 1.0), "ammeter: photocurrent", size=11)
    ax.add_patch(Rectangle((10.1, 2), 0.4, 0.4, color="white", zorder=3))
    line(ax, (10.1, 1.85), (10.1, 2.55), lw=5, zorder=4)
    line(ax, (10.5, 1.5), (10.5, 2.9), zorder=4)
    note(ax, (10.3, 1.0), "voltage source", size=11)
    note(ax, (3.9, 4.1), "metal cathode", size=11)
    note(ax, (12.1, 4.1), "collector (+)", size=11)
    note(ax, (9.7, 9.9), "photons of energy hf", PURPLE, ha="left")
    note(ax, (8.7, 5.2), "photoelectrons", BLUE, ha="left")
    note(ax, (8.0, 4.15), "evacuated tube", GREY, size=11)
    return fig


@figure("photoelectron-energy")
def photoelectron_energy() -> Figure:
    """Draw the energy of photoelectrons against the light's frequency, for two metals."""
    fig, ax = plt.subplots()
    frequency = np.linspace(0, 16, 2)  # 10^14 Hz
    metals = (("sodium", 2.3, ORANGE, (9.1, 2.7)), ("zinc", 4.3, BLUE, (14.4, 0.6)))
    for name, work, colour, at in metals:
        threshold = work / 0.41357
        ax.plot(frequency, 0.41357 * frequency - work, color=colour, ls=":", lw=1.4)
        ax.plot([threshold, 16], [0, 0.41357 * 16 - work], color=colour)
        ax.plot(threshold, 0, "o", color=colour, ms=8)
        note(ax, at, f"{name}\nφ = {work} eV", colour, size=11)
        note(ax, (threshold + 0.3, -0.5), f"$f_0$ = {threshold:.1f}", colour, ha="left", size=11)
    note(ax, (11.2, -2.7), "slope of both lines:\nh = 4.14 × 10⁻¹⁵ eV s", size=11)
    ax.axhline(0, color=INK, lw=1)
    ax.set(xlim=(0, 16), ylim=(-5.2, 4.6), xlabel="frequency f of the light (10¹⁴ Hz)")
    ax.set_ylabel("greatest kinetic energy (eV)")
    return fig
