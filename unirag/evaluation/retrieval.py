"""`unirag eval retrieval`: does a query in any style find its figure among all of a corpus?

Q queries, F figures of the gallery, D width.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from data.errors import Missing
from data.ser import SerFigure, figures_of, sample
from data.styles import STYLES, restyle
from retrieval.encoder import ORIGINAL, ImageEncoder, Vectors
from retrieval.evaluation import Scores, ranks, scores

__all__ = ["SPOKEN", "TEXT", "TEXT_AND_SKETCH", "Evaluation", "evaluate"]

TEXT, SPOKEN, TEXT_AND_SKETCH = "text", "spoken", "text+sketch"
_BATCH = 32
T = TypeVar("T")


@dataclass(frozen=True)
class Evaluation:
    """R@1, R@5 and MRR of every kind of query against the whole gallery."""

    corpus: str
    encoder: str
    gallery: int
    seed: int
    scores: dict[str, Scores]

    def to_json(self) -> dict[str, Any]:
        return {
            "corpus": self.corpus,
            "encoder": self.encoder,
            "gallery": self.gallery,
            "seed": self.seed,
            "scores": {name: s.to_json() for name, s in self.scores.items()},
        }


def evaluate(
    path: Path,
    encoder: ImageEncoder,
    *,
    styles: Sequence[str] = tuple(STYLES),
    queries: int = 300,
    seed: int = 0,
    transcribe: Callable[[bytes], str] | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Evaluation:
    """`queries` figures, drawn by `seed`, asked for in each of `styles`, by their alt text, by alt
    text and sketch together, and spoken.

    Spoken queries need `transcribe` and espeak-ng on the machine.
    """
    figures = figures_of(path)
    asked = sample(figures, queries, seed)
    where = {figure.name: i for i, figure in enumerate(figures)}
    answers = [where[figure.name] for figure in asked]

    def pictures(some: Sequence[SerFigure], style: str) -> Vectors:
        parts = []
        for start in range(0, len(some), _BATCH):
            batch = some[start : start + _BATCH]
            if style == ORIGINAL:
                parts.append(encoder.encode_image([f.open() for f in batch], ORIGINAL))
            else:
                restyled = [restyle(f.open(), style, f.name, seed) for f in batch]
                parts.append(encoder.encode_image(restyled))
            progress(style, start + len(batch), len(some))
        return np.concatenate(parts)

    gallery_FD = pictures(figures, ORIGINAL)
    found: dict[str, Vectors] = {style: pictures(asked, style) for style in styles}
    result = {name: scores(ranks(v @ gallery_FD.T, answers)) for name, v in found.items()}
    worded = [i for i, figure in enumerate(asked) if figure.words]
    own = [answers[i] for i in worded]
    words_QD = encoder.encode_text([asked[i].words for i in worded])
    result[TEXT] = scores(ranks(words_QD @ gallery_FD.T, own))
    if "sketch" in found:
        both = [words_QD @ gallery_FD.T, found["sketch"][worded] @ gallery_FD.T]
        result[TEXT_AND_SKETCH] = scores(ranks(np.add(*map(_standard, both)), own))
    if transcribe is not None:
        said = [spoken(asked[i].words, transcribe) for i in worded]
        spoken_QD = encoder.encode_text(said)
        result[SPOKEN] = scores(ranks(spoken_QD @ gallery_FD.T, own))
    return Evaluation(path.name, encoder.name, len(figures), seed, result)


def spoken(text: str, hear: Callable[[bytes], T]) -> T:
    """Call `hear` with a WAV recording of `text` that espeak-ng reads aloud."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise Missing("spoken queries need espeak-ng; install it: apt install espeak-ng")
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "query.wav"
        subprocess.run(  # noqa: S603 - the program is found by name, the text comes after `--`
            [program, "-v", "en-us", "-s", "150", "-w", str(sound), "--", text],
            check=True,
            capture_output=True,
            timeout=60,
        )
        return hear(sound.read_bytes())


def _standard(similarity_QF: Vectors) -> Vectors:
    """Each query's similarities with mean 0 and deviation 1: two kinds can then be added."""
    centred = similarity_QF - similarity_QF.mean(1, keepdims=True)
    return np.asarray(centred / np.maximum(similarity_QF.std(1, keepdims=True), 1e-6))
