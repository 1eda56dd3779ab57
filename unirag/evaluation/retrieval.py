"""Measure retrieval: does a query in any style find its figure among all figures of a corpus?

Used by `unirag eval retrieval`. Q queries, F figures of the gallery, D width.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import Missing
from data.figure_gallery import GalleryFigure, read_gallery, sample_figures
from data.paper import readings_of
from data.styles import STYLES, restyle
from retrieval.encoder import ORIGINAL, ImageEncoder, Vectors
from retrieval.evaluation import Scores, rank_answers, score_ranks

__all__ = [
    "SPOKEN",
    "TEXT",
    "TEXT_AND_SKETCH",
    "RetrievalEvaluation",
    "evaluate_retrieval",
    "speak",
]

TEXT, SPOKEN, TEXT_AND_SKETCH = "text", "spoken", "text+sketch"
_BATCH = 32
_SPEAK_SECONDS = 60  # limit for one recording


@dataclass(frozen=True)
class RetrievalEvaluation:
    """The scores of each kind of query, over a gallery of `gallery` figures."""

    corpus: str
    encoder: str
    gallery: int
    seed: int
    scores: dict[str, Scores]

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return {
            "corpus": self.corpus,
            "encoder": self.encoder,
            "gallery": self.gallery,
            "seed": self.seed,
            "scores": {name: scores.to_json() for name, scores in self.scores.items()},
        }


def evaluate_retrieval(
    path: Path,
    encoder: ImageEncoder,
    *,
    styles: Sequence[str] = tuple(STYLES),
    queries: int = 300,
    seed: int = 0,
    transcribe: Callable[[bytes], str] | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> RetrievalEvaluation:
    """Search for a random sample of `queries` figures among all figures of the corpus at `path`.

    Each figure is searched for by a picture in each of `styles`, by its alt text, and by alt text
    and sketch together. With `transcribe` it is also searched for by the transcript of its alt
    text, read aloud by espeak-ng. `progress` receives the style, and the number of encoded pictures
    and of all.
    """
    figures = read_gallery(path)
    query_figures = sample_figures(figures, queries, seed)
    positions = {figure.name: i for i, figure in enumerate(figures)}
    answers = [positions[figure.name] for figure in query_figures]

    def similarities(queries: Sequence[GalleryFigure], style: str) -> Vectors:
        rows = []
        for done, figure in enumerate(queries, 1):
            picture = restyle(figure.open(), style, figure.name, seed)
            readings_RD = encoder.encode_image(readings_of(picture))
            rows.append((readings_RD @ gallery_FD.T).max(0))  # as a search does
            progress(style, done, len(queries))
        return np.stack(rows)

    gallery_FD = np.concatenate(
        [
            encoder.encode_image([figure.open() for figure in figures[i : i + _BATCH]], ORIGINAL)
            for i in range(0, len(figures), _BATCH)
        ]
    )
    similarity_QF = {style: similarities(query_figures, style) for style in styles}
    scores = {
        style: score_ranks(rank_answers(values_QF, answers))
        for style, values_QF in similarity_QF.items()
    }
    described = [i for i, figure in enumerate(query_figures) if figure.words]
    texts = [query_figures[i].words for i in described]
    text_answers = [answers[i] for i in described]
    text_QF = encoder.encode_text(texts) @ gallery_FD.T
    scores[TEXT] = score_ranks(rank_answers(text_QF, text_answers))
    if "sketch" in similarity_QF:
        sketch_QF = similarity_QF["sketch"][described]
        both_QF = np.add(_standardized(text_QF), _standardized(sketch_QF))
        scores[TEXT_AND_SKETCH] = score_ranks(rank_answers(both_QF, text_answers))
    if transcribe is not None:
        transcripts = [transcribe(speak(text)) for text in texts]
        spoken_QF = encoder.encode_text(transcripts) @ gallery_FD.T
        scores[SPOKEN] = score_ranks(rank_answers(spoken_QF, text_answers))
    return RetrievalEvaluation(path.name, encoder.name, len(figures), seed, scores)


def speak(text: str) -> bytes:
    """Return a WAV recording of `text`, read aloud by espeak-ng. Raise `Missing` without it."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise Missing("spoken queries need espeak-ng; install it: apt install espeak-ng")
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "query.wav"
        subprocess.run(  # noqa: S603 - the program is found by name, the text comes after `--`
            [program, "-v", "en-us", "-s", "150", "-w", str(recording), "--", text],
            check=True,
            capture_output=True,
            timeout=_SPEAK_SECONDS,
        )
        return recording.read_bytes()


def _standardized(similarity_QF: Vectors) -> Vectors:
    """Scale the similarities of each query to mean 0 and deviation 1, so that they can be added."""
    centred = similarity_QF - similarity_QF.mean(1, keepdims=True)
    return np.asarray(centred / np.maximum(similarity_QF.std(1, keepdims=True), 1e-6))
