"""Does the whole system find a figure without a caption from its description?

    python -m benchmarks.text_to_figure

300 figures of a book are indexed as bare pictures: no caption, no alt text, a number for a name.
Their alt texts are the queries. `App.search` fuses what OCR read in a picture (words and sentence
vectors) with the cross-modal vector; either is asked alone too, through the same store. Then text
with a sketch of the figure, and the alt texts spoken by espeak-ng and heard by Whisper. Writes
results/text_to_figure.json.
"""

from __future__ import annotations

import json
import shutil
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

FIGURES, SPOKEN, SEED = 300, 60, 0
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
    ask: Callable[[int, SerFigure], Sequence[Item]], figures: Sequence[SerFigure]
) -> dict[str, Any]:
    return scores(np.array([rank(ask(i, f), i) for i, f in enumerate(figures)])).to_json()


def book(name: str, root: Path) -> dict[str, Any]:
    figures = sample(figures_of(CORPORA / name), FIGURES, SEED)
    pictures, sketches = root / "pictures", root / "sketches"
    pictures.mkdir()
    sketches.mkdir()
    gallery(figures, pictures)
    for i, figure in enumerate(figures):
        restyle(figure.open(), "sketch", figure.name, SEED).save(sketches / f"{i}.png")
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

        def heard(_: int, figure: SerFigure) -> list[Item]:
            return found(spoken(figure.words, lambda p: app.speech.transcribe(p).text))

        return {
            "book": name,
            "gallery": len(figures),
            "ocr": measure(alone(("text", "bm25")), figures),
            "cross_modal": measure(alone(("image",)), figures),
            "fused": measure(lambda _, f: found(f.words), figures),
            "sketch": measure(lambda i, _: found(images=[sketches / f"{i}.png"]), figures),
            "text_and_sketch": measure(
                lambda i, f: found(f.words, [sketches / f"{i}.png"]), figures
            ),
            "typed": measure(lambda _, f: found(f.words), figures[:SPOKEN]),
            "spoken": measure(heard, figures[:SPOKEN]),
        }


def main() -> None:
    rows = []
    for name in (DEVELOPMENT, *HELD_OUT):
        root = Path(tempfile.mkdtemp(prefix="unirag-"))
        try:
            rows.append(book(name, root))
        finally:
            shutil.rmtree(root)
        print(json.dumps(rows[-1], indent=1))
    about = describe(("torch", "qdrant-edge-py", "rapidocr", "faster-whisper"))
    results = {**about, "seed": SEED, "books": rows}
    (HERE / "results" / "text_to_figure.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
