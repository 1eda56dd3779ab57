"""Figures of the engineering cards. Diagrams use a canvas of 64 x 40 units."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, FancyBboxPatch, Polygon, Rectangle

from data.sample.draw.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, figure

Point = tuple[float, float]


def _canvas(title: str) -> tuple[Figure, Axes]:
    """Return an empty canvas with equal scales: x from 0 to 64, y from 0 to 40."""
    fig, ax = plt.subplots()
    ax.set(xlim=(0, 64), ylim=(0, 40), aspect="equal", title=title)
    ax.axis("off")
    return fig, ax


def _arrow(ax: Axes, start: Point, end: Point, colour: str = INK, width: float = 2.0) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "lw": width, "mutation_scale": 10 + 4 * width}
    ax.annotate("", end, start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})


def _span(ax: Axes, start: Point, end: Point, label: str, lift: float = 0.6) -> None:
    """Draw a dimension line with its label `lift` above the middle."""
    style = {"arrowstyle": "<->", "color": GREY, "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=style)
    ax.text((start[0] + end[0]) / 2, start[1] + lift, label, ha="center", va="bottom", fontsize=11)


def _box(ax: Axes, corner: Point, size: Point, label: str, face: str = PALE) -> None:
    shape = "round,pad=0,rounding_size=0.8"
    ax.add_patch(FancyBboxPatch(corner, *size, boxstyle=shape, fc=face, ec=INK, lw=1.4))
    x, y = corner[0] + size[0] / 2, corner[1] + size[1] / 2
    ax.text(x, y, label, ha="center", va="center", fontsize=11)


def _wedge(ax: Axes, tip: Point, size: float, colour: str = GREY) -> None:
    """Draw a triangular support below `tip`."""
    x, y = tip
    corners = [(x, y), (x - 0.7 * size, y - size), (x + 0.7 * size, y - size)]
    ax.add_patch(Polygon(corners, fc=colour, ec=INK, lw=1.2))


@figure("lever-moments")
def lever_moments() -> Figure:
    """Draw a first-class lever in balance, with its forces and arms."""
    fig, ax = _canvas("First-class lever in balance")
    ax.plot([2, 62], [6, 6], color=GREY, lw=1.2)
    ax.add_patch(Rectangle((5, 17), 54, 1.8, fc=ORANGE, ec=INK, lw=1.2))
    ax.add_patch(Polygon([(44, 17), (38.5, 6), (49.5, 6)], fc=GREY, ec=INK, lw=1.2))
    ax.text(44, 3, "fulcrum (pivot)", ha="center", fontsize=12)
    _arrow(ax, (8, 30), (8, 19), BLUE, 3)
    ax.text(8, 30.5, "effort\n150 N", ha="center", va="bottom", color=BLUE, fontsize=13)
    ax.plot([56, 56], [17, 13], color=INK, lw=1.6)
    ax.add_patch(Rectangle((51.5, 7.5), 9, 5.8, fc="#f3d9d6", ec=INK, lw=1.4))
    ax.text(56, 10.4, "load\n450 N", ha="center", va="center", color=RED, fontsize=12)
    for x in (44, 56):
        ax.plot([x, x], [18.8, 23], color=GREY, lw=1, ls=":")
    _span(ax, (8, 23), (44, 23), "effort arm 1.20 m")
    _span(ax, (44, 23), (56, 23), "load arm 0.40 m")
    ax.text(33, 33, "mechanical advantage = 1.20 m / 0.40 m = 3", ha="center", fontsize=12)
    return fig


@figure("lever-classes")
def lever_classes() -> Figure:
    """Draw the three classes of levers."""
    fig, axes = plt.subplots(3, 1)
    rows = (
        ("First class: fulcrum between (seesaw)", 5.0, 1.0, 9.0, "gain depends\non the arms"),
        ("Second class: load between (wheelbarrow)", 1.0, 9.0, 4.0, "always gains\nforce"),
        ("Third class: effort between (tweezers)", 1.0, 4.0, 9.0, "always gains\nspeed"),
    )
    for ax, (title, fulcrum, effort, load, note) in zip(axes, rows, strict=True):
        ax.set(xlim=(-1, 13.5), ylim=(-1.4, 2.6))
        ax.set_title(title, loc="left", fontsize=12)
        ax.axis("off")
        ax.add_patch(Rectangle((0.6, 0), 8.8, 0.3, fc=ORANGE, ec=INK, lw=1.1))
        corners = [(fulcrum, 0), (fulcrum - 0.45, -1.2), (fulcrum + 0.45, -1.2)]
        ax.add_patch(Polygon(corners, fc=GREY, ec=INK, lw=1.1))
        ax.text(fulcrum + 0.6, -1.1, "fulcrum", fontsize=11)
        up = not title.startswith("First")
        ends = ((effort, 0.3), (effort, 2.2)) if up else ((effort, 2.2), (effort, 0.3))
        _arrow(ax, *ends, BLUE, 2.4)
        ax.text(effort + 0.3, 1.15, "effort", color=BLUE, fontsize=13)
        _arrow(ax, (load, 2.2), (load, 0.3), RED, 2.4)
        ax.text(load + 0.3, 1.15, "load", color=RED, fontsize=13)
        ax.text(12.0, 0.4, note, ha="center", va="center", fontsize=11, color=PURPLE)
    return fig


@figure("beam-shear-and-moment")
def beam_shear_and_moment() -> Figure:
    """Draw a loaded beam above its shear force and bending moment diagrams."""
    fig, (beam, shear, moment) = plt.subplots(
        3, 1, sharex=True, figsize=(6.4, 4.8), height_ratios=(1.25, 1, 1)
    )
    beam.set(xlim=(-0.5, 6.9), ylim=(-2.4, 2.9))
    beam.axis("off")
    beam.add_patch(Rectangle((0, -0.18), 6, 0.36, fc=ORANGE, ec=INK))
    for x, name, force in ((0.0, "A", "8 kN"), (6.0, "B", "4 kN")):
        corners = [(x, -0.18), (x - 0.14, -1.0), (x + 0.14, -1.0)]
        beam.add_patch(Polygon(corners, fc=GREY, ec=INK))
        beam.text(x - 0.3 if x == 0 else x + 0.3, 0, name, ha="center", va="center", fontsize=12)
        _arrow(beam, (x, -2.4), (x, -1.05), BLUE)
        beam.text(x + 0.15, -2.1, f"reaction {force}" if x == 0 else force, color=BLUE, fontsize=11)
    _arrow(beam, (2, 2.8), (2, 0.2), RED, 2.6)
    beam.text(2.15, 2.1, "load 12 kN", color=RED, fontsize=12)
    for start, end in ((0, 2), (2, 6)):
        _span(beam, (start, 1.3), (end, 1.3), f"{end - start} m", 0.1)
    shear.fill_between([0, 2], [8, 8], color=BLUE, alpha=0.3)
    shear.fill_between([2, 6], [-4, -4], color=BLUE, alpha=0.3)
    shear.plot([0, 0, 2, 2, 6, 6], [0, 8, 8, -4, -4, 0], color=BLUE)
    shear.set(ylabel="shear V\n(kN)", ylim=(-7, 11), yticks=(-4, 0, 8))
    shear.text(1, 3.2, "+8 kN", ha="center")
    shear.text(4, -3.2, "−4 kN", ha="center")
    shear.text(3.4, 5, "Shear force diagram", fontsize=12)
    moment.fill_between([0, 2, 6], [0, 16, 0], color=GREEN, alpha=0.3)
    moment.plot([0, 2, 6], [0, 16, 0], color=GREEN)
    moment.set(ylabel="moment M\n(kN m)", ylim=(0, 22), yticks=(0, 8, 16))
    moment.set_xlabel("distance from A, x (m)")
    moment.text(2.15, 16.5, "maximum 16 kN m")
    moment.text(3.45, 12.2, "Bending moment diagram", fontsize=12)
    for ax in (shear, moment):
        ax.axhline(0, color=INK, lw=1)
        ax.axvline(2, color=GREY, lw=1, ls=":")
    return fig


@figure("warren-truss-forces")
def warren_truss_forces() -> Figure:
    """Draw a Warren truss with the compression or tension in each member."""
    fig, ax = _canvas("Warren truss: forces in the members")
    side, left, bottom = 24.0, 8.0, 10.5
    top = bottom + side * np.sqrt(3) / 2
    joints = {
        "A": (left, bottom),
        "B": (left + side / 2, top),
        "C": (left + side, bottom),
        "D": (left + 1.5 * side, top),
        "E": (left + 2 * side, bottom),
    }
    members = {"AB": -17.3, "BC": 17.3, "BD": -17.3, "CD": 17.3, "DE": -17.3, "AC": 8.7, "CE": 8.7}
    for name, force in members.items():
        (x0, y0), (x1, y1) = joints[name[0]], joints[name[1]]
        colour = BLUE if force > 0 else RED
        ax.plot([x0, x1], [y0, y1], color=colour, lw=5, solid_capstyle="round", zorder=1)
        middle, paper = ((x0 + x1) / 2, (y0 + y1) / 2), {"fc": "white", "ec": "none", "pad": 1.5}
        words = ax.text(*middle, f"{abs(force)} kN", ha="center", va="center", bbox=paper)
        words.set(fontsize=11, color=colour)
    for name, (x, y) in joints.items():
        ax.add_patch(Circle((x, y), 1.6, fc="white", ec=INK, lw=1.6, zorder=3))
        ax.text(x, y, name, ha="center", va="center", fontsize=11, zorder=4)
    for name in ("A", "E"):
        x, y = joints[name]
        _wedge(ax, (x, y - 1.6), 3.2)
        _arrow(ax, (x, 0.2), (x, y - 5), INK, 2.2)
        ax.text(x + 1.2, 1.8, "15 kN", fontsize=12)
    _arrow(ax, (32, bottom - 1.6), (32, 0.2), INK, 2.6)
    ax.text(33.2, 3.6, "load 30 kN", fontsize=12)
    ax.text(18, 37, "compression (pushed)", color=RED, ha="center", fontsize=13)
    ax.text(48, 37, "tension (pulled)", color=BLUE, ha="center", fontsize=13)
    ax.add_patch(Arc(joints["A"], 9, 9, theta1=0, theta2=60, color=INK, lw=1.3))
    ax.text(13, 12.2, "60°", fontsize=11)
    return fig


@figure("stress-strain-curve")
def stress_strain_curve() -> Figure:
    """Draw the stress-strain curve of mild steel, with its elastic part enlarged."""
    fig, ax = plt.subplots()
    strain = np.linspace(2.0, 28.0, 200)
    stress = np.where(
        strain <= 18, 400 - 150 * ((18 - strain) / 16) ** 2, 400 - 80 * ((strain - 18) / 10) ** 2
    )
    ax.plot([0, 0.125, 2.0], [0, 250, 250], color=BLUE)
    ax.plot(strain, stress, color=BLUE)
    for start, end, colour in ((0, 2, ORANGE), (2, 18, GREEN), (18, 28, RED)):
        ax.axvspan(start, end, color=colour, alpha=0.1, lw=0)
    ax.text(10, 20, "strain hardening", ha="center", color=GREEN)
    ax.text(23, 20, "necking", ha="center", color=RED)
    ax.plot([1.0, 18, 28], [250, 400, 320], "o", color=INK, ms=6)
    ax.annotate("yield, 250 MPa", (1.0, 250), (2.5, 212), fontsize=12)
    ax.annotate("ultimate strength, 400 MPa", (18, 400), (16.5, 415), ha="center", fontsize=12)
    ax.annotate("fracture", (28, 320), (25.2, 290), fontsize=12)
    ax.set(xlim=(0, 30), ylim=(0, 460), xlabel="strain (%)", ylabel="stress (MPa)")
    ax.set_title("Tensile test of mild steel")
    small = ax.inset_axes((0.28, 0.16, 0.34, 0.28))
    small.plot([0, 0.125, 0.3], [0, 250, 250], color=BLUE)
    small.set(xlim=(0, 0.3), ylim=(0, 320), xticks=(0, 0.1, 0.2, 0.3), yticks=(0, 250))
    small.tick_params(labelsize=9)
    small.text(0.115, 100, "elastic slope\nE = 200 GPa", fontsize=10)
    return fig


def _gear(ax: Axes, centre: Point, teeth: int, module: float, phase: float, face: str) -> None:
    """Draw a gear of pitch radius teeth * module / 2, with a tooth at the angle `phase` (rad)."""
    pitch, radius = 2 * np.pi / teeth, teeth * module / 2
    outline: list[Point] = []
    for number in range(teeth):
        middle = phase + number * pitch
        for turn, height in ((-0.31, -1.0), (-0.14, 0.8), (0.14, 0.8), (0.31, -1.0)):
            angle, reach = middle + turn * pitch, radius + height * module
            outline.append((centre[0] + reach * np.cos(angle), centre[1] + reach * np.sin(angle)))
    ax.add_patch(Polygon(outline, fc=face, ec="none"))
    ax.add_patch(Circle(centre, 1.0, fc=INK))


@figure("gear-train")
def gear_train() -> Figure:
    """Draw three meshing gears with their teeth, speeds and directions."""
    fig, ax = plt.subplots(figsize=(6.4, 3.9))
    ax.set(xlim=(0, 64), ylim=(3, 39), aspect="equal", title="Simple gear train")
    ax.axis("off")
    module, x = 1.06, 1.6
    # Each phase puts a tooth of a gear into a gap of its neighbour.
    rows = (
        (12, 0.0, "driver\n12 teeth", "120 rpm", "#9cc0e4"),
        (18, np.pi + np.pi / 18, "idler\n18 teeth", "80 rpm", "#cbd2da"),
        (24, np.pi, "driven\n24 teeth", "60 rpm", "#f2bd80"),
    )
    for place, (teeth, phase, name, speed, face) in enumerate(rows):
        radius = teeth * module / 2
        centre = (x + radius, 20.0)
        _gear(ax, centre, teeth, module, phase, face)
        ax.text(centre[0], 36, name, ha="center", va="center", fontsize=12)
        ax.text(centre[0], 4.8, speed, ha="center", va="center", fontsize=13)
        clockwise = place % 2 == 0
        reach = radius * 0.58
        ends = [(centre[0] + s * reach * 0.85, 20 + reach * 0.5) for s in (-1, 1)]
        start, end = ends if clockwise else ends[::-1]
        bend = f"arc3,rad={-0.55 if clockwise else 0.55}"
        style = {"arrowstyle": "-|>", "color": RED, "lw": 2, "connectionstyle": bend}
        ax.annotate("", end, start, arrowprops={**style, "mutation_scale": 16})
        way = "clockwise" if clockwise else "counter-\nclockwise"
        ax.text(centre[0], 20 - reach * 0.62, way, ha="center", va="center", fontsize=10.5)
        x += 2 * radius
    return fig


@figure("pid-block-diagram")
def pid_block_diagram() -> Figure:
    """Draw the block diagram of a PID control loop."""
    fig, ax = _canvas("PID control loop")
    for x, signs in ((9.0, ((5.6, 22.6, "+"), (9.8, 16.2, "−"))), (36.5, ())):
        ax.add_patch(Circle((x, 21), 1.9, fc="white", ec=INK, lw=1.5))
        ax.text(x, 21, "Σ", ha="center", va="center", fontsize=12)
        for left, low, sign in signs:
            ax.text(left, low, sign, fontsize=14)
    terms = ((29.5, "P: present error", "#d6e6f5"), (18.7, "I: past error", "#d9efe1"))
    for y, label, face in (*terms, (7.9, "D: trend of error", "#fbe6cc")):
        _box(ax, (17, y), (15, 4.6), label, face)
        ax.plot([14, 14], [21, y + 2.3], color=INK, lw=1.6)
        _arrow(ax, (14, y + 2.3), (17, y + 2.3), INK, 1.6)
    ax.plot([32, 36.5], [31.8, 31.8], color=INK, lw=1.6)
    ax.plot([32, 36.5], [10.2, 10.2], color=INK, lw=1.6)
    _arrow(ax, (36.5, 31.8), (36.5, 22.9), INK, 1.6)
    _arrow(ax, (36.5, 10.2), (36.5, 19.1), INK, 1.6)
    _arrow(ax, (32, 21), (34.6, 21), INK, 1.6)
    ax.plot([10.9, 14], [21, 21], color=INK, lw=1.6)
    _arrow(ax, (0.5, 21), (7.1, 21), INK, 1.6)
    _box(ax, (46, 18), (10.5, 6), "plant\n(process)", "#e7def2")
    _arrow(ax, (38.4, 21), (46, 21), INK, 1.6)
    _arrow(ax, (56.5, 21), (63.5, 21), INK, 1.6)
    _box(ax, (26, 0.6), (12, 4.6), "sensor", "#f3d9d6")
    ax.plot([59.5, 59.5], [21, 2.9], color=INK, lw=1.6)
    _arrow(ax, (59.5, 2.9), (38, 2.9), INK, 1.6)
    ax.plot([26, 9], [2.9, 2.9], color=INK, lw=1.6)
    _arrow(ax, (9, 2.9), (9, 19.1), INK, 1.6)
    ax.text(3.2, 25, "set\npoint", ha="center", fontsize=11)
    ax.text(14.6, 25.6, "error", fontsize=11)
    ax.text(41.9, 22.3, "control\nsignal", ha="center", fontsize=11)
    ax.text(60.4, 22.3, "output", ha="center", fontsize=11)
    ax.text(48.5, 3.8, "feedback", ha="center", fontsize=11)
    return fig


def _response(kp: float, ki: float, kd: float, time: np.ndarray) -> np.ndarray:
    """Return the output of the loop around y'' + 2 y' + y = u after a unit step."""
    step = float(time[1] - time[0])
    place = speed = total = 0.0
    track = np.empty_like(time)
    for index in range(len(time)):
        track[index] = place
        error = 1.0 - place
        total += error * step
        # The derivative acts on the output, so that a step of the set point causes no kick.
        push = kp * error + ki * total - kd * speed
        speed += (push - 2 * speed - place) * step
        place += speed * step
    return track


