"""Figures of the chemistry cards.

Diagrams are drawn on the board. Curves are computed from the equations of their card: exact charge
balance for the titrations, rate laws for the equilibrium.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, FancyBboxPatch, Polygon, Rectangle

from data.sample.draw.board import arrow, ball, board, line, note, polar
from data.sample.draw.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, RED, figure

Array = npt.NDArray[np.float64]
WATER = "#d6e6f4"


@figure("carbon-isotopes")
def carbon_isotopes() -> Figure:
    """Draw the nuclei and electron shells of carbon-12, carbon-13 and carbon-14."""
    fig, ax = board()
    isotopes = ((2.8, 6, "98.9 %"), (8, 7, "1.1 %"), (13.2, 8, "trace, radioactive"))
    for x, neutrons, abundance in isotopes:
        centre = (x, 7.6)
        for radius, electrons in ((1.55, 2), (2.35, 4)):
            ax.add_patch(Circle(centre, radius, fc="none", ec=GREY, lw=1.2, ls="--"))
            for k in range(electrons):
                ball(ax, polar(centre, 60 + 360 * k / electrons, radius), 0.2, BLUE, "−", 10)
        protons = {round(k * (6 + neutrons) / 6) for k in range(6)}
        for k in range(6 + neutrons):
            at = polar(centre, 137.5 * k, 0.32 * np.sqrt(k + 0.2))
            is_proton = k in protons
            ball(ax, at, 0.27, RED if is_proton else GREY, "+" if is_proton else "", 10)
        note(ax, (x, 4.5), f"carbon-{6 + neutrons}", weight="bold")
        note(ax, (x, 3.2), f"6 protons\n{neutrons} neutrons\n{abundance}", size=11, linespacing=1.3)
    for x, colour, mark, words in (
        (2.2, RED, "+", "proton"),
        (6.6, GREY, "", "neutron"),
        (11.0, BLUE, "−", "electron in a shell"),
    ):
        ball(ax, (x, 1.0), 0.27, colour, mark, 10)
        note(ax, (x + 0.6, 1.0), words, ha="left")
    return fig


@figure("chlorine-mass-spectrum")
def chlorine_mass_spectrum() -> Figure:
    """Draw the mass spectrum of chlorine's two isotopes and their average mass."""
    fig, ax = plt.subplots()
    for mass, percent, name in ((34.97, 75.8, "chlorine-35"), (36.97, 24.2, "chlorine-37")):
        ax.bar(mass, percent, width=0.14, color=BLUE)
        note(ax, (mass, percent + 7), f"{name}\n{percent} %", BLUE, size=11)
    ax.axvline(35.45, color=RED, ls="--")
    note(ax, (35.55, 55), "average 35.45 u:\nrelative atomic mass", RED, ha="left")
    ax.set(xlim=(34, 38), ylim=(0, 95), xticks=[34, 35, 36, 37, 38])
    ax.set(xlabel="mass of the atom (u)", ylabel="abundance (%)")
    return fig


@figure("water-dot-and-cross")
def water_dot_and_cross() -> Figure:
    """Draw the shared and lone electron pairs of a water molecule."""
    fig, ax = board()
    oxygen = (8.0, 6.4)
    ax.add_patch(Circle(oxygen, 2.7, fc="#fae3df", ec=RED, lw=2, alpha=0.9))
    for angle in (217.75, 322.25):
        hydrogen = polar(oxygen, angle, 3.7)
        ax.add_patch(Circle(hydrogen, 1.75, fc=WATER, ec=BLUE, lw=2, alpha=0.6))
        note(ax, polar(oxygen, angle, 4.2), "H", BLUE, size=20, weight="bold")
        shared = polar(oxygen, angle, 2.32)
        ax.plot(*polar(shared, angle + 90, 0.3), "x", color=BLUE, ms=10, mew=2.5)
        ax.plot(*polar(shared, angle - 90, 0.3), "o", color=RED, ms=9)
    note(ax, (8, 6.6), "O", RED, size=24, weight="bold")
    for angle in (55, 125):
        for turn in (-8, 8):
            ax.plot(*polar(oxygen, angle + turn, 2.1), "o", color=RED, ms=9)
        arrow(ax, (8, 10.1), polar(oxygen, angle, 2.45), GREY, "-")
    note(ax, (8, 10.4), "lone pairs")
    ax.add_patch(Arc(oxygen, 2.6, 2.6, theta1=217.75, theta2=322.25, color=INK, lw=1.5))
    note(ax, (8, 4.7), "104.5°")
    note(ax, (2.2, 8.2), "shared pair:\na covalent bond")
    arrow(ax, (2.9, 7.5), (5.7, 5.3), GREY)
    ax.plot(5.1, 0.8, "o", color=RED, ms=9)
    note(ax, (5.4, 0.8), "electron of oxygen", ha="left", size=11)
    ax.plot(10.3, 0.8, "x", color=BLUE, ms=10, mew=2.5)
    note(ax, (10.6, 0.8), "electron of hydrogen", ha="left", size=11)
    return fig


