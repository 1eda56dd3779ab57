"""Figures of the technology cards: computing, networks, signals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse, PathPatch, Rectangle
from matplotlib.path import Path

from data.sample.draw.shapes import Point, arrow, box, canvas, say
from data.sample.draw.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, figure

SKY, LEAF, ROSE, SAND = "#dbe9f6", "#dcefe0", "#fae3df", "#fdebc8"


def cells(
    ax: Axes, left: float, y: float, values: Sequence[object], fill: str = SKY, width: float = 3
) -> None:
    """Draw a row of cells with one value each, starting at x = `left` and centred on `y`."""
    for i, value in enumerate(values):
        corner = (left + i * width, y - 1.5)
        ax.add_patch(Rectangle(corner, width, 3, fc=fill, ec=INK, lw=1.3, zorder=2))
        say(ax, left + (i + 0.5) * width, y, str(value))


def gate(ax: Axes, kind: str, x: float, y: float) -> None:
    """Draw a gate's symbol, 7 wide and 6 high, with its left edge at `x` and inputs at y +- 1.6."""
    move, line, curve, close = Path.MOVETO, Path.LINETO, Path.CURVE3, Path.CLOSEPOLY
    if kind in ("AND", "NAND"):
        points: list[Point] = [(0, -3), (3, -3), (7, -3), (7, 0), (7, 3), (3, 3), (0, 3), (0, -3)]
        codes = [move, line, curve, curve, curve, curve, line, close]
    elif kind == "NOT":
        points = [(0, -3), (7, 0), (0, 3), (0, -3)]
        codes = [move, line, line, close]
    else:
        points = [(0, -3), (4.5, -3), (7, 0), (4.5, 3), (0, 3), (2, 0), (0, -3), (0, -3)]
        codes = [move, curve, curve, curve, curve, curve, curve, close]
    placed = [(x + dx, y + dy) for dx, dy in points]
    ax.add_patch(PathPatch(Path(placed, codes), fc=SKY, ec=INK, lw=2, zorder=3))
    if kind == "XOR":
        back = Path([(x - 1, y - 3), (x + 1, y), (x - 1, y + 3)], [move, curve, curve])
        ax.add_patch(PathPatch(back, fc="none", ec=INK, lw=2, zorder=3))
    if kind in ("NOT", "NAND", "NOR"):
        ax.add_patch(Circle((x + 7.7, y), 0.7, fc="white", ec=INK, lw=2, zorder=3))


def wire(ax: Axes, *points: Point, colour: str = INK) -> None:
    """Draw a line through the points, below all shapes."""
    ax.plot(*np.transpose(points), color=colour, lw=1.8, zorder=1)


@figure("binary-numbers")
def binary_numbers() -> Figure:
    """Draw a byte with its place values, and the same number in decimal and hex."""
    fig, ax = canvas()
    say(ax, 32, 41.4, "One byte: 10110110 in binary", INK, 14)
    for i, bit in enumerate("10110110"):
        x, weight = 10.6 + 6.6 * i, 1 << (7 - i)
        say(ax, x, 36, f"$2^{7 - i}$", BLUE, 12)
        say(ax, x, 32.6, str(weight), BLUE, 12)
        fill = "#fbd38d" if bit == "1" else PALE
        ax.add_patch(Rectangle((x - 3.3, 23), 6.6, 7, fc=fill, ec=INK, lw=1.6))
        say(ax, x, 26.4, bit, INK, 20)
        if bit == "1":
            arrow(ax, (x, 22.6), (x, 19.4), ORANGE, 1.6)
            say(ax, x, 17.6, str(weight), ORANGE, 13)
    say(ax, 3.6, 34.3, "Place\nvalue", BLUE, 10)
    say(ax, 3.6, 26.4, "Bit", INK, 11)
    say(ax, 32, 13.6, "128 + 32 + 16 + 4 + 2 = 182 in decimal", ORANGE, 14)
    for x, nibble, digit in ((20.5, "1011", "B"), (46.9, "0110", "6")):
        wire(ax, (x - 12.6, 9.6), (x - 12.6, 8.4), (x + 12.6, 8.4), (x + 12.6, 9.6), colour=PURPLE)
        say(ax, x, 6.2, f"nibble {nibble} = {digit} in hex", PURPLE, 12)
    say(ax, 33.7, 2.4, "B6 in hexadecimal", PURPLE, 14)
    return fig


