"""Read the figures of a corpus as the gallery of a retrieval benchmark.

The benchmark follows the SER dataset of Uni-Retrieval (arXiv 2502.05863, section 3): the gallery
holds every distinct figure of a corpus, and a query is a figure restyled (`data.styles`) or its alt
text. Corpus and seed determine everything; nothing is downloaded.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from data.documents import Figure
from data.errors import BadInput
from data.pictures import digest_of, open_picture
from data.readers.scan import Rejected, scan

__all__ = ["GalleryFigure", "read_gallery", "sample_figures"]

_MIN_SIDE = 48  # pixels; smaller pictures are icons and rules


@dataclass(frozen=True, slots=True)
class GalleryFigure:
    """A figure of the gallery.

    `name` is the SHA-256 of its picture, so it is the same in every corpus. `title` is the title of
    its section. `photo` is a query that a person made for the figure, if there is one, and
    `photo_style` the style of it, such as "drawing".
    """

    name: str
    picture: Path | bytes
    caption: str
    alt: str
    title: str
    photo: Path | None = None
    photo_style: str = ""

    @property
    def words(self) -> str:
        """The text query for the figure: its alt text, which describes it, or else its caption."""
        return self.alt or self.caption

    def open(self) -> Image.Image:
        """Decode the picture to RGB."""
        return open_picture(self.picture)


def read_gallery(path: Path) -> list[GalleryFigure]:
    """Return every distinct figure of the corpus at `path`, in reading order.

    A picture that is used several times becomes one figure, with the first caption or alt text
    found for it. Documents that cannot be read are left out. Raises `BadInput` if there is no
    figure.
    """
    figures: dict[str, GalleryFigure] = {}
    for document in scan(path):
        if isinstance(document, Rejected):
            continue
        try:
            for event in document.read():
                if isinstance(event, Figure) and (figure := _figure(event, document.title)):
                    earlier = figures.get(figure.name)
                    if earlier is None or (figure.words and not earlier.words):
                        figures[figure.name] = figure
        except BadInput:  # skip it; `unirag index` reports unreadable documents
            continue
    if not figures:
        raise BadInput(f"{path}: no figures found; expected a corpus with pictures")
    return list(figures.values())


def sample_figures(figures: Sequence[GalleryFigure], count: int, seed: int) -> list[GalleryFigure]:
    """Return at most `count` figures in their original order; `seed` determines the choice."""
    if len(figures) <= count:
        return list(figures)
    return [figures[i] for i in sorted(random.Random(seed).sample(range(len(figures)), count))]


def _figure(figure: Figure, document_title: str) -> GalleryFigure | None:
    """Return the figure, or None if its picture is missing, broken or too small."""
    if figure.picture is None:
        return None
    try:
        data = figure.picture if isinstance(figure.picture, bytes) else figure.picture.read_bytes()
        picture = open_picture(data)
    except (BadInput, OSError):
        return None
    if min(picture.size) < _MIN_SIDE:
        return None
    caption, alt = (" ".join(text.split()) for text in (figure.caption, figure.alt))
    title = figure.section[-1] if figure.section else document_title
    return GalleryFigure(digest_of(data), figure.picture, caption, alt, title)
