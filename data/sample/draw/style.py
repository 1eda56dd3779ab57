"""The common style of the sample figures, and the registry of the functions that draw them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

INK = "#1f2933"
BLUE = "#2166ac"
RED = "#c0392b"
GREEN = "#2e7d4f"
ORANGE = "#d97706"
PURPLE = "#6d4aa0"
GREY = "#8793a1"
PALE = "#eef2f6"

FIGURES: dict[str, Callable[[], Figure]] = {}
DESTINATION = Path(__file__).resolve().parent.parent / "figures"

plt.rcParams.update(
    {
        "figure.figsize": (6.4, 4.4),
        "figure.dpi": 100,
        "savefig.dpi": 100,
        "font.family": "DejaVu Sans",
        "font.size": 12,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.titlesize": 13,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "lines.linewidth": 2.2,
        "figure.constrained_layout.use": True,
        "svg.hashsalt": "unirag",
    }
)


def figure(name: str) -> Callable[[Callable[[], Figure]], Callable[[], Figure]]:
    """Register a function that draws `figures/<name>.png`."""

    def register(draw: Callable[[], Figure]) -> Callable[[], Figure]:
        if name in FIGURES:
            raise ValueError(f"figure {name!r} is drawn twice")
        FIGURES[name] = draw
        return draw

    return register


def save(name: str) -> Path:
    """Draw a figure and write it as a PNG without metadata, so that two runs give equal files."""
    fig = FIGURES[name]()
    path = DESTINATION / f"{name}.png"
    fig.savefig(path, metadata={"Software": None})
    plt.close(fig)
    return path
