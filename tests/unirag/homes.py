"""A home whose models are fakes, with an embedded store or on a server that several homes share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from qdrant_client import QdrantClient

from retrieval.encoder import unit
from retrieval.server import ServerStore
from retrieval.store import Point, Stamp, VectorStore
from tests.unirag.test_indexing import Thumbnails, WordCounts
from unirag.app import App
from unirag.settings import load_settings

__all__ = ["FakeApp", "Server", "SmallerThumbnails", "same", "write_book"]


class SmallerThumbnails(Thumbnails):
    """Another encoder: its vectors are of another width too."""

    name, width = "smaller-thumbnails", 48

    def encode_image(self, images: Sequence[Image.Image], style: str = "auto") -> np.ndarray:
        self.encoded += len(images)
        small = [np.asarray(i.resize((4, 4)), dtype=np.float32).ravel() - 127 for i in images]
        return unit(np.stack(small))

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        return np.zeros((len(texts), self.width), np.float32)


class Server:
    """A client of Qdrant in memory that stays when one of its stores is closed."""

    def __init__(self) -> None:
        self._client = QdrantClient(":memory:")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def close(self) -> None:
        pass


class FakeApp(App):
    encoder: Any = None
    text: Any = None

    def __init__(
        self, root: Path, encoder: type[Thumbnails] = Thumbnails, client: Any = None
    ) -> None:
        url = "http://127.0.0.1:9" if client else None  # which nobody asks
        super().__init__(load_settings(home=root, ocr=False, qdrant_url=url))
        self.encoder, self.text, self._client = encoder(), WordCounts(), client

    @property
    def names(self) -> tuple[str, str]:
        return self.encoder.name, self.text.name

    def open_store(self, stamp: Stamp | None, *, beside: bool = False) -> VectorStore:
        if self._client is None:
            return super().open_store(stamp, beside=beside)
        return ServerStore(self._client, "unirag", stamp, beside=beside)


def write_book(root: Path, figures: int = 3) -> Path:
    """A chapter for each figure, and one without, all of them read within a second or two."""
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


def same(one: Sequence[Point], other: Sequence[Point]) -> bool:
    """True; an assertion names the first point that differs by more than rounding."""
    ours, theirs = ({p.item.id: p for p in points} for points in (one, other))
    assert ours.keys() == theirs.keys()
    assert len(one) == len(other) == len(ours)
    for key, a in ours.items():
        b = theirs[key]
        assert a.item == b.item
        sparse = [dict(zip(p.bm25.indices, p.bm25.values, strict=True)) for p in (a, b)]
        assert sparse[0] == sparse[1], a.item
        for x, y in ((a.image, b.image), (a.text, b.text)):
            assert (x is None) == (y is None), a.item
            assert x is None or np.allclose(x, y, atol=1e-6), a.item
    return True