@figure("water-hydrogen-bonds")
def water_hydrogen_bonds() -> Figure:
    """Draw the hydrogen bonds between four water molecules."""
    fig, ax = board()
    molecules = (((8.0, 5.7), 270), ((11.2, 3.2), 322), ((4.8, 3.2), 218), ((5.7, 9.1), 352))
    for oxygen, facing in molecules:
        for angle in (facing - 52.25, facing + 52.25):
            hydrogen = polar(oxygen, angle, 1.35)
            line(ax, oxygen, hydrogen, lw=5, zorder=2)
            ball(ax, hydrogen, 0.48, BLUE, "δ+", 10)
        ball(ax, oxygen, 0.78, RED, "O δ−", 11)
    for start, angle, length in (((8.0, 5.7), 322, 4.06), ((8.0, 5.7), 218, 4.06)):
        line(ax, polar(start, angle, 1.85), polar(start, angle, length - 0.8), colour=GREEN, ls=":")
    line(ax, polar((5.7, 9.1), 300, 1.85), polar((8.0, 5.7), 124, 0.8), colour=GREEN, ls=":")
    note(ax, (12.3, 5.9), "hydrogen bond\n(between molecules)", GREEN)
    arrow(ax, (11.2, 5.2), (10.3, 4.2), GREEN)
    note(ax, (3.0, 6.3), "covalent O–H bond\n(inside a molecule)")
    arrow(ax, (3.0, 5.6), (3.95, 3.85), INK)
    note(ax, (12.1, 9.3), "δ− small negative charge\nδ+ small positive charge", size=11)
    return fig


@figure("ph-scale")
def ph_scale() -> Figure:
    """Draw the pH scale with everyday liquids and their concentrations of hydrogen ions."""
    fig, ax = board()
    stops = ("#c0392b", "#e67e22", "#f1c40f", "#4caf50", "#2e86c1", "#3f51b5", "#5b2c83")
    colours = LinearSegmentedColormap.from_list("indicator", stops)
    for step in range(15):
        x = 0.5 + step
        ax.add_patch(Rectangle((x, 4.9), 1, 1.4, fc=colours(step / 14), ec="white", lw=1.5))
        note(ax, (x + 0.5, 5.6), str(step), "white", weight="bold", size=13)
    for value, height, words in (
        (1, 8.4, "stomach\nacid"),
        (2.4, 7.3, "lemon juice"),
        (5, 8.2, "black\ncoffee"),
        (7, 7.5, "pure\nwater"),
        (8.1, 8.8, "sea water"),
        (11.5, 7.3, "ammonia"),
        (13.5, 8.6, "drain\ncleaner"),
    ):
        line(ax, (1 + value, 6.35), (1 + value, height - 0.55), colour=GREY, lw=1.4)
        note(ax, (1 + value, height), words, size=11)
    arrow(ax, (6.6, 10.2), (1.0, 10.2), RED)
    note(ax, (4.0, 10.6), "more acidic", RED)
    arrow(ax, (9.4, 10.2), (15.0, 10.2), PURPLE)
    note(ax, (12.2, 10.6), "more basic", PURPLE)
    note(ax, (8, 10.4), "neutral", GREEN)
    for value in (0, 3, 7, 11, 14):
        power = str(-value).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        line(ax, (1 + value, 4.85), (1 + value, 4.3), colour=GREY, lw=1.4)
        note(ax, (1 + value, 3.8), f"10{power}")
    note(ax, (8, 2.8), "concentration of hydrogen ions [H⁺] (mol/L)")
    note(ax, (8, 1.3), "one step of pH: [H⁺] changes ten times", BLUE)
    return fig


