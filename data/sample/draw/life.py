"""Figures of the biology cards."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse, FancyBboxPatch, Polygon, Rectangle, Wedge

from data.sample.draw.shapes import Point, arrow, box, canvas, say
from data.sample.draw.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, figure

LEAF, SKY, ROSE, SAND = "#dcefe0", "#dbe9f6", "#fae3df", "#f3e3c3"


@figure("photosynthesis")
def photosynthesis() -> Figure:
    """Draw the light reactions and the Calvin cycle in a chloroplast."""
    fig, ax = canvas()
    ax.add_patch(Ellipse((32, 22), 61, 31, fc=LEAF, ec=GREEN, lw=3))
    say(ax, 32, 34, "Chloroplast", GREEN, 13)
    for level in range(5):
        box(ax, (17, 18.4 + 1.9 * level), (14, 1.7), fill="#6aa878", edge=GREEN)
    say(ax, 17, 29.3, "Light reactions", size=12)
    say(ax, 17, 14.5, "thylakoid membranes", size=10)
    for turn in (0, 120, 240):
        a, b = np.radians([turn + 100, turn])
        start, end = ((47 + 6.5 * np.cos(t), 22 + 6.5 * np.sin(t)) for t in (a, b))
        arrow(ax, start, end, BLUE, 2.4, -0.3)
    say(ax, 47, 22, "Calvin\ncycle", size=12)
    say(ax, 56.6, 18, "stroma", size=10)
    arrow(ax, (25.5, 25), (38.5, 25), PURPLE)
    say(ax, 32, 26.8, "ATP, NADPH", PURPLE)
    arrow(ax, (38.5, 19), (25.5, 19), GREY)
    say(ax, 32, 17.2, "ADP, NADP⁺", INK)
    arrow(ax, (6, 42), (11, 30.5), ORANGE, 4)
    say(ax, 9, 41.5, "Light energy", ORANGE, 12, "left")
    arrow(ax, (8, 4), (12, 12.5), BLUE, 3)
    say(ax, 5, 2.5, "H₂O in", BLUE, 12)
    arrow(ax, (21, 12.5), (24, 3.6), BLUE, 3)
    say(ax, 24, 2, "O₂ out", BLUE, 12)
    arrow(ax, (53, 41), (48.5, 30), INK, 3)
    say(ax, 58, 41.5, "CO₂ in", INK, 12)
    arrow(ax, (47, 14), (51, 3.8), GREEN, 3)
    say(ax, 53, 2, "Sugar out (C₆H₁₂O₆)", GREEN, 12)
    return fig


@figure("cellular-respiration")
def cellular_respiration() -> Figure:
    """Draw the path of glucose through cytosol and mitochondrion, with the ATP yield."""
    fig, ax = canvas()
    round_ends = "round,pad=0,rounding_size=5"
    ax.add_patch(FancyBboxPatch((21, 5.5), 42, 34, round_ends, fc="#f3c9c1", ec=RED, lw=2.4))
    steps = np.repeat(np.arange(23, 62, 2.0), 2)
    folds = np.resize([7.5, 9, 9, 7.5], steps.size)
    outline = np.column_stack([np.append(steps, steps[::-1]), np.append(folds, 45 - folds)])
    ax.add_patch(Polygon(outline, fc=ROSE, ec=RED, lw=1.6, joinstyle="round", zorder=2))
    say(ax, 42, 41.8, "Mitochondrion", RED, 13)
    say(ax, 9, 41.8, "Cytosol", INK, 13)
    box(ax, (9, 36), (13, 4), "Glucose", SAND)
    arrow(ax, (9, 34), (9, 30.2))
    box(ax, (9, 27.5), (15, 5), "Glycolysis", SKY)
    arrow(ax, (16.5, 27.5), (25, 30.5))
    say(ax, 11.4, 32, "2 pyruvate", size=10, ha="left")
    say(ax, 47, 34.8, "cristae", RED, 10)
    box(ax, (33, 31), (16, 5), "Pyruvate\noxidation", SKY)
    arrow(ax, (33, 28.5), (33, 23.6))
    say(ax, 32.4, 26.2, "acetyl-CoA", size=10, ha="right")
    ax.add_patch(Circle((33, 18), 5.5, fc=SKY, ec=INK, lw=1.6, zorder=3))
    say(ax, 33, 18, "Citric\nacid cycle")
    box(ax, (52, 24), (14, 9), "Electron\ntransport\nchain", LEAF, GREEN)
    arrow(ax, (41, 31), (48, 28.7), PURPLE)
    arrow(ax, (38.5, 18.6), (45, 21.4), PURPLE)
    say(ax, 47, 32, "NADH", PURPLE, 10)
    say(ax, 43.6, 17.4, "NADH\nFADH₂", PURPLE, 10)
    arrow(ax, (33, 33.5), (33, 39.4), GREY)
    say(ax, 34.6, 34.7, "CO₂", ha="left")
    arrow(ax, (30, 13.2), (30, 5), GREY)
    say(ax, 30, 3.4, "CO₂")
    arrow(ax, (56, 39.4), (56, 28.7), BLUE)
    say(ax, 57.4, 34.5, "O₂", BLUE, 11)
    arrow(ax, (58, 19.3), (58, 5), BLUE)
    say(ax, 58, 3.4, "H₂O", BLUE, 11)
    for x, y, text in ((9, 20, "2 ATP"), (42, 12.2, "2 ATP"), (52.4, 12.2, "about\n26 ATP")):
        ax.add_patch(Ellipse((x, y), 9.5, 5.2, fc="#fbd38d", ec=ORANGE, lw=2, zorder=4))
        say(ax, x, y, text, size=10)
    arrow(ax, (9, 25), (9, 22.8), ORANGE)
    arrow(ax, (36.6, 13.8), (38.6, 12.8), ORANGE)
    arrow(ax, (52.4, 19.5), (52.4, 14.8), ORANGE)
    return fig


@figure("dna-replication")
def dna_replication() -> Figure:
    """Draw the leading and lagging strand of a DNA replication fork."""
    fig, ax = canvas()
    pairs = {"A": RED, "T": ORANGE, "G": BLUE, "C": GREEN}
    mates = {"A": "T", "T": "A", "G": "C", "C": "G"}

    def rung(x: float, low: float, high: float, base: str) -> None:
        middle = (low + high) / 2
        ax.plot([x, x], [high, middle], color=pairs[base], lw=5, solid_capstyle="butt")
        ax.plot([x, x], [middle, low], color=pairs[mates[base]], lw=5, solid_capstyle="butt")

    for x, base in zip(np.arange(47.5, 61, 2), "ATGCCAT", strict=True):
        rung(x, 19, 25, base)
    for x, base in zip(np.arange(5, 30.5, 2), "GATTACAGGCTCA", strict=True):
        rung(x, 29, 34, base)
    for x, base in zip(np.arange(5, 30.5, 2.1), "CTAATGTCCGAGT", strict=True):
        if not (11 < x < 13 or 20.5 < x < 22.5):
            rung(x, 10, 15, base)
    for sign in (1, -1):
        ax.plot(
            [2, 30, 44, 62],
            22 + sign * np.array([12, 12, 3, 3]),
            color=INK,
            lw=4,
            solid_joinstyle="round",
        )
    arrow(ax, (2, 29), (33, 29), PURPLE, 3.5)
    for start in (31, 20.6, 11.2):
        arrow(ax, (start, 15), (start - 8.6, 15), PURPLE, 3.5)
    ax.add_patch(Ellipse((32, 30), 7, 6.5, fc="#cdbfe6", ec=PURPLE, alpha=0.85, zorder=4))
    ax.add_patch(Polygon([(41, 26.2), (41, 17.8), (47, 22)], fc="#fbd38d", ec=ORANGE, zorder=4))
    arrow(ax, (49, 15), (59, 15), ORANGE, 3)
    say(ax, 54, 12.8, "Fork moves", ORANGE)
    say(ax, 46, 28.5, "Helicase", ORANGE, ha="left")
    say(ax, 37, 35, "DNA polymerase", PURPLE, ha="left")
    ax.plot([33.5, 36.5], [32, 34.4], color=PURPLE, lw=1, zorder=6)
    say(ax, 4, 25.6, "Leading strand (continuous)", PURPLE, ha="left")
    say(ax, 4, 18.6, "Lagging strand: Okazaki fragments", PURPLE, ha="left")
    say(ax, 16, 5.5, "Ligase joins the gaps", INK, 11)
    for gap in (11.6, 21.2):
        arrow(ax, (16, 6.8), (gap, 13.6), GREY, 1.4)
    say(ax, 12, 36.2, "Template strand", INK)
    ends = ((1, 36, "3'"), (1, 27, "5'"), (1, 17, "3'"), (1, 8.2, "5'"), (62.2, 27.2, "5'"))
    for x, y, text in (*ends, (62.2, 16.8, "3'")):
        say(ax, x, y, text)
    for i, (base, colour) in enumerate(pairs.items()):
        ax.add_patch(Circle((36 + 6.5 * i, 4), 1.5, fc=colour, ec="none"))
        say(ax, 36 + 6.5 * i, 3.95, base, "white", 11)
    say(ax, 46, 7.4, "Bases pair A-T and G-C", INK, 11)
    say(ax, 32, 41.3, "Replication fork", INK, 14)
    return fig


@figure("mendelian-inheritance")
def mendelian_inheritance() -> Figure:
    """Draw the Punnett square of two Pp parents and the ratios of their offspring."""
    fig, ax = canvas()

    def flower(x: float, y: float, colour: str, size: float = 1.0) -> None:
        for angle in np.radians(np.arange(90, 450, 72)):
            at = (x + 1.7 * size * np.cos(angle), y + 1.7 * size * np.sin(angle))
            ax.add_patch(Circle(at, 1.35 * size, fc=colour, ec=INK, lw=1, zorder=3))
        ax.add_patch(Circle((x, y), 0.9 * size, fc="#f4c542", ec=INK, lw=1, zorder=4))

    purple, white = "#9b72cf", "white"
    for column, top in enumerate("Pp"):
        x = 17 + 13 * column
        say(ax, x, 34.5, top, size=17)
        for row, side in enumerate("Pp"):
            y = 25.5 - 13 * row
            genotype = "".join(sorted(top + side))
            ax.add_patch(Rectangle((x - 6.5, y - 6.5), 13, 13, fc=PALE, ec=INK, lw=1.6))
            flower(x, y + 1.7, purple if "P" in genotype else white)
            say(ax, x, y - 4.4, genotype, size=14)
    for y, side in ((25.5, "P"), (12.5, "p")):
        say(ax, 7.5, y, side, size=17)
    say(ax, 23.5, 41, "Parent 1 (Pp): gametes", BLUE, 12)
    arrow(ax, (23.5, 39.3), (17.8, 36.2), BLUE, 1.6)
    arrow(ax, (23.5, 39.3), (29.2, 36.2), BLUE, 1.6)
    say(ax, 2.5, 19, "Parent 2 (Pp): gametes", RED, 12, rotation=90)
    arrow(ax, (4, 19), (6.4, 23.8), RED, 1.6)
    arrow(ax, (4, 19), (6.4, 14.2), RED, 1.6)
    say(ax, 50.5, 35, "Phenotypes  3 : 1", size=13)
    flower(42.5, 30.2, purple, 0.8)
    say(ax, 46, 30.2, "purple  3/4", ha="left", size=12)
    flower(42.5, 24.2, white, 0.8)
    say(ax, 46, 24.2, "white  1/4", ha="left", size=12)
    say(ax, 50.5, 17, "Genotypes  1 : 2 : 1", size=13)
    say(ax, 50.5, 12.6, "1 PP   2 Pp   1 pp", size=12)
    say(ax, 50.5, 7.4, "P dominant, p recessive", INK, 11)
    say(ax, 23.5, 3, "Punnett square: Pp crossed with Pp", size=12)
    return fig


@figure("enzyme-kinetics")
def enzyme_kinetics() -> Figure:
    """Draw Michaelis-Menten curves with and without a competitive inhibitor."""
    fig, ax = plt.subplots()
    s = np.linspace(0, 20, 300)
    ax.plot(s, 80 * s / (2 + s), color=BLUE)
    ax.plot(s, 80 * s / (4 + s), color=RED, ls="--")
    ax.axhline(80, color=GREY, lw=1.5, ls=":")
    ax.plot([2, 2], [0, 40], color=GREEN, lw=1.5, ls="--")
    ax.plot([0, 2], [40, 40], color=GREEN, lw=1.5, ls="--")
    ax.plot(2, 40, "o", color=GREEN, ms=8)
    ax.text(0.3, 82, r"$V_{max}$ = 80 µmol/min", color=INK)
    ax.text(2.5, 6, r"half of $V_{max}$ at [S] = $K_m$ = 2.0 mM", color=GREEN)
    ax.text(9.8, 71, "no inhibitor", color=BLUE)
    ax.text(10.6, 53, "competitive inhibitor", color=RED)
    ax.set(xlim=(0, 20), ylim=(0, 90), xticks=range(0, 21, 4), title="Michaelis-Menten curve")
    ax.set(xlabel="Substrate concentration [S] (mM)", ylabel="Reaction rate v (µmol/min)")
    return fig


@figure("enzyme-substrate-complex")
def enzyme_substrate_complex() -> Figure:
    """Draw an enzyme that binds its substrate and releases two products."""
    fig, ax = canvas()
    enzyme, substrate = "#9cc3e6", "#f6b26b"

    def piece(x: float, y: float, first: float, last: float, colour: str) -> None:
        ax.add_patch(Wedge((x, y), 6.5, first, last, fc=colour, ec=INK, lw=1.8))

    for x in (10, 32, 54):
        piece(x, 22, 125, 415, enzyme)
    piece(10, 29, 55, 125, substrate)
    piece(32, 22, 55, 125, substrate)
    piece(51.7, 30, 90, 125, substrate)
    piece(56.3, 30, 55, 90, substrate)
    arrow(ax, (18.5, 23.5), (23.5, 23.5))
    arrow(ax, (23.5, 21), (18.5, 21), GREY)
    arrow(ax, (40.5, 22.3), (45.5, 22.3))
    for x, text in ((21, "k₁"), (43, "k₂")):
        say(ax, x, 26, text, size=13)
    say(ax, 21, 18.5, "k₋₁", size=13)
    say(ax, 10, 38, "Substrate S", ORANGE, 12)
    say(ax, 54, 39, "Products P", ORANGE, 12)
    say(ax, 20, 33.5, "Active site", BLUE, 12)
    arrow(ax, (18, 32), (11.5, 25.5), BLUE, 1.4)
    for x, text in ((10, "Enzyme E"), (54, "Enzyme E,\nunchanged")):
        say(ax, x, 12.5, text, BLUE, 12)
    say(ax, 32, 12.5, "Enzyme-substrate\ncomplex ES", PURPLE, 12)
    say(ax, 32, 4.5, "E + S  ⇌  ES  →  E + P", size=15)
    return fig


@figure("logistic-growth")
def logistic_growth() -> Figure:
    """Draw logistic growth up to the carrying capacity beside exponential growth."""
    fig, ax = plt.subplots()
    t = np.linspace(0, 20, 400)
    ax.plot(t, 1000 / (1 + 49 * np.exp(-0.5 * t)), color=GREEN, lw=2.8)
    early = t[t < 7.9]
    ax.plot(early, 20 * np.exp(0.5 * early), color=RED, ls="--")
    ax.axhline(1000, color=GREY, ls=":", lw=1.8)
    fastest = 2 * np.log(49)
    ax.plot(fastest, 500, "o", color=PURPLE, ms=9)
    ax.text(9.2, 1022, "Carrying capacity K = 1000", color=INK)
    ax.text(6.4, 800, "exponential\n(no limit)", color=RED, ha="right")
    ax.text(12.6, 860, "logistic growth", color=GREEN)
    ax.text(8.6, 450, "fastest growth at N = K/2,\nt = 7.8 days", color=PURPLE, va="center")
    pointer = {"arrowstyle": "-|>", "color": INK}
    ax.annotate("start: N₀ = 20", (0.1, 25), (0.5, 330), arrowprops=pointer)
    ax.set(xlim=(0, 20), ylim=(0, 1150), xticks=range(0, 21, 4))
    ax.set(xlabel="Time t (days)", ylabel="Population size N")
    ax.set_title("Yeast cells in a flask, r = 0.5 per day")
    return fig


@figure("human-heart")
def human_heart() -> Figure:
    """Draw the chambers and valves of the heart, and the flow of blood between them."""
    fig, ax = canvas()
    ax.add_patch(
        FancyBboxPatch((14, 7.6), 36, 27.2, "round,pad=0,rounding_size=7", fc=PALE, ec=GREY, lw=1.5)
    )
    box(ax, (32, 40.8), (22, 4.6), "Lungs", "#f6e7ef")
    box(ax, (32, 3), (22, 4.6), "Body", SAND)
    for x, colour, fill, side in ((23, BLUE, SKY, "Right"), (41, RED, ROSE, "Left")):
        box(ax, (x, 29), (13, 7.6), f"{side}\natrium", fill, colour)
        box(ax, (x, 14.8), (13, 11), f"{side}\nventricle", fill, colour)
        arrow(ax, (x - 5, 25), (x - 5, 20.5), colour, 3)
        say(ax, x + 1.4, 22.8, "Tricuspid valve" if side == "Right" else "Mitral valve", size=8.5)
    vessels: list[tuple[str, list[Point]]] = [
        (BLUE, [(21, 3), (10, 3), (10, 29), (16.3, 29)]),
        (BLUE, [(29.6, 15), (32, 15), (32, 38.3)]),
        (RED, [(43, 40.8), (53.5, 40.8), (53.5, 29), (47.7, 29)]),
        (RED, [(47.6, 15), (53.5, 15), (53.5, 3), (43.2, 3)]),
    ]
    for colour, route in vessels:
        ax.plot(*np.transpose(route[:-1]), color=colour, lw=5, solid_joinstyle="round")
        arrow(ax, route[-2], route[-1], colour, 5)
    say(ax, 5, 18, "Vena\ncava", BLUE, 12)
    say(ax, 33.4, 36.6, "Pulmonary artery", BLUE, 10.5, "left")
    say(ax, 59.2, 35, "Pulmonary\nvein", RED, 11)
    say(ax, 59, 9, "Aorta", RED, 12)
    say(ax, 10, 41, "oxygen-poor blood", BLUE, 11)
    say(ax, 58.5, 22, "oxygen-rich\nblood", RED, 11)
    return fig