@figure("logic-gates")
def logic_gates() -> Figure:
    """Draw six logic gates with their formulas and rules."""
    fig, ax = canvas()
    rules = {
        "AND": ("Q = A · B", "1 if both inputs are 1"),
        "OR": ("Q = A + B", "1 if any input is 1"),
        "NOT": (r"Q = $\overline{A}$", "turns 0 and 1 round"),
        "NAND": (r"Q = $\overline{A \cdot B}$", "0 if both inputs are 1"),
        "NOR": (r"Q = $\overline{A + B}$", "0 if any input is 1"),
        "XOR": ("Q = A ⊕ B", "1 if inputs differ"),
    }
    for i, (kind, (formula, rule)) in enumerate(rules.items()):
        x, y = 7 + 21.4 * (i % 3), 33 - 21 * (i // 3)
        bubble = 1.4 if kind in ("NOT", "NAND", "NOR") else 0
        for name, dy in (("A", 0.0),) if kind == "NOT" else (("A", 1.6), ("B", -1.6)):
            wire(ax, (x - 3, y + dy), (x + 1, y + dy))
            say(ax, x - 4.2, y + dy, name, BLUE, 12)
        wire(ax, (x + 7 + bubble, y), (x + 10.6, y))
        say(ax, x + 11.8, y, "Q", RED, 12)
        gate(ax, kind, x, y)
        say(ax, x + 3.6, y + 6.4, kind, INK, 14)
        say(ax, x + 3.6, y - 6, formula, PURPLE, 12)
        say(ax, x + 3.6, y - 9.2, rule, INK, 10)
    return fig


@figure("half-adder")
def half_adder() -> Figure:
    """Draw the circuit and the truth table of a half adder."""
    fig, ax = canvas()
    say(ax, 21, 40.5, "Half adder circuit", INK, 14)
    wire(ax, (5, 31.6), (22, 31.6))
    wire(ax, (5, 28.4), (22, 28.4))
    wire(ax, (14, 31.6), (14, 15.6), (22, 15.6))
    wire(ax, (10, 28.4), (10, 12.4), (22, 12.4))
    for x, y in ((14, 31.6), (10, 28.4)):
        ax.add_patch(Circle((x, y), 0.6, fc=INK, ec="none"))
    for kind, y, out in (("XOR", 30, "Sum S"), ("AND", 14, "Carry C")):
        wire(ax, (28, y), (33, y))
        gate(ax, kind, 21, y)
        say(ax, 24.2, y + 5, kind, INK, 13)
        say(ax, 33.6, y, out, RED, 12, "left")
    say(ax, 3.6, 31.6, "A", BLUE, 13)
    say(ax, 3.6, 28.4, "B", BLUE, 13)
    say(ax, 24.6, 35.8 - 11, "S = A ⊕ B", PURPLE, 12)
    say(ax, 24.6, 8.8, "C = A · B", PURPLE, 12)
    say(ax, 53, 36.6, "Truth table", INK, 13)
    rows = ["ABCS", *(f"{a}{b}{a & b}{a ^ b}" for a in (0, 1) for b in (0, 1))]
    for i, row in enumerate(rows):
        cells(ax, 45, 32.4 - 4.2 * i, row, SKY if i == 0 else "white", 4)
    say(ax, 53, 9.6, "1 + 1 = binary 10:\ncarry 1, sum 0", INK, 11)
    return fig


@figure("sorting-algorithms")
def sorting_algorithms() -> Figure:
    """Draw the splits and merges of a merge sort of eight numbers."""
    fig, ax = canvas()
    split = [[[7, 2, 9, 4, 3, 8, 6, 1]], [[7, 2, 9, 4], [3, 8, 6, 1]]]
    split += [[[7, 2], [9, 4], [3, 8], [6, 1]], [[7], [2], [9], [4], [3], [8], [6], [1]]]
    merged = [[sorted(part) for part in row] for row in reversed(split[:3])]
    rows = [*split, *merged]
    for level, row in enumerate(rows):
        y, part = 39.4 - 6 * level, 52 / len(row)
        centres = [11 + part * (i + 0.5) for i in range(len(row))]
        for centre, values in zip(centres, row, strict=True):
            cells(ax, centre - 1.5 * len(values), y, values, SKY if level < 4 else LEAF)
        wide = max(len(row), len(rows[min(level + 1, 6)]))
        for i in range(wide if level < 6 else 0):
            below = 52 / len(rows[level + 1])
            ends = (int(i * len(row) / wide), int(i * len(rows[level + 1]) / wide))
            foot = (11 + below * (ends[1] + 0.5), y - 4.3)
            arrow(ax, (centres[ends[0]], y - 1.7), foot, GREY, 1)
    for y, text, colour in ((30.4, "SPLIT", BLUE), (9.4, "MERGE", GREEN)):
        say(ax, 3, y, text, colour, 13, rotation=90)
    arrow(ax, (6.4, 40), (6.4, 21), BLUE, 2.4)
    arrow(ax, (6.4, 18.6), (6.4, 2.4), GREEN, 2.4)
    return fig


@figure("sorting-cost")
def sorting_cost() -> Figure:
    """Draw the number of comparisons of insertion sort and merge sort."""
    fig, ax = plt.subplots()
    n = np.logspace(1, 6, 200)
    ax.loglog(n, n * (n - 1) / 2, color=RED)
    ax.loglog(n, n * np.log2(n), color=GREEN)
    ax.text(1.5e3, 1.2e7, "insertion sort, worst case\nn(n - 1)/2", color=RED, ha="right")
    ax.text(8e3, 4e3, "merge sort\nn log₂ n", color=GREEN)
    for value, colour, text in (
        (5e11, RED, r"$5 \times 10^{11}$"),
        (2e7, GREEN, r"$2 \times 10^7$"),
    ):
        ax.plot(1e6, value, "o", color=colour, ms=8, clip_on=False)
        ax.text(7e5, value * (2.2 if colour == RED else 2.6), text, color=colour, ha="right")
    ax.set(xlim=(10, 1e6), ylim=(10, 5e12), title="Comparisons needed to sort n values")
    ax.set(xlabel="Number of values n", ylabel="Comparisons")
    return fig


@figure("internet-layers")
def internet_layers() -> Figure:
    """Draw the path of a message through the internet's layers and a router."""
    fig, ax = canvas()
    layers = [("Application", "HTTP", ROSE), ("Transport", "TCP", SAND)]
    layers += [("Internet", "IP", LEAF), ("Link", "Ethernet, Wi-Fi", SKY)]
    for x, host in ((11, "Sender"), (53, "Receiver")):
        say(ax, x, 41.4, host, INK, 14)
        for i, (layer, protocol, fill) in enumerate(layers):
            y = 35.6 - 8 * i
            box(ax, (x, y), (18, 6), f"{layer}\n{protocol}", fill)
            if i < 3:
                ends = (x, y - 3.1), (x, y - 4.9)
                arrow(ax, *(ends if host == "Sender" else ends[::-1]), INK, 1.6)
    say(ax, 32, 25.2, "Router", INK, 14)
    for i, (layer, protocol, fill) in enumerate(layers[2:]):
        box(ax, (32, 19.6 - 8 * i), (15, 6), f"{layer}\n{protocol}", fill)
    arrow(ax, (29, 14.7), (29, 16.5), INK, 1.6)
    arrow(ax, (35, 16.5), (35, 14.7), INK, 1.6)
    wire(ax, (11, 8.4), (11, 5), (29, 5), colour=BLUE)
    wire(ax, (35, 5), (53, 5), colour=BLUE)
    arrow(ax, (29, 5), (29, 8.5), BLUE, 2.4)
    wire(ax, (35, 8.5), (35, 5), colour=BLUE)
    arrow(ax, (53, 5), (53, 8.5), BLUE, 2.4)
    say(ax, 20, 2.8, "Wi-Fi link", BLUE, 11)
    say(ax, 44, 2.8, "fibre link", BLUE, 11)
    for y, text in ((35.6, "same message"), (29.6, "same segment")):
        ax.plot([20.6, 43.4], [y - 1.8, y - 1.8], color=GREY, lw=1.4, ls="--")
        say(ax, 32, y, text, INK, 11)
    return fig


@figure("packet-encapsulation")
def packet_encapsulation() -> Figure:
    """Draw the headers that each network layer adds to the data."""
    fig, ax = canvas()
    say(ax, 32, 41.2, "Each layer adds its own header", INK, 14)
    fields = [("Ethernet\n14 B", 8.6, SKY), ("IP\n20 B", 7, LEAF), ("TCP\n20 B", 7, SAND)]
    fields += [("Data: 1460 bytes", 20, ROSE), ("Check\n4 B", 7, SKY)]
    names = ("Application data", "Segment", "Packet", "Frame")
    lefts = np.cumsum([12.6] + [width for _, width, _ in fields])
    for row, (name, first) in enumerate(zip(names, (3, 2, 1, 0), strict=True)):
        y, last = 34 - 8.4 * row, 5 if first == 0 else 4
        for i in range(first, last):
            text, width, fill = fields[i]
            ax.add_patch(Rectangle((lefts[i], y - 2.8), width, 5.6, fc=fill, ec=INK, lw=1.6))
            say(ax, lefts[i] + width / 2, y, text, INK, 10)
        say(ax, 0.8, y + 0.2, name.replace(" ", "\n"), PURPLE, 11, "left")
        if first:
            arrow(ax, (45, y - 3), (45, y - 5.4), GREY, 1.6)
    say(ax, 32, 2.4, "Frame: 1460 + 58 = 1518 bytes on the wire", INK, 12)
    return fig


@figure("binary-search-tree")
def binary_search_tree() -> Figure:
    """Draw a binary search tree and the path to a key."""
    fig, ax = canvas()
    places: dict[int, Point] = {
        50: (34, 37), 30: (19, 28), 70: (49, 28), 20: (11, 18), 40: (27, 18), 60: (43, 18),
        80: (56, 18), 35: (22, 8), 45: (32, 8), 65: (48, 8),
    }  # fmt: skip
    children = {50: (30, 70), 30: (20, 40), 70: (60, 80), 40: (35, 45), 60: (65,)}
    links = [(parent, child) for parent, pair in children.items() for child in pair]
    path = (50, 30, 40, 45)
    for parent, child in links:
        wire(ax, places[parent], places[child])
        if parent in path and child in path:
            ax.plot(*np.transpose([places[parent], places[child]]), color=ORANGE, lw=5, zorder=1)
    for key, place in places.items():
        fill, edge = ("#fbd38d", ORANGE) if key in path else (SKY, INK)
        ax.add_patch(Circle(place, 2.7, fc=fill, ec=edge, lw=2, zorder=3))
        say(ax, *place, str(key), INK, 13)
    say(ax, 22, 35, "45 < 50: left", ORANGE, 11, "right")
    say(ax, 25.4, 24.8, "45 > 30: right", ORANGE, 11, "left")
    say(ax, 31.4, 12.8, "45 > 40: right", ORANGE, 11, "left")
    say(ax, 32, 3.2, "45 found", ORANGE, 12)
    say(ax, 38, 38.6, "root", INK, 12, "left")
    say(ax, 56, 13.4, "leaf", INK, 12)
    for level, y in enumerate((37, 28, 18, 8)):
        say(ax, 1, y, f"depth {level}", INK, 10, "left")
    say(ax, 53, 42, "Search for key 45", INK, 13)
    return fig


@figure("public-key-encryption")
def public_key_encryption() -> Figure:
    """Draw how Alice encrypts a message that only Bob can decrypt."""
    fig, ax = canvas()

    def key(x: float, y: float, colour: str) -> None:
        ax.add_patch(Circle((x, y), 1.5, fc="none", ec=colour, lw=3.5))
        for route in ([(1.6, 0), (6, 0)], [(4.2, 0), (4.2, -1.5)], [(5.7, 0), (5.7, -1.5)]):
            ax.plot(*np.transpose([(x + dx, y + dy) for dx, dy in route]), color=colour, lw=3.5)

    for x, name, colour in ((10, "Alice", BLUE), (54, "Bob", GREEN)):
        ax.add_patch(Circle((x, 37.6), 2.4, fc=colour, ec="none"))
        ax.add_patch(Ellipse((x, 32), 8, 5.6, fc=colour, ec="none"))
        say(ax, x, 32, name, "white", 12)
    box(ax, (10, 24), (15, 5), "message m = 9", "white")
    box(ax, (10, 13), (16, 7), "Encrypt\nc = m³ mod 55", SKY, BLUE)
    box(ax, (54, 13), (16, 7), "Decrypt\nm = c²⁷ mod 55", LEAF, GREEN)
    box(ax, (54, 24), (15, 5), "message m = 9", "white")
    arrow(ax, (10, 21.4), (10, 16.7))
    arrow(ax, (54, 16.6), (54, 21.3))
    arrow(ax, (18.2, 13), (45.8, 13), RED, 3)
    say(ax, 32, 15, "ciphertext c = 14", RED, 12)
    say(ax, 32, 10.6, "open network", GREY, 11)
    key(29, 37.4, BLUE)
    say(ax, 32, 33.6, "Bob's public key\nn = 55, e = 3", BLUE, 11)
    arrow(ax, (49.6, 34), (40.4, 34), GREY, 1.6)
    arrow(ax, (24, 32), (15.6, 17), BLUE, 1.6, -0.1)
    key(38, 25.4, GREEN)
    say(ax, 36.4, 21, "Bob's private key\nd = 27 (secret)", GREEN, 11)
    arrow(ax, (43, 19), (46.4, 16.8), GREEN, 1.6)
    arrow(ax, (32, 5.4), (32, 8.8), INK, 1.6)
    say(ax, 32, 3.6, "Eve listens, but sees only 14, 55 and 3", INK, 11)
    return fig


@figure("neural-network")
def neural_network() -> Figure:
    """Draw a neural network with one hidden layer."""
    fig, ax = canvas()
    layers = [(10, [32, 22, 12], LEAF), (31, [36, 27, 18, 9], SKY), (52, [27, 17], ROSE)]
    for (x, ys, _), (x_next, ys_next, _) in pairwise(layers):
        for y in ys:
            for y_next in ys_next:
                ax.plot([x, x_next], [y, y_next], color=GREY, lw=1.2, zorder=1)
    for (x, ys, fill), name in zip(layers, "xhy", strict=True):
        for i, y in enumerate(ys, 1):
            ax.add_patch(Circle((x, y), 3, fc=fill, ec=INK, lw=1.8, zorder=3))
            say(ax, x, y, f"${name}_{i}$", INK, 14)
    ax.plot([10, 31], [32, 36], color=ORANGE, lw=3, zorder=1)
    say(ax, 20, 36.4, "weight $w_{11}$", ORANGE, 12)
    for x, name in ((10, "Input layer"), (31, "Hidden layer"), (52, "Output layer")):
        say(ax, x, 42, name, INK, 13)
    for y, text in ((27, "cat"), (17, "dog")):
        arrow(ax, (55.2, y), (58.6, y), INK, 1.6)
        say(ax, 61, y, text, INK, 12)
    arrow(ax, (14, 3.4), (50, 3.4), BLUE, 2.4)
    say(ax, 32, 1.5, "forward pass", BLUE, 11)
    arrow(ax, (50, 5.2), (36, 5.2), RED, 2.4)
    say(ax, 52.6, 8.2, "errors flow back", RED, 11)
    return fig


@figure("artificial-neuron")
def artificial_neuron() -> Figure:
    """Draw a neuron's weighted sum and its sigmoid activation."""
    fig, (ax, curve) = plt.subplots(1, 2, width_ratios=(1.5, 1))
    ax.set(xlim=(0, 38), ylim=(0, 44))
    ax.axis("off")
    inputs = [(35.0, "$x_1$ = 1.0", (18.4, 30.0)), (22.0, "$x_2$ = 0.5", (15.0, 24.0))]
    inputs += [(9.0, "bias b", (18.4, 13.4))]
    for (y, name, place), weight in zip(inputs, ("0.8", "-0.4", "0.1"), strict=True):
        box(ax, (6, y), (11, 5), name, LEAF)
        arrow(ax, (11.6, y), (18.6, 22 + 0.13 * (y - 22)), INK, 1.6)
        say(ax, *place, weight, ORANGE, 12)
    say(ax, 22, 35.4, "weights", ORANGE, 11)
    ax.add_patch(Circle((22, 22), 3.6, fc=SKY, ec=INK, lw=1.8, zorder=4))
    say(ax, 22, 22, "Σ", INK, 17)
    say(ax, 27, 16, "z = 0.70", BLUE, 12)
    arrow(ax, (25.7, 22), (29, 22), INK, 1.6)
    box(ax, (33, 22), (8, 6), r"$\sigma(z)$", ROSE)
    say(ax, 33, 29, "y = 0.67", RED, 12)
    z = np.linspace(-6, 6, 200)
    curve.plot(z, 1 / (1 + np.exp(-z)), color=RED)
    curve.plot(0.7, 1 / (1 + np.exp(-0.7)), "o", color=BLUE, ms=8)
    curve.set(xlabel="Weighted sum z", ylabel="Output y", xticks=(-5, 0, 5))
    curve.set_title(r"Sigmoid $\sigma(z)$")
    return fig


@figure("sampling")
def sampling() -> Figure:
    """Draw an analogue signal, its samples and their 3-bit codes."""
    fig, ax = plt.subplots()
    t = np.linspace(0, 1, 400)
    at = np.arange(0, 1.01, 1 / 16)
    voltage = 3.5 + 3.3 * np.sin(2 * np.pi * at + 0.2)
    for level in range(8):
        ax.axhline(level, color="#d5dbe2", lw=1, zorder=0)
        ax.text(1.015, level, f"{level:03b}", color=PURPLE, va="center", fontsize=11)
    ax.plot(t, 3.5 + 3.3 * np.sin(2 * np.pi * t + 0.2), color=BLUE, lw=1.8)
    ax.step(at, np.rint(voltage), where="post", color=ORANGE, lw=1.8)
    ax.vlines(at, 0, voltage, color=GREY, lw=1)
    ax.plot(at, np.rint(voltage), "o", color=RED, ms=7, clip_on=False, zorder=4)
    ax.text(0.42, 6.25, "analogue signal", color=BLUE)
    ax.text(0.02, 7.35, "rounded samples", color=RED)
    ax.text(0.55, 4.4, "digital output, 3 bits", color=ORANGE)
    ax.text(1.02, 7.45, "code", color=PURPLE)
    ax.set(xlim=(0, 1), ylim=(-0.2, 7.9), yticks=range(8))
    ax.set(xlabel="Time (ms)", ylabel="Voltage (V)", title="Sampling at 16 kHz")
    return fig


@figure("aliasing")
def aliasing() -> Figure:
    """Draw a 7 kHz signal that looks like 1 kHz when sampled at 8 kHz."""
    fig, ax = plt.subplots()
    t = np.linspace(0, 1, 800)
    at = np.arange(9) / 8
    ax.plot(t, np.cos(2 * np.pi * 7 * t), color=BLUE, lw=1.6, label="true signal: 7 kHz")
    ax.plot(t, np.cos(2 * np.pi * t), color=RED, ls="--", label="alias: 1 kHz")
    ax.plot(at, np.cos(2 * np.pi * 7 * at), "o", color=INK, ms=9, label="samples at 8 kHz")
    ax.set(xlim=(-0.02, 1.02), ylim=(-1.15, 1.75), yticks=(-1, 0, 1))
    ax.set(xlabel="Time (ms)", ylabel="Signal", title="Aliasing: too few samples per period")
    ax.legend(loc="upper center", ncols=2, frameon=False, fontsize=11)
    return fig