@figure("titration-curves")
def titration_curves() -> Figure:
    """Draw the pH of a strong and of a weak acid while sodium hydroxide is added."""
    fig, ax = plt.subplots()
    ph = np.linspace(0.9, 12.8, 3000)
    hydrogen = 10.0**-ph
    excess = hydrogen - 1e-14 / hydrogen
    strong = ("hydrochloric acid (strong)", 1e6, RED, (13.2, 0.5))
    weak = ("ethanoic acid\n(weak)", 1.8e-5, BLUE, (6.6, 5.6))
    for name, ka, colour, position in (strong, weak):
        charged = ka / (ka + hydrogen)
        base = 25 * (0.1 * charged - excess) / (0.1 + excess)
        in_range = (base >= 0) & (base <= 50)
        ax.plot(base[in_range], ph[in_range], color=colour)
        note(ax, position, name, colour, size=11)
    for at, colour, words, place in (
        ((25, 7.0), RED, "equivalence point\npH 7.0", (33.5, 6.2)),
        ((25, 8.72), BLUE, "equivalence point\npH 8.7", (15.0, 9.5)),
        ((12.5, 4.74), BLUE, "half-way:\npH = pKa = 4.7", (17.5, 3.4)),
    ):
        ax.plot(*at, "o", color=colour, ms=9)
        note(ax, place, words, colour, size=11)
    ax.axvline(25, color=GREY, ls=":", lw=1.3)
    ax.set(xlim=(0, 50), ylim=(0, 14), yticks=range(0, 15, 2), ylabel="pH in the flask")
    ax.set_xlabel("volume of 0.100 mol/L NaOH added (mL)")
    return fig


@figure("titration-apparatus")
def titration_apparatus() -> Figure:
    """Draw a burette on its stand above the conical flask."""
    fig, ax = board()
    ax.add_patch(Rectangle((3.4, 0.4), 6.6, 0.35, fc=GREY, ec=INK))
    ax.add_patch(Rectangle((4.0, 0.75), 0.22, 9.8, fc=GREY, ec=INK))
    ax.add_patch(Rectangle((4.0, 8.0), 3.6, 0.25, fc=GREY, ec=INK))
    ax.add_patch(Rectangle((7.2, 5.3), 0.7, 4.1, color=WATER))
    line(ax, (7.2, 10.4), (7.2, 5.3), (7.45, 4.9), (7.45, 4.0), lw=1.8)
    line(ax, (7.9, 10.4), (7.9, 5.3), (7.65, 4.9), (7.65, 4.0), lw=1.8)
    for tick in np.arange(5.6, 10.3, 0.3):
        line(ax, (7.2, tick), (7.42, tick), lw=1.2)
    ax.add_patch(Rectangle((7.0, 4.4), 1.1, 0.3, fc=ORANGE, ec=INK, zorder=3))
    ball(ax, (7.55, 3.7), 0.12, BLUE)
    flask = [(7.1, 3.9), (7.1, 2.9), (5.6, 0.8), (9.5, 0.8), (8.0, 2.9), (8.0, 3.9)]
    ax.add_patch(Polygon([(6.3, 1.8), (5.6, 0.8), (9.5, 0.8), (8.8, 1.8)], color="#f6c9da"))
    line(ax, *flask, lw=2)
    for y, x, words in (
        (9.0, 8.0, "burette, 0.100 mol/L\nsodium hydroxide"),
        (6.6, 8.0, "scale in mL: read at\nthe bottom of the meniscus"),
        (4.55, 8.2, "tap"),
        (3.3, 8.1, "conical flask"),
        (1.5, 8.9, "acid and phenolphthalein:\nfaint pink at the end point"),
    ):
        line(ax, (x, y), (10.3, y), colour=GREY, lw=1.3)
        note(ax, (10.5, y), words, ha="left", size=11)
    note(ax, (2.0, 8.1), "clamp", size=11)
    line(ax, (2.8, 8.1), (3.9, 8.1), colour=GREY, lw=1.3)
    note(ax, (2.0, 0.6), "stand", size=11)
    line(ax, (2.8, 0.6), (3.3, 0.6), colour=GREY, lw=1.3)
    return fig


