"""An SER-style benchmark from any corpus: each figure asked for in words and in every query style.

After the SER dataset of Uni-Retrieval (arXiv 2502.05863, section 3): the gallery is every distinct
figure of a corpus, a query is one figure restyled (`data.styles`), or its alt text. All of it is
made from the corpus and a seed; nothing is downloaded.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from data.documents import Figure
from data.errors import BadInput
from data.pictures import digest_of, open_picture
from data.readers.scan import Rejected, scan

__all__ = ["SerFigure", "figures_of", "sample"]

_MINIMUM = 48  # pixels on the shorter side: below it stand icons and rules


@dataclass(frozen=True, slots=True)
class SerFigure:
    """A figure of the gallery. `name` is its picture's SHA-256: the same in every corpus."""

    name: str
    picture: Path | bytes
    caption: str
    alt: str
    title: str  # of the section that holds it

    @property
    def words(self) -> str:
        """Its text query: the alt text, which describes the picture; else the caption."""
        return self.alt or self.caption

    def open(self) -> Image.Image:
        return open_picture(self.picture)


def figures_of(path: Path) -> list[SerFigure]:
    """Every distinct figure of the corpus at `path`, in reading order.

    One picture used twice is one figure, with the first words that it is given. Raises `BadInput`
    where no figure is found.
    """
    found: dict[str, SerFigure] = {}
    for document in scan(path):
        if isinstance(document, Rejected):
            continue
        try:
            for event in document.read():
                if isinstance(event, Figure) and (figure := _figure(event, document.title)):
                    known = found.get(figure.name)
                    if known is None or (figure.words and not known.words):
                        found[figure.name] = figure
        except BadInput:  # `unirag index` reports it; a benchmark is made of what can be read
            continue
    if not found:
        raise BadInput(f"{path}: no figures found; expected a corpus with pictures")
    return list(found.values())


def sample(figures: Sequence[SerFigure], count: int, seed: int) -> list[SerFigure]:
    """At most `count` of the figures, in their order; the same ones for the same seed."""
    if len(figures) <= count:
        return list(figures)
    return [figures[i] for i in sorted(random.Random(seed).sample(range(len(figures)), count))]


def _figure(event: Figure, title: str) -> SerFigure | None:
    if event.picture is None:
        return None
    try:
        data = event.picture if isinstance(event.picture, bytes) else event.picture.read_bytes()
        picture = open_picture(data)
    except (BadInput, OSError):
        return None
    if min(picture.size) < _MINIMUM:
        return None
    clean = (re.sub(r"\s+", " ", text).strip() for text in (event.caption, event.alt))
    caption, alt = clean
    section = event.section[-1] if event.section else title
    return SerFigure(digest_of(data), event.picture, caption, alt, section)
