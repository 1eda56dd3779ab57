"""Sentence vectors of what figures are described with, computed once and kept on disk.

F figures, S sentence width.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.figure_gallery import GalleryFigure
from retrieval.encoder import TextRetriever

__all__ = ["encode_words"]

_LONGEST = 600  # characters: about what MiniLM reads of a text


def encode_words(
    figures: Sequence[GalleryFigure], retriever: TextRetriever, folder: Path
) -> NDArray[np.float32]:
    """(F, 2, S) unit vectors of alt text and caption; NaN where a figure has none."""
    texts = [(f.alt[:_LONGEST], f.caption[:_LONGEST]) for f in figures]
    key = hashlib.sha256(json.dumps([texts, retriever.name]).encode()).hexdigest()[:16]
    path = folder / f"{key}.npy"
    if path.exists():
        return np.asarray(np.load(path))
    words_FNS = np.full((len(texts), 2, retriever.width), np.nan, np.float32)
    places = [(f, n) for f, pair in enumerate(texts) for n, text in enumerate(pair) if text]
    if places:
        vectors = retriever.encode_passages([texts[f][n] for f, n in places])
        words_FNS[tuple(np.array(places).T)] = vectors
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npy")
    np.save(part, words_FNS)
    part.rename(path)
    return words_FNS