@figure("equilibrium-disturbed")
def equilibrium_disturbed() -> Figure:
    """Draw the concentrations in ammonia synthesis before and after hydrogen is added."""
    fig, ax = plt.subplots()
    step, concentrations = 0.01, [[0.5, 1.0, 0.5]]
    for tick in range(1, 6000):
        nitrogen, hydrogen, ammonia = concentrations[-1]
        if tick == 2000:
            hydrogen += 0.5
        rate = 0.02 * (nitrogen * hydrogen**3 - ammonia**2 / 0.5) * step
        concentrations.append([nitrogen - rate, hydrogen - 3 * rate, ammonia + 2 * rate])
    minutes = np.arange(6000) * step
    names = (("H₂", ORANGE), ("NH₃", BLUE), ("N₂", GREEN))
    for (name, colour), column in zip(names, (1, 2, 0), strict=True):
        values = np.array(concentrations)[:, column]
        ax.plot(minutes, values, color=colour)
        note(ax, (60.8, values[-1]), f"{name}  {values[-1]:.2f}", colour, ha="left")
    ax.axvline(20, color=GREY, ls=":")
    note(ax, (21, 1.62), "hydrogen added: [H₂] jumps to 1.50", ORANGE, ha="left", size=11)
    note(ax, (10, 0.2), "first equilibrium", size=11)
    note(ax, (40, 0.2), "shifts towards NH₃\nuntil Q = Kc again", size=11)
    ax.set(xlim=(0, 72), ylim=(0, 1.75), xticks=range(0, 61, 10))
    ax.set(xlabel="time (min)", ylabel="concentration (mol/L)")
    return fig


@figure("le-chatelier-shifts")
def le_chatelier_shifts() -> Figure:
    """Draw the direction in which five changes shift the ammonia equilibrium."""
    fig, ax = board()
    note(ax, (8, 10.1), "N₂ + 3 H₂  ⇌  2 NH₃     ΔH = −92 kJ/mol", size=15)
    rows = (
        ("add N₂ or H₂", 1, "to the right: uses up what was added"),
        ("remove NH₃", 1, "to the right: replaces it"),
        ("raise the pressure", 1, "to the right: 4 mol gas become 2 mol"),
        ("raise the temperature", -1, "to the left: the endothermic way"),
        ("add a catalyst", 0, "no shift: equilibrium sooner"),
    )
    for row, (change, way, words) in enumerate(rows):
        y = 8.1 - 1.65 * row
        colour = {1: GREEN, -1: RED, 0: GREY}[way]
        box = "round,pad=0,rounding_size=0.3"
        ax.add_patch(FancyBboxPatch((0.4, y - 0.55), 5.2, 1.1, box, fc=PALE, ec=GREY))
        note(ax, (3.0, y), change, size=11)
        ends = ((6.1, y), (7.3, y)) if way >= 0 else ((7.3, y), (6.1, y))
        arrow(ax, *ends, colour, "-|>" if way else "-")
        note(ax, (7.6, y), words, colour, ha="left", size=11)
    return fig


def _ease(x: Array, first: float, last: float) -> Array:
    """Return 0 up to `first`, 1 from `last` on, and a smooth transition between them."""
    return (1 - np.cos(np.pi * np.clip((x - first) / (last - first), 0, 1))) / 2


@figure("reaction-energy-profile")
def reaction_energy_profile() -> Figure:
    """Draw the energy during a reaction, with and without a catalyst."""
    fig, ax = plt.subplots()
    x = np.linspace(0, 10, 500)
    for peak, colour in ((75, RED), (49, GREEN)):
        ax.plot(x, peak * _ease(x, 1.6, 5) - (peak + 98) * _ease(x, 5, 8), color=colour)
    arrow(ax, (2.2, 0), (2.2, 75), RED, "<|-|>")
    line(ax, (2.0, 75), (5, 75), colour=RED, lw=1, ls=":")
    note(ax, (2.05, 52), "Ea = 75\nkJ/mol", RED, ha="right", size=11)
    note(ax, (5.2, 86), "transition state, without catalyst", RED, size=11)
    arrow(ax, (5, 0), (5, 48), GREEN, "<|-|>")
    note(ax, (6.3, 52), "with platinum:\nEa = 49 kJ/mol", GREEN, ha="left", size=11)
    line(ax, (1.6, 0), (9.4, 0), colour=GREY, lw=1, ls="--")
    arrow(ax, (9.2, 0), (9.2, -98), PURPLE)
    note(ax, (9.05, -45), "ΔH =\n−98 kJ/mol", PURPLE, ha="right", size=11)
    note(ax, (0.1, -13), "reactants: H₂O₂", ha="left", size=11)
    note(ax, (7.8, -110), "products: H₂O + ½ O₂", size=11)
    ax.set(xlim=(0, 10), ylim=(-122, 96), xticks=[], xlabel="progress of the reaction")
    ax.set_ylabel("energy (kJ/mol)")
    return fig