@figure("pid-step-response")
def pid_step_response() -> Figure:
    """Draw the step responses of a P, a PI and a PID controller."""
    fig, ax = plt.subplots()
    time = np.linspace(0, 12, 6001)
    ax.axhline(1, color=GREY, lw=1.5, ls="--")
    ax.plot(time, _response(6, 0, 0, time), color=ORANGE)
    ax.plot(time, _response(6, 2, 0, time), color=PURPLE, ls="-.")
    ax.plot(time, _response(6, 2, 3, time), color=GREEN)
    ax.text(8.8, 1.03, "set point", color=INK)
    ax.text(8.3, 0.76, "P only: offset stays", color=ORANGE)
    ax.text(1.75, 1.3, "PI: no offset, but overshoot", color=PURPLE)
    ax.text(2.6, 0.64, "PID: no offset, little overshoot", color=GREEN)
    ax.set(xlim=(0, 12), ylim=(0, 1.5), xlabel="time (s)", ylabel="output (fraction of set point)")
    ax.set_title("Step response of three controllers")
    return fig


@figure("heat-engine-energy-flow")
def heat_engine_energy_flow() -> Figure:
    """Draw the heat and work that flow through a heat engine."""
    fig, ax = _canvas("Energy flow through a heat engine")
    _box(ax, (8, 32), (50, 6.5), "hot reservoir, T = 800 K", "#f2c4be")
    _box(ax, (8, 1), (50, 6.5), "cold reservoir, T = 300 K", "#cfe1f2")
    # The width of a band is its energy: 10 units for 1000 J.
    bands = ((20.0, 32.0, 10.0, 6.0, RED), (22.0, 16.0, 6.0, 5.4, BLUE))
    for x, y, width, length, colour in bands:
        corners = [(x, y), (x, y - length), (x + width / 2, y - length - 2.6)]
        corners += [(x + width, y - length), (x + width, y)]
        ax.add_patch(Polygon(corners, fc=colour, ec="none", alpha=0.75))
    work = [(30, 22), (46, 22), (48.4, 20), (46, 18), (30, 18)]
    ax.add_patch(Polygon(work, fc=GREEN, ec="none", alpha=0.75))
    ax.add_patch(Circle((25, 20), 5.8, fc="white", ec=INK, lw=2))
    ax.text(25, 20, "engine\n40 %", ha="center", va="center", fontsize=13)
    ax.text(32.5, 28.4, "heat in $Q_H$ = 1000 J", color=RED, fontsize=12)
    ax.text(29.5, 10, "heat out $Q_C$ = 600 J", color=BLUE, fontsize=12)
    ax.text(49.5, 20, "work out\nW = 400 J", color=GREEN, va="center", fontsize=12)
    return fig


