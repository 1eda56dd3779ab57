"""Measure how often the shipped encoder finds the figure behind a photo of a real drawing.

    python -m benchmarks.hand_drawn [--encoder FOLDER]

The drawings are those of the held-out writers of hdBPMN (a fifth of 86), whom the encoder never
saw. Each is ranked against all 573 clean figures, and against these with the figures of a textbook
beside them. A search takes the nearest of several readings of a photo (`data/paper.py`); beside
that stand the photo as it is and the cleaned drawing alone. Intervals are bootstraps over writers,
because one hand's drawings resemble each other. Writes results/hand_drawn.json and hand_drawn.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encoder import DRAWINGS, MODELS
from benchmarks.environment import BENCHMARKS, CORPORA, describe, short_commit, write_results
from data.drawing_pairs import DrawingPair, read_drawing_pairs, split_by_writer
from data.figure_gallery import read_gallery
from data.paper import readings_of
from retrieval.efficientnet import EfficientNetLite0
from retrieval.encoder import ORIGINAL, StyleDetection, Vectors
from retrieval.evaluation import rank_answers
from retrieval.model_card import SHIPPED_ENCODER
from retrieval.sentence_retriever import SentenceRetriever
from retrieval.uni_encoder import UniEncoder
from unirag.models.encoders import load_mini_encoder

TEXTBOOK = "openstax-physics"
RESAMPLES = 2000
LIBRARIES = ("torch", "timm", "opencv-python-headless")


def main() -> None:
    """Encode the drawings and the galleries, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", type=Path, default=SHIPPED_ENCODER)
    encoder = _load(parser.parse_args().encoder)
    pairs = read_drawing_pairs(DRAWINGS)
    _, held_out = split_by_writer(pairs)
    row_of = {pair.photo: row for row, pair in enumerate(pairs)}
    rows = [row_of[pair.photo] for pair in held_out]
    drawn_FD = encoder.encode_image([pair.figure.open() for pair in pairs], ORIGINAL)
    book_FD = encoder.encode_image([f.open() for f in read_gallery(CORPORA / TEXTBOOK)], ORIGINAL)
    photos = [pair.open_photo() for pair in held_out]
    readings = [encoder.encode_with_styles(readings_of(photo)) for photo in photos]
    queries = {
        "nearest reading (ships)": [vectors_RD for vectors_RD, _ in readings],
        "photo as it is": [vectors_RD[:1] for vectors_RD, _ in readings],
        "cleaned": [
            vectors_RD[1:2] if len(vectors_RD) > 1 else vectors_RD for vectors_RD, _ in readings
        ],
    }
    galleries = {
        f"{len(drawn_FD)} figures": drawn_FD,
        f"with {len(book_FD)} of {TEXTBOOK}": np.concatenate([drawn_FD, book_FD]),
    }
    table = {
        name: {
            gallery: _scores(
                np.stack([(v_RD @ gallery_FD.T).max(0) for v_RD in vectors]), rows, held_out
            )
            for gallery, gallery_FD in galleries.items()
        }
        for name, vectors in queries.items()
    }
    styles = [_detected(vectors_RD, detections, drawn_FD) for vectors_RD, detections in readings]
    results = {
        **describe(LIBRARIES),
        "encoder": encoder.name,
        "drawings": len(held_out),
        "writers": len({pair.writer for pair in held_out}),
        "table": table,
        "styles": {style: styles.count(style) for style in sorted(set(styles))},
    }
    write_results("hand_drawn", results)
    (BENCHMARKS / "hand_drawn.md").write_text(_markdown(results))
    print(_markdown(results))


def _load(folder: Path) -> UniEncoder:
    cnn = EfficientNetLite0(MODELS / "efficientnet-lite0")
    sentences = SentenceRetriever("all-minilm-l6-v2", MODELS / "all-minilm-l6-v2")
    return load_mini_encoder(folder, cnn, sentences, "cpu")


def _detected(
    vectors_RD: Vectors, detections: Sequence[StyleDetection], gallery_FD: Vectors
) -> str:
    """Return the style of the reading that lies nearest to a figure, as a search reports it."""
    shares = detections[int((vectors_RD @ gallery_FD.T).max(1).argmax())].styles
    return max(shares, key=lambda style: shares[style])


def _scores(similarity_QF: Vectors, rows: Sequence[int], pairs: Sequence[DrawingPair]) -> Any:
    """Return R@1, R@5 and R@10 in per cent, each with its 95 % interval over writers."""
    ranks = rank_answers(similarity_QF, rows)
    writers = np.array([pair.writer for pair in pairs])
    names = np.unique(writers)
    rng = np.random.default_rng(0)
    scores: dict[str, Any] = {}
    for k in (1, 5, 10):
        is_hit = ranks <= k
        counts = {name: (is_hit[writers == name].sum(), (writers == name).sum()) for name in names}
        means = []
        for _ in range(RESAMPLES):
            drawn = [counts[name] for name in rng.choice(names, len(names))]
            means.append(sum(hits for hits, _ in drawn) / sum(total for _, total in drawn))
        low, high = np.quantile(means, [0.025, 0.975])
        scores[f"r{k}"] = [round(100 * float(v), 1) for v in (is_hit.mean(), low, high)]
    return scores


def _markdown(results: dict[str, Any]) -> str:
    lines = [
        "# Finding the figure behind a real drawing",
        "",
        f"Made by `python -m benchmarks.hand_drawn`: {results['drawings']} photos of drawings on "
        f"paper by {results['writers']} held-out writers of "
        f"[hdBPMN](https://github.com/dwslab/hdBPMN) (CC BY 4.0), encoder {results['encoder']}. "
        "R@k in per cent with the 95 % interval of a bootstrap over writers. "
        f"Device: {results['device']}; commit {short_commit(results['commit'])}.",
        "",
        "| query | gallery | R@1 | R@5 | R@10 |",
        "|---|---|---|---|---|",
    ]
    for name, galleries in results["table"].items():
        for gallery, scores in galleries.items():
            cells = [f"{v[0]} ({v[1]} to {v[2]})" for v in scores.values()]
            lines.append(f"| {name} | {gallery} | {' | '.join(cells)} |")
    styles = ", ".join(f"{style} {count}" for style, count in results["styles"].items())
    return "\n".join([*lines, "", f"Styles detected: {styles}.", ""])


if __name__ == "__main__":
    main()
