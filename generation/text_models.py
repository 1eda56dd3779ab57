"""The models that read the texts of an answer: vectors, relevance and entailment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from generation.embedding import Embed

__all__ = ["PairScorer", "ScorePairs", "TextModels"]

# Pairs of texts to scores, (N,) float32 in [0, 1]. unirag/app passes cross-encoders.
ScorePairs = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]


class PairScorer(Protocol):
    """A cross-encoder (retrieval/cross_encoder.py)."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the score of each pair, (N,) float32 in [0, 1]."""
        ...


@dataclass(frozen=True)
class TextModels:
    """`embed` gives unit vectors of passages.

    `relevance` scores pairs of a question and a text: does the text help to answer it?
    `entailment` scores pairs of evidence and a sentence: does the evidence say the sentence?
    """

    embed: Embed
    relevance: ScorePairs
    entailment: ScorePairs