@figure("carnot-cycle-pressure-volume")
def carnot_cycle_pressure_volume() -> Figure:
    """Draw the Carnot cycle of a monatomic gas in a pressure-volume diagram."""
    fig, ax = plt.subplots()
    gamma, hot, cold = 5 / 3, 800.0, 500.0  # a monatomic gas
    gas = 8.314 * 0.3  # J/K, for 0.3 mol; volumes in litres give kilopascals
    stretch = (hot / cold) ** (1 / (gamma - 1))
    corners = (1.0, 2.5, 2.5 * stretch, stretch)
    hot_line = np.linspace(corners[0], corners[1], 60)
    fall = np.linspace(corners[1], corners[2], 60)
    cold_line = np.linspace(corners[2], corners[3], 60)
    rise = np.linspace(corners[3], corners[0], 60)
    legs = (
        (hot_line, gas * hot / hot_line, RED),
        (fall, gas * hot / corners[1] * (corners[1] / fall) ** gamma, GREY),
        (cold_line, gas * cold / cold_line, BLUE),
        (rise, gas * hot / corners[0] * (corners[0] / rise) ** gamma, GREY),
    )
    path = np.concatenate([np.column_stack((v, p)) for v, p, _ in legs])
    ax.add_patch(Polygon(path, fc=GREEN, alpha=0.15, ec="none"))
    for volume, pressure, colour in legs:
        ax.plot(volume, pressure, color=colour, lw=2.6)
        _arrow(ax, (volume[28], pressure[28]), (volume[32], pressure[32]), colour)
    for name, volume, pressure in zip("ABCD", corners, [leg[1][0] for leg in legs], strict=True):
        ax.plot(volume, pressure, "o", color=INK, ms=6)
        offset = -0.2 if name == "D" else 0.1
        ax.text(volume + offset, pressure + (-110 if name == "D" else 50), name, fontsize=13)
    ax.text(1.75, 1300, "1. isotherm 800 K, heat in", color=RED)
    ax.text(3.4, 600, "2. adiabatic expansion")
    ax.text(2.1, 130, "3. isotherm 500 K, heat out", color=BLUE)
    ax.text(0.35, 380, "4. adiabatic\ncompression")
    ax.text(3.25, 950, "shaded area = work W", color=GREEN)
    ax.plot([2.7, 3.2], [620, 935], color=GREEN, lw=1.2)
    ax.set(xlim=(0.25, 6), ylim=(0, 2250), xlabel="volume (L)", ylabel="pressure (kPa)")
    ax.set_title("Carnot cycle: enclosed area = work")
    return fig


