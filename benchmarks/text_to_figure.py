"""Does the whole system find a figure without a caption from its description?

    python -m benchmarks.text_to_figure [BOOK...]

300 figures of a book are indexed as bare pictures: no caption, no alt text, a number for a name.
Their alt texts are the queries. `App.search` fuses what OCR read in a picture (words and sentence
vectors) with the cross-modal vector; either is asked alone too, through the same store. Then text
with a sketch of the figure, and the same with a picture in a style that the encoder never saw,
which the encoder alone finds less often than a sketch; and the alt texts spoken by espeak-ng and
heard by Whisper. Writes results/text_to_figure.json after each book; books that are in it are
measured again only when they are named.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encoder import CACHE, DEVELOPMENT, HELD_OUT
from benchmarks.environment import CORPORA, HERE, describe
from data.records import Item
from data.ser import SerFigure, figures_of, sample
from data.styles import restyle
from retrieval.evaluation import scores
from retrieval.store import ChannelQuery, Where
from unirag import config
from unirag.app import App
from unirag.evaluation import spoken

FIGURES, SEED = 300, 0
UNSEEN, UNSEEN_QUERIES = "halftone", 100
SPOKEN, SPOKEN_WORDS = 60, 60  # a minute of speech: nobody says a question of two
RESULTS = HERE / "results" / "text_to_figure.json"
_FIGURES_ONLY = Where(kinds=("figure",))


def gallery(figures: Sequence[SerFigure], folder: Path) -> None:
    for i, figure in enumerate(figures):
        data = figure.picture
        suffix = data.suffix if isinstance(data, Path) else ".png"
        raw = data.read_bytes() if isinstance(data, Path) else data
        (folder / f"{i:04}{suffix}").write_bytes(raw)


def rank(items: Sequence[Item], wanted: int) -> int:
    """The place of figure `wanted`, from 1; past the end where it is not among them."""
    names = [int(Path(item.source).stem) for item in items]
    return names.index(wanted) + 1 if wanted in names else FIGURES


def measure(
    ask: Callable[[int, SerFigure], Sequence[Item]], queries: Sequence[tuple[int, SerFigure]]
) -> dict[str, Any]:
    return scores(np.array([rank(ask(i, f), i) for i, f in queries])).to_json()


def book(name: str, root: Path) -> dict[str, Any]:
    figures = sample(figures_of(CORPORA / name), FIGURES, SEED)
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
    with App(config.load(home=root / "home")) as app:
        app.index([pictures])

        def alone(channels: tuple[str, ...]) -> Callable[[int, SerFigure], list[Item]]:
            def ask(_: int, figure: SerFigure) -> list[Item]:
                s = app.settings.search
                queries = [
                    ChannelQuery("text", app.text.encode_queries([figure.words])[0], s.text),
                    ChannelQuery("bm25", app.bm25.query(figure.words), s.bm25),
                    ChannelQuery("image", app.encoder.encode_text([figure.words])[0], 1.0),
                ]
                wanted = [q for q in queries if q.channel in channels]
                return [h.item for h in app.store.search(wanted, 20, _FIGURES_ONLY)]

            return ask

        def found(text: str = "", images: Sequence[Path] = ()) -> list[Item]:
            hits = app.search(text, images=images, limit=20, where=_FIGURES_ONLY).hits
            return [hit.item for hit in hits]

        def shown(style: str) -> Callable[[int, SerFigure], list[Item]]:
            return lambda i, _: found(images=[root / style / f"{i}.png"])

        def both(style: str) -> Callable[[int, SerFigure], list[Item]]:
            return lambda i, f: found(f.words, [root / style / f"{i}.png"])

        def typed(_: int, figure: SerFigure) -> list[Item]:
            return found(figure.words)

        def heard(_: int, figure: SerFigure) -> list[Item]:
            return found(spoken(figure.words, lambda p: app.speech.transcribe(p).text))

        every, some = list(enumerate(figures)), list(enumerate(figures[:UNSEEN_QUERIES]))
        said = short[:SPOKEN]
        return {
            "book": name,
            "gallery": len(figures),
            "ocr": measure(alone(("text", "bm25")), every),
            "cross_modal": measure(alone(("image",)), every),
            "fused": measure(typed, every),
            "sketch": measure(shown("sketch"), every),
            "text_and_sketch": measure(both("sketch"), every),
            "fused_for_unseen": measure(typed, some),
            UNSEEN: measure(shown(UNSEEN), some),
            f"text_and_{UNSEEN}": measure(both(UNSEEN), some),
            "typed": measure(typed, said),
            "spoken": measure(heard, said),
        }


def main(*books: str) -> None:
    known = json.loads(RESULTS.read_text())["books"] if RESULTS.exists() else []
    rows = {row["book"]: row for row in known if row["book"] not in books}
    for name in (DEVELOPMENT, *HELD_OUT):
        if name in rows:
            continue
        root = Path(tempfile.mkdtemp(prefix="unirag-"))
        try:
            rows[name] = book(name, root)
        finally:
            shutil.rmtree(root)
        print(json.dumps(rows[name], indent=1), flush=True)
        about = describe(("torch", "qdrant-edge-py", "rapidocr", "faster-whisper"))
        results = {**about, "seed": SEED, "books": list(rows.values())}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
