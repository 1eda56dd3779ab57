"""Measure whether the whole system finds a figure without a caption from its description.

    python -m benchmarks.text_to_figure [BOOK...] [--only typed,spoken]

Indexes 300 figures of a book as bare pictures: no caption, no alt text, a number for a name. Their
alt texts are the queries. `App.search` fuses the text that OCR read in a picture (words and
sentence vectors) with the cross-modal vector. Each is also measured alone, through the same store.
Further rows combine the text with a sketch of the figure, or with a picture in a style that the
encoder never saw and finds less often than a sketch. The last rows compare alt texts that are typed
with the same texts spoken by espeak-ng and transcribed by Whisper.

Writes results/text_to_figure.json after each book. Books that it holds are measured again only if
they are named. `--only` measures the named rows again and keeps the others.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encoder import CACHE, DEVELOPMENT, HELD_OUT
from benchmarks.environment import CORPORA, RESULTS, describe, write_results
from data.figure_gallery import GalleryFigure, read_gallery, sample_figures
from data.records import Item, Query, QueryAudio, QueryImage
from data.styles import restyle
from retrieval.evaluation import score_ranks
from retrieval.store import ChannelQuery, Where
from unirag.app import App
from unirag.evaluation.retrieval import speak
from unirag.settings import load_settings

FIGURES, SEED, LIMIT = 300, 0, 20
UNSEEN_STYLE, UNSEEN_QUERIES = "halftone", 100
SPOKEN_QUERIES = 60
MAX_SPOKEN_WORDS = 60  # people do not speak longer questions
Search = Callable[[int, GalleryFigure], Sequence[Item]]  # number and figure -> hits
_FIGURES_ONLY = Where(kinds=("figure",))


@dataclass(frozen=True)
class FigureSearches:
    """The ways to search for a figure; `folder` holds the styled pictures of the figures."""

    app: App
    folder: Path

    def search(
        self, text: str = "", images: Sequence[Path] = (), audio: Sequence[QueryAudio] = ()
    ) -> list[Item]:
        """Search the whole system."""
        pictures = [QueryImage.from_file(path) for path in images]
        query = Query(text, images=pictures, audio=audio)
        result = self.app.search(query, limit=LIMIT, where=_FIGURES_ONLY)
        return [hit.item for hit in result.hits]

    def by_channels(self, *channels: str) -> Search:
        """Search by the description in some channels alone."""

        def search(_: int, figure: GalleryFigure) -> list[Item]:
            components, settings = self.app.components, self.app.settings.search
            words = figure.words
            queries = [
                ChannelQuery("text", components.text.encode_queries([words])[0], settings.text),
                ChannelQuery("bm25", components.bm25.encode_query(words), settings.bm25),
                ChannelQuery("image", components.encoder.encode_text([words])[0], 1.0),
            ]
            queries = [q for q in queries if q.channel in channels]
            return [h.item for h in components.store.search(queries, LIMIT, _FIGURES_ONLY)]

        return search

    def by_text(self, _: int, figure: GalleryFigure) -> list[Item]:
        """Search by the description."""
        return self.search(figure.words)

    def by_picture(self, style: str) -> Search:
        """Search by the figure in one style."""
        return lambda i, _: self.search(images=[self.folder / style / f"{i}.png"])

    def by_text_and_picture(self, style: str) -> Search:
        """Search by the description and the figure in one style."""
        return lambda i, f: self.search(f.words, [self.folder / style / f"{i}.png"])

    def by_speech(self, _: int, figure: GalleryFigure) -> list[Item]:
        """Search by the spoken description."""
        return self.search(audio=[QueryAudio(speak(figure.words))])


def write_gallery(figures: Sequence[GalleryFigure], folder: Path) -> None:
    """Write the pictures with their numbers for names."""
    folder.mkdir()
    for i, figure in enumerate(figures):
        picture = figure.picture
        suffix = picture.suffix if isinstance(picture, Path) else ".png"
        data = picture.read_bytes() if isinstance(picture, Path) else picture
        (folder / f"{i:04}{suffix}").write_bytes(data)


def rank_of(number: int, items: Sequence[Item]) -> int:
    """Return the rank of a figure among the hits, from 1; `FIGURES` if it is not among them."""
    numbers = [int(Path(item.source).stem) for item in items]
    return numbers.index(number) + 1 if number in numbers else FIGURES


def score(search: Search, queries: Sequence[tuple[int, GalleryFigure]]) -> dict[str, Any]:
    """Return the recall of one way to search."""
    ranks = [rank_of(number, search(number, figure)) for number, figure in queries]
    return score_ranks(np.array(ranks)).to_json()


def measure_book(name: str, root: Path, only: Sequence[str]) -> dict[str, Any]:
    """Measure all rows of a book, or the rows in `only`."""
    figures = sample_figures(read_gallery(CORPORA / name), FIGURES, SEED)
    pictures = root / "pictures"
    write_gallery(figures, pictures)
    for style in ("sketch", UNSEEN_STYLE):
        (root / style).mkdir()
        for i, figure in enumerate(figures if style == "sketch" else figures[:UNSEEN_QUERIES]):
            restyle(figure.open(), style, figure.name, SEED).save(root / style / f"{i}.png")
    (root / "home").mkdir()
    (CACHE / "labels").mkdir(parents=True, exist_ok=True)  # OCR takes most of a first run
    (root / "home" / "labels.db").symlink_to(CACHE / "labels" / f"{name}.db")
    with App.open(load_settings(home=root / "home")) as app:
        app.index([pictures])
        find = FigureSearches(app, root)
        queries = list(enumerate(figures))
        first = queries[:UNSEEN_QUERIES]
        short = [(i, f) for i, f in queries if len(f.words.split()) <= MAX_SPOKEN_WORDS]
        spoken = short[:SPOKEN_QUERIES]
        rows: dict[str, tuple[Search, Sequence[tuple[int, GalleryFigure]]]] = {
            "ocr": (find.by_channels("text", "bm25"), queries),
            "cross_modal": (find.by_channels("image"), queries),
            "fused": (find.by_text, queries),
            "sketch": (find.by_picture("sketch"), queries),
            "text_and_sketch": (find.by_text_and_picture("sketch"), queries),
            "fused_for_unseen": (find.by_text, first),
            UNSEEN_STYLE: (find.by_picture(UNSEEN_STYLE), first),
            f"text_and_{UNSEEN_STYLE}": (find.by_text_and_picture(UNSEEN_STYLE), first),
            "typed": (find.by_text, spoken),
            "spoken": (find.by_speech, spoken),
        }
        scores = {row: score(*rows[row]) for row in only or rows}
        return {"book": name, "gallery": len(figures), **scores}


def main() -> None:
    """Measure the books that are missing or named, and write the results after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("books", nargs="*", default=[])
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    options = parser.parse_args()
    path = RESULTS / "text_to_figure.json"
    stored = json.loads(path.read_text())["books"] if path.exists() else []
    rows = {row["book"]: row for row in stored}
    for name in (DEVELOPMENT, *HELD_OUT):
        if name in rows and name not in options.books:
            continue
        root = Path(tempfile.mkdtemp(prefix="unirag-"))
        try:
            unchanged = rows.get(name, {}) if options.only else {}
            rows[name] = {**unchanged, **measure_book(name, root, options.only)}
        finally:
            shutil.rmtree(root)
        print(json.dumps(rows[name], indent=1), flush=True)
        environment = describe(("torch", "qdrant-edge-py", "rapidocr", "faster-whisper"))
        results = {**environment, "seed": SEED, "books": list(rows.values())}
        write_results("text_to_figure", results)


if __name__ == "__main__":
    main()