@figure("molecular-energies")
def molecular_energies() -> Figure:
    """Draw the energies of molecules at two temperatures and the activation energy."""
    fig, ax = plt.subplots()
    energy = np.linspace(0, 20, 500)  # kJ/mol
    for kelvin, colour in ((300, BLUE), (400, RED)):
        heat = 8.314e-3 * kelvin
        share = 2 * np.sqrt(energy / np.pi) * heat**-1.5 * np.exp(-energy / heat)
        ax.plot(energy, share, color=colour)
        beyond = energy >= 10
        ax.fill_between(energy[beyond], share[beyond], color=colour, alpha=0.35, lw=0)
    note(ax, (3.6, 0.178), "300 K", BLUE)
    note(ax, (5.8, 0.125), "400 K", RED)
    ax.axvline(10, ymax=0.72, color=INK, ls="--")
    note(ax, (10, 0.155), "activation energy Ea\n(10 kJ/mol here)", size=11)
    note(ax, (14.8, 0.085), "molecules with enough\nenergy to react", size=11)
    arrow(ax, (13.5, 0.07), (11.4, 0.016), GREY)
    ax.set(xlim=(0, 20), ylim=(0, 0.2), yticks=(0, 0.1, 0.2), xticks=range(0, 21, 5))
    ax.set(xlabel="kinetic energy (kJ/mol)", ylabel="share of molecules (per kJ/mol)")
    return fig


@figure("galvanic-cell")
def galvanic_cell() -> Figure:
    """Draw a zinc-copper cell with its salt bridge, voltmeter and moving charges."""
    fig, ax = board()
    for x, colour in ((4.0, "#e3e8ec"), (12.0, "#bcdcf5")):
        ax.add_patch(Rectangle((x - 2.3, 1.5), 4.6, 3.6, color=colour))
        line(ax, (x - 2.3, 5.9), (x - 2.3, 1.5), (x + 2.3, 1.5), (x + 2.3, 5.9), lw=2.5)
    bridge = [(5.4, 3.4), (5.4, 6.6), (10.6, 6.6), (10.6, 3.4)]
    line(ax, *bridge, colour=GREY, lw=15, solid_joinstyle="round", zorder=2)
    line(ax, *bridge, colour="#fbf3d5", lw=11, solid_joinstyle="round", zorder=2)
    for x, colour in ((3.0, "#9aa5b1"), (13.0, "#c77b4a")):
        ax.add_patch(Rectangle((x - 0.35, 2.3), 0.7, 5.2, fc=colour, ec=INK, zorder=3))
    line(ax, (3.0, 7.5), (3.0, 9.2), (13.0, 9.2), (13.0, 7.5))
    ax.add_patch(Circle((8, 9.2), 0.95, fc="white", ec=INK, lw=2, zorder=3))
    note(ax, (8, 9.2), "1.10 V", size=11, zorder=4)
    for x in (4.2, 10.2):
        arrow(ax, (x, 9.2), (x + 1.6, 9.2), BLUE)
        note(ax, (x + 0.8, 9.7), "electrons", BLUE, size=11)
    note(ax, (8, 10.5), "voltmeter", size=11)
    note(ax, (8, 7.25), "salt bridge KNO₃", size=11)
    arrow(ax, (6.9, 6.6), (5.8, 6.6), PURPLE)
    arrow(ax, (9.1, 6.6), (10.2, 6.6), ORANGE)
    note(ax, (7.0, 5.8), "NO₃⁻", PURPLE, size=11)
    note(ax, (9.1, 5.8), "K⁺", ORANGE, size=11)
    note(ax, (2.4, 7.1), "zinc\nanode (−)", ha="right", size=11)
    note(ax, (13.6, 7.1), "copper\ncathode (+)", ha="left", size=11)
    note(ax, (4.8, 2.0), "Zn²⁺, SO₄²⁻", ha="center", size=11)
    note(ax, (11.2, 2.0), "Cu²⁺, SO₄²⁻", ha="center", size=11)
    note(ax, (4.0, 0.7), "oxidation: Zn → Zn²⁺ + 2e⁻", RED, size=11)
    note(ax, (12.0, 0.7), "reduction: Cu²⁺ + 2e⁻ → Cu", GREEN, size=11)
    return fig


