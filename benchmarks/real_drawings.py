"""Measure whether photos of real drawings find the figures that they copy.

    python -m benchmarks.real_drawings [FOLDER] [--encoder DIR] [--book BOOK] [--made 200]

FOLDER holds `photos/` and `figures/`, as hdBPMN has them. The gallery holds the figures of all
writers; with `--book` those of a textbook too. The held-out writers are those of
`data.drawing_pairs.split_by_writer` with seed 0, on whom nothing may be trained. `--made` drawings
of the same figures in each drawn style tell how hard the made ones are beside the real ones.
Prints the scores; `--out` writes them as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.environment import HOME, SHARED, describe
from data.drawing_pairs import read_drawing_pairs, split_by_writer
from data.figure_gallery import read_gallery
from data.styles import REDRAWN_STYLES, STYLES, restyle
from retrieval.encoder import ORIGINAL, ImageEncoder, Vectors
from retrieval.evaluation import rank_answers, score_ranks
from unirag.app import App
from unirag.app.components import Components
from unirag.settings import load_settings

BATCH = 32


def main() -> None:
    """Measure one encoder; print a line per kind of query."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    folder = SHARED / "benchmarks" / "hand-drawn"
    parser.add_argument("folder", type=Path, nargs="?", default=folder)
    parser.add_argument("--encoder", type=Path, help="folder of a checkpoint; else the shipped one")
    parser.add_argument("--book", type=Path, help="a corpus whose figures join the gallery")
    parser.add_argument("--made", type=int, default=0, help="made drawings of each drawn style")
    parser.add_argument("--out", type=Path, help="JSON to write")
    arguments = parser.parse_args()
    settings = load_settings(home=HOME, encoder=arguments.encoder)
    encoder = App(Components(settings)).components.encoder
    results = measure(encoder, arguments.folder, arguments.book, arguments.made)
    if arguments.out:
        described = describe(("torch", "opencv-python-headless"))
        arguments.out.write_text(json.dumps({**results, **described}, indent=1) + "\n")


def measure(encoder: ImageEncoder, folder: Path, book: Path | None, made: int) -> dict[str, Any]:
    """Return the scores of the real drawings and, of each drawn style, of `made` ones."""
    pairs = read_drawing_pairs(folder)
    figures = [pair.figure for pair in pairs]
    others = read_gallery(book) if book else []
    gallery_FD = encode(encoder, (f.open() for f in [*figures, *others]), ORIGINAL)
    held_out = {pair.photo for pair in split_by_writer(pairs)[1]}
    rows: dict[str, Any] = {}

    def report(name: str, vectors_QD: Vectors, answers: list[int]) -> None:
        scores = score_ranks(rank_answers(vectors_QD @ gallery_FD.T, answers))
        rows[name] = scores.to_json()
        low, high = scores.r1_interval
        print(
            f"{name:42s} R@1 {scores.r1:5.1f} ({low:.1f} to {high:.1f})  R@5 {scores.r5:5.1f}  "
            f"{scores.queries} queries",
            flush=True,
        )

    photos_QD = encode(encoder, (pair.open_photo() for pair in pairs), "auto")
    report("real, all writers", photos_QD, list(range(len(pairs))))
    rows_out = [i for i, pair in enumerate(pairs) if pair.photo in held_out]
    report("real, held-out writers", photos_QD[rows_out], rows_out)
    chosen = sorted(random.Random(0).sample(range(len(pairs)), min(made, len(pairs))))
    for style in REDRAWN_STYLES if chosen else ():
        pictures = (restyle(figures[i].open(), style, figures[i].name, 0) for i in chosen)
        label = f"{style} (unseen)" if STYLES[style].unseen else style
        report(label, encode(encoder, pictures, "auto"), chosen)
    return {"encoder": encoder.name, "gallery": len(gallery_FD), "scores": rows}


def encode(encoder: ImageEncoder, pictures: Iterable[Image.Image], style: str) -> Vectors:
    """Encode pictures in batches."""
    source = iter(pictures)
    batches = iter(lambda: list(islice(source, BATCH)), [])
    return np.concatenate([encoder.encode_image(batch, style) for batch in batches])


if __name__ == "__main__":
    main()
