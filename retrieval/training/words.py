"""Sentence vectors of the figures' alt texts and captions, computed once and stored on disk.

F figures, S sentence width.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from data.figure_gallery import GalleryFigure
from retrieval.encoder import TextRetriever

__all__ = ["encode_words"]

_MAX_CHARACTERS = 600  # MiniLM reads about this much of a text


def encode_words(
    figures: Sequence[GalleryFigure], retriever: TextRetriever, folder: Path
) -> NDArray[np.float32]:
    """Return unit vectors of alt text and caption, (F, 2, S); NaN where a figure has none.

    They are stored in `folder` and read from there the next time.
    """
    texts = [(f.alt[:_MAX_CHARACTERS], f.caption[:_MAX_CHARACTERS]) for f in figures]
    key = hashlib.sha256(json.dumps([texts, retriever.name]).encode()).hexdigest()[:16]
    path = folder / f"{key}.npy"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):  # of several processes, one computes
        if not path.exists():
            _write_vectors(texts, retriever, path)
    return np.asarray(np.load(path))


def _write_vectors(texts: Sequence[tuple[str, str]], retriever: TextRetriever, path: Path) -> None:
    words_FNS = np.full((len(texts), 2, retriever.width), np.nan, np.float32)
    indices = [(f, n) for f, pair in enumerate(texts) for n, text in enumerate(pair) if text]
    if indices:
        vectors = retriever.encode_passages([texts[f][n] for f, n in indices])
        words_FNS[tuple(np.array(indices).T)] = vectors
    part = path.with_suffix(".part.npy")
    np.save(part, words_FNS)
    part.rename(path)
