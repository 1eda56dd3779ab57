"""Figures of the earth science cards."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon, Rectangle

from data.sample.draw.shapes import arrow, canvas, say
from data.sample.draw.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, figure

SKY = "#dbe9f6"


@figure("water-cycle")
def water_cycle() -> Figure:
    """Draw the water cycle between ocean, air and land."""
    fig, ax = canvas()
    ax.add_patch(Rectangle((0, 0), 64, 44, fc="#eaf4fb", ec="none"))
    ax.add_patch(Polygon([(36, 0), (40, 12.5), (64, 12.5), (64, 0)], fc="#7fb2dd", ec="none"))
    land = [(0, 0), (0, 22), (5, 26), (10, 31), (15, 24), (22, 18), (32, 14.5), (42, 12.5), (46, 0)]
    ax.add_patch(Polygon(land, fc="#b9a27c", ec="none"))
    ax.add_patch(Polygon([(0, 0), (0, 9), (20, 8), (44.6, 4.6), (46, 0)], fc="#8fb4cf", ec="none"))
    ax.add_patch(Polygon([(6.6, 27.6), (10, 31), (13, 26.9), (10, 27.6)], fc="white", ec="none"))
    river = np.array([(12.6, 27.3), (16, 23), (22, 18.3), (32, 14.8), (42, 12.6)])
    ax.plot(river[:, 0], river[:, 1], color=BLUE, lw=4)
    ax.add_patch(Circle((59, 39), 3.4, fc="#f8c537", ec=ORANGE, lw=2))
    for x, y in ((14, 38), (41, 39)):
        for dx, dy, r in ((-3.6, 0, 2.4), (0, 1, 3.2), (3.8, 0, 2.5)):
            ax.add_patch(Circle((x + dx, y + dy), r, fc="#c4ced8", ec="none"))
    for x in np.linspace(10, 16.4, 5).tolist():
        ax.plot([x, x - 1.2], [34.5, 31.5], color=BLUE, lw=1.8)
    for trunk in (27, 30, 33):
        ax.plot([trunk, trunk], [15.5, 18.5], color="#6b4f2a", lw=3)
        ax.add_patch(Circle((trunk, 19.6), 1.8, fc=GREEN, ec="none"))
    arrow(ax, (52, 13.5), (48.5, 34), ORANGE, 3, 0.1)
    arrow(ax, (31, 22), (36, 35.3), GREEN, 3, -0.1)
    arrow(ax, (34.5, 39.5), (21.5, 39.5), GREY, 3)
    arrow(ax, (15, 20), (15, 10), INK, 2.4)
    arrow(ax, (12, 4), (36, 3), BLUE, 3)
    say(ax, 58, 23, "Evaporation", ORANGE, 11)
    say(ax, 40, 24.6, "Transpiration", GREEN, 11)
    say(ax, 41, 39.4, "Condensation", INK, 10.5)
    say(ax, 27.5, 41.6, "Wind", INK, 11)
    say(ax, 18, 33, "Precipitation", BLUE, 11, "left")
    say(ax, 19, 24, "Run-off", BLUE, 11, "left")
    say(ax, 16, 13, "Infiltration", INK, 11, "left")
    say(ax, 23, 5.8, "Groundwater flow", INK, 11)
    say(ax, 55, 7, "Ocean", "white", 14)
    say(ax, 7, 17, "Land", "white", 14)
    return fig


@figure("plate-tectonics")
def plate_tectonics() -> Figure:
    """Draw plates that part at a mid-ocean ridge and sink at an ocean trench."""
    fig, ax = canvas()
    ax.add_patch(Rectangle((0, 0), 64, 27, fc="#f4c9a0", ec="none"))
    ax.add_patch(Rectangle((0, 27), 45, 7, fc="#a9cdea", ec="none"))
    west = [(0, 24), (0, 28.5), (11, 28.8), (17, 31.4), (17, 27), (11, 25)]
    slab = [(17, 31.4), (23, 28.8), (36, 28.5), (42, 27), (54, 9), (50, 6.4), (38, 23.6), (23, 25)]
    land = [(38.4, 28), (41, 31.5), (46, 34.5), (49.2, 38.5), (50.8, 38.5), (54, 34.5), (64, 34)]
    ax.add_patch(Polygon([(13, 15), (21, 15), (17.5, 31.2), (16.5, 31.2)], fc=RED, ec="none"))
    for plate in (west, [*slab, (17, 27)]):
        ax.add_patch(Polygon(plate, fc="#7d8794", ec=INK, lw=1.2))
    ax.add_patch(Polygon([(16.2, 26.8), (17.8, 26.8), (17, 31.2)], fc=RED, ec="none"))
    ax.add_patch(Polygon([*land, (64, 21), (46.2, 21)], fc="#b79a6b", ec=INK, lw=1.2))
    ax.plot([51, 50], [14.2, 38.4], color=RED, lw=3.5)
    arrow(ax, (12, 26.9), (4, 26.9), "white", 3)
    arrow(ax, (22, 26.9), (32, 26.9), "white", 3)
    for side in (1, -1):
        arrow(ax, (17 + 3 * side, 11.5), (17 + 11 * side, 20), ORANGE, 3, 0.35 * side)
    for x, y in ((43.4, 23.6), (46.4, 19), (49.2, 14.6)):
        ax.plot(x, y, marker="*", color="#f8e71c", ms=13, mec=INK, zorder=4)
    say(ax, 17, 37.5, "Mid-ocean ridge", INK, 12)
    arrow(ax, (17, 36.2), (17, 32), INK, 1.4)
    say(ax, 34, 41.4, "Ocean trench", INK, 12)
    arrow(ax, (35, 40), (38.2, 29), INK, 1.4)
    say(ax, 51, 41.2, "Volcanic arc", RED, 12)
    say(ax, 57.8, 28.5, "Continental\nplate", INK, 11)
    say(ax, 5, 31.5, "Ocean", BLUE, 12)
    say(ax, 32.5, 21.6, "Oceanic\nplate", INK, 11)
    say(ax, 37.5, 12.5, "Subducting\nslab", INK, 11)
    arrow(ax, (41.5, 14.4), (45, 16.4), INK, 1.4)
    say(ax, 17, 8, "Convection in the asthenosphere", INK, 11)
    say(ax, 17, 4.8, "(hot rock that flows slowly)", INK, 10)
    say(ax, 17, 17, "Magma", "white", 11)
    ax.plot(42, 3.4, marker="*", color="#f8e71c", ms=13, mec=INK)
    say(ax, 44, 3.4, "Earthquakes", INK, 11, "left")
    return fig


@figure("greenhouse-effect")
def greenhouse_effect() -> Figure:
    """Draw the energy fluxes between the sun, the atmosphere and the surface."""
    fig, ax = canvas()
    ax.add_patch(Rectangle((0, 16), 64, 12, fc=SKY, ec="none"))
    ax.add_patch(Rectangle((0, 0), 64, 5, fc="#7fae86", ec="none"))

    def flow(x: float, start: float, end: float, flux: float, colour: str) -> None:
        width, head = flux / 110, end + (2 if end < start else -2)
        ax.add_patch(Rectangle((x - width / 2, start), width, head - start, fc=colour))
        tip = [(x - width / 2 - 0.9, head), (x, end), (x + width / 2 + 0.9, head)]
        ax.add_patch(Polygon(tip, fc=colour))

    yellow, warm = "#f2b632", "#d9573f"
    flow(6, 40, 24, 340, yellow)
    flow(6, 24, 5, 160, yellow)
    flow(16, 22, 40, 100, yellow)
    flow(27, 5, 21, 103, PURPLE)
    flow(39, 5, 22, 398, warm)
    flow(54, 22, 5, 342, warm)
    flow(46, 25, 40, 239, warm)
    say(ax, 7, 42, "Sunlight 340", INK, 11)
    say(ax, 20, 42, "Reflected 100", INK, 11)
    say(ax, 46, 42, "Heat to space 239", INK, 11)
    arrow(ax, (6.6, 19.3), (10, 19.3), yellow, 2.4)
    say(ax, 10.6, 19.3, "Air absorbs 80", INK, 10, "left")
    say(ax, 8, 10, "Surface\nabsorbs 160", INK, 10, "left")
    say(ax, 26, 11, "Evaporation,\nconvection\n103", PURPLE, 10, "right")
    say(ax, 36.6, 11, "Surface\nemits\n398", RED, 10, "right")
    say(ax, 51.6, 11, "Air sends\nback\n342", RED, 10, "right")
    say(ax, 30, 25.6, "Atmosphere: CO₂, H₂O, CH₄", BLUE, 11)
    say(ax, 32, 2.5, "Earth's surface", "white", 13)
    say(ax, 31, 36, "Space", GREY, 12)
    say(ax, 31, 32, "fluxes in W/m²", INK, 11)
    return fig