@figure("hydraulic-press")
def hydraulic_press() -> Figure:
    """Draw a hydraulic press with the forces on its two pistons."""
    fig, ax = _canvas("Hydraulic press")
    fluid = [(8, 4), (58, 4), (58, 20), (34, 20), (34, 9), (16, 9), (16, 16), (8, 16)]
    ax.add_patch(Polygon(fluid, fc="#bcd9f2", ec="none"))
    for wall in ([(8, 28), (8, 4), (58, 4), (58, 28)], [(16, 28), (16, 9), (34, 9), (34, 28)]):
        ax.plot(*zip(*wall, strict=True), color=INK, lw=3)
    ax.add_patch(Rectangle((8.2, 16), 7.6, 2.6, fc=GREY, ec=INK))
    ax.add_patch(Rectangle((34.2, 20), 23.6, 2.6, fc=GREY, ec=INK))
    _arrow(ax, (12, 29), (12, 18.8), BLUE, 3)
    ax.text(12, 30, "effort F1 = 200 N", ha="center", color=BLUE)
    _arrow(ax, (46, 22.8), (46, 33.5), RED, 4.5)
    ax.text(46, 34.5, "load force F2 = 5000 N", ha="center", color=RED)
    ax.text(18, 22.5, "small piston\nA1 = 0.0020 m²", ha="left", va="center", fontsize=11)
    ax.plot([15.4, 18], [17.6, 20.2], color=INK, lw=1)
    ax.text(46, 15, "large piston\nA2 = 0.050 m²", ha="center", va="center", fontsize=11)
    ax.text(25, 6.4, "oil, pressure 100 kPa", ha="center", va="center", fontsize=11)
    for end in ((12.0, 15.2), (36.6, 19.2), (55.4, 19.2)):
        start = (end[0], end[1] - 4)
        _arrow(ax, start, end, PURPLE, 1.5)
    return fig
