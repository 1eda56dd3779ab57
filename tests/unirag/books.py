"""A small book to index, and the comparison of what two workspaces stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from retrieval.store import Point

__all__ = ["same_points", "write_book"]


def write_book(root: Path, figures: int = 3) -> Path:
    """Write a chapter for each figure, and one without; a reader needs a second or two for all."""
    root.mkdir(parents=True)
    for n in range(figures):
        picture = Image.new("RGB", (60, 40), "white")
        ImageDraw.Draw(picture).rectangle((n, n, 2 * n + 9, n + 9), fill=(9 * n, 90, 30))
        picture.save(root / f"{n}.png")
        (root / f"chapter-{n}.md").write_text(
            f"# Chapter {n}\n\nLight bends {n} times, as Figure {n} shows.\n\n"
            f'![Rays]({n}.png "Figure {n}. A lens.")\n'
        )
    (root / "waves.md").write_text("# Waves\n\nA wave carries energy: \\(E \\sim A^2\\).\n")
    return root


def same_points(points: Sequence[Point], expected: Sequence[Point]) -> bool:
    """Return True, or fail with the first point that differs by more than rounding."""
    points_by_id, expected_by_id = ({p.item.id: p for p in group} for group in (points, expected))
    assert points_by_id.keys() == expected_by_id.keys()
    assert len(points) == len(expected) == len(points_by_id)
    for key, a in points_by_id.items():
        b = expected_by_id[key]
        assert a.item == b.item
        sparse = [dict(zip(p.bm25.indices, p.bm25.values, strict=True)) for p in (a, b)]
        assert sparse[0] == sparse[1], a.item
        for x, y in ((a.image, b.image), (a.text, b.text)):
            assert (x is None) == (y is None), a.item
            assert x is None or np.allclose(x, y, atol=1e-6), a.item
    return True