# Covalent radii in pm of the main groups 1, 2, 13 to 17, periods 2 to 4 (Cordero and others, 2008)
RADII = (
    ("Li 128", "Be 96", "B 84", "C 76", "N 71", "O 66", "F 57"),
    ("Na 166", "Mg 141", "Al 121", "Si 111", "P 107", "S 105", "Cl 102"),
    ("K 203", "Ca 176", "Ga 122", "Ge 120", "As 119", "Se 120", "Br 120"),
)


@figure("atomic-radii")
def atomic_radii() -> Figure:
    """Draw atoms of the main groups to scale, by group and period."""
    fig, ax = board()
    for column, group in enumerate((1, 2, 13, 14, 15, 16, 17)):
        note(ax, (2.9 + 2.0 * column, 9.2), str(group), GREY)
    for row, names in enumerate(RADII):
        note(ax, (0.9, 7.6 - 2.65 * row), f"period\n{row + 2}", GREY, size=11)
        for column, (symbol, radius) in enumerate(name.split() for name in names):
            at, size = (2.9 + 2.0 * column, 7.6 - 2.65 * row), int(radius) / 210
            shade = (BLUE, GREEN, PURPLE)[row]
            ax.add_patch(Circle(at, size, color=shade, lw=0))
            note(ax, at, symbol, "white", size=9 if size < 0.4 else 11)
            note(ax, (at[0], at[1] - size - 0.3), radius, size=10)
    note(ax, (0.9, 9.2), "group", GREY, size=11)
    arrow(ax, (2.2, 10.0), (15.6, 10.0))
    note(ax, (9, 10.5), "radius falls across a period", size=11)
    note(ax, (8, 0.35), "covalent radius in picometres (pm); it grows down a group", size=11)
    return fig


# First ionisation energies in kJ/mol of the elements 1 to 20
IONISATION = (
    *(("H", 1312), ("He", 2372), ("Li", 520), ("Be", 900), ("B", 801), ("C", 1086), ("N", 1402)),
    *(("O", 1314), ("F", 1681), ("Ne", 2081), ("Na", 496), ("Mg", 738), ("Al", 578), ("Si", 787)),
    *(("P", 1012), ("S", 1000), ("Cl", 1251), ("Ar", 1521), ("K", 419), ("Ca", 590)),
)


@figure("first-ionisation-energy")
def first_ionisation_energy() -> Figure:
    """Draw the first ionisation energy of the elements 1 to 20."""
    fig, ax = plt.subplots()
    number, energy = np.arange(1, 21), [value for _, value in IONISATION]
    ax.plot(number, energy, color=BLUE, marker="o", ms=7)
    for z, (symbol, value) in enumerate(IONISATION, 1):
        noble, alkali = symbol in ("He", "Ne", "Ar"), symbol in ("Li", "Na", "K")
        below = alkali or symbol in ("H", "B", "O", "Al", "S")
        rising = symbol in ("C", "F", "Si", "Cl")
        colour = RED if noble else ORANGE if alkali else INK
        shift = (-0.5, 50) if rising else (0, -130 if below else 120)
        note(ax, (z + shift[0], value + shift[1]), symbol, colour, size=11)
    note(ax, (6.4, 2350), "noble gases: maxima", RED)
    note(ax, (7.5, 130), "alkali metals: minima", ORANGE)
    ax.set(xlim=(0, 21), ylim=(0, 2600), xticks=range(2, 21, 2))
    ax.set(xlabel="atomic number Z", ylabel="first ionisation energy (kJ/mol)")
    return fig
