"""Does the whole system find a figure without a caption from its description?

    python -m benchmarks.text_to_figure [BOOK...] [--only typed,spoken]

300 figures of a book are indexed as bare pictures: no caption, no alt text, a number for a name.
Their alt texts are the queries. `App.search` fuses what OCR read in a picture (words and sentence
vectors) with the cross-modal vector; either is asked alone too, through the same store. Then text
with a sketch of the figure, and the same with a picture in a style that the encoder never saw,
which the encoder alone finds less often than a sketch; and the alt texts spoken by espeak-ng and
heard by Whisper. Writes results/text_to_figure.json after each book; books that are in it are
measured again only when they are named; `--only` measures these rows again and keeps the others.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encoder import CACHE, DEVELOPMENT, HELD_OUT
from benchmarks.environment import CORPORA, HERE, describe
from data.figure_gallery import GalleryFigure, read_gallery, sample_figures
from data.records import Item, QueryAudio
from data.styles import restyle
from retrieval.evaluation import score_ranks
from retrieval.store import ChannelQuery, Where
from unirag.app import App
from unirag.evaluation.retrieval import speak
from unirag.settings import load_settings

FIGURES, SEED = 300, 0
UNSEEN, UNSEEN_QUERIES = "halftone", 100
SPOKEN, SPOKEN_WORDS = 60, 60  # a minute of speech: nobody says a question of two
RESULTS = HERE / "results" / "text_to_figure.json"
Ask = Callable[[int, GalleryFigure], Sequence[Item]]
_FIGURES_ONLY = Where(kinds=("figure",))


def gallery(figures: Sequence[GalleryFigure], folder: Path) -> None:
    for i, figure in enumerate(figures):
        data = figure.picture
        suffix = data.suffix if isinstance(data, Path) else ".png"
        raw = data.read_bytes() if isinstance(data, Path) else data
        (folder / f"{i:04}{suffix}").write_bytes(raw)


def rank(items: Sequence[Item], wanted: int) -> int:
    """The place of figure `wanted`, from 1; past the end where it is not among them."""
    names = [int(Path(item.source).stem) for item in items]
    return names.index(wanted) + 1 if wanted in names else FIGURES


def measure(ask: Ask, queries: Sequence[tuple[int, GalleryFigure]]) -> dict[str, Any]:
    return score_ranks(np.array([rank(ask(i, f), i) for i, f in queries])).to_json()


def book(name: str, root: Path, only: Sequence[str]) -> dict[str, Any]:
    figures = sample_figures(read_gallery(CORPORA / name), FIGURES, SEED)
    pictures = root / "pictures"
    pictures.mkdir()
    gallery(figures, pictures)
    for style in ("sketch", UNSEEN):
        (root / style).mkdir()
        for i, figure in enumerate(figures if style == "sketch" else figures[:UNSEEN_QUERIES]):
            restyle(figure.open(), style, figure.name, SEED).save(root / style / f"{i}.png")
    short = [(i, f) for i, f in enumerate(figures) if len(f.words.split()) <= SPOKEN_WORDS]
    (root / "home").mkdir()
    (CACHE / "labels").mkdir(parents=True, exist_ok=True)  # OCR takes most of a first run
    (root / "home" / "labels.db").symlink_to(CACHE / "labels" / f"{name}.db")
    with App(load_settings(home=root / "home")) as app:
        app.index([pictures])

        def alone(channels: tuple[str, ...]) -> Callable[[int, GalleryFigure], list[Item]]:
            def ask(_: int, figure: GalleryFigure) -> list[Item]:
                s = app.settings.search
                queries = [
                    ChannelQuery("text", app.text.encode_queries([figure.words])[0], s.text),
                    ChannelQuery("bm25", app.bm25.encode_query(figure.words), s.bm25),
                    ChannelQuery("image", app.encoder.encode_text([figure.words])[0], 1.0),
                ]
                wanted = [q for q in queries if q.channel in channels]
                return [h.item for h in app.store.search(wanted, 20, _FIGURES_ONLY)]

            return ask

        def found(
            text: str = "", images: Sequence[Path] = (), audio: Sequence[QueryAudio] = ()
        ) -> list[Item]:
            asked = app.search(text, images=images, audio=audio, limit=20, where=_FIGURES_ONLY)
            return [hit.item for hit in asked.hits]

        def shown(style: str) -> Callable[[int, GalleryFigure], list[Item]]:
            return lambda i, _: found(images=[root / style / f"{i}.png"])

        def both(style: str) -> Callable[[int, GalleryFigure], list[Item]]:
            return lambda i, f: found(f.words, [root / style / f"{i}.png"])

        def typed(_: int, figure: GalleryFigure) -> list[Item]:
            return found(figure.words)

        def heard(_: int, figure: GalleryFigure) -> list[Item]:
            return found(audio=[QueryAudio(speak(figure.words))])

        every, some = list(enumerate(figures)), list(enumerate(figures[:UNSEEN_QUERIES]))
        said = short[:SPOKEN]
        rows: dict[str, tuple[Ask, Sequence[tuple[int, GalleryFigure]]]] = {
            "ocr": (alone(("text", "bm25")), every),
            "cross_modal": (alone(("image",)), every),
            "fused": (typed, every),
            "sketch": (shown("sketch"), every),
            "text_and_sketch": (both("sketch"), every),
            "fused_for_unseen": (typed, some),
            UNSEEN: (shown(UNSEEN), some),
            f"text_and_{UNSEEN}": (both(UNSEEN), some),
            "typed": (typed, said),
            "spoken": (heard, said),
        }
        measured = {row: measure(*rows[row]) for row in only or rows}
        return {"book": name, "gallery": len(figures), **measured}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("books", nargs="*", default=[])
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    asked = parser.parse_args()
    known = json.loads(RESULTS.read_text())["books"] if RESULTS.exists() else []
    rows = {row["book"]: row for row in known}
    for name in (DEVELOPMENT, *HELD_OUT):
        if name in rows and name not in asked.books:
            continue
        root = Path(tempfile.mkdtemp(prefix="unirag-"))
        try:
            kept = rows.get(name, {}) if asked.only else {}
            rows[name] = {**kept, **book(name, root, asked.only)}
        finally:
            shutil.rmtree(root)
        print(json.dumps(rows[name], indent=1), flush=True)
        about = describe(("torch", "qdrant-edge-py", "rapidocr", "faster-whisper"))
        results = {**about, "seed": SEED, "books": list(rows.values())}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
