"""The models that read the texts of an answer: vectors, relevance and entailment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from generation.embedding import Embed

__all__ = ["PairScorer", "ScorePairs", "TextModels", "with_cosine"]

_MIDDLE_COSINE = 0.45  # of a question and a text; adds nothing to the relevance

# Pairs of texts to scores, (N,) float32 in [0, 1]. unirag/app passes cross-encoders.
ScorePairs = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]


class PairScorer(Protocol):
    """A cross-encoder (retrieval/cross_encoder.py)."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return the score of each pair, (N,) float32 in [0, 1]."""
        ...


def with_cosine(
    relevance_N: NDArray[np.float32], cosine_N: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    """Return the relevance with the cosine of question and text added to its logit, (N,) in [0, 1].

    Together they tell relevant texts better than either does (benchmarks/results/reranking.json).
    """
    bounded_N = np.clip(relevance_N, 1e-4, 1 - 1e-4)
    logit_N = np.log(bounded_N / (1 - bounded_N)) + weight * (cosine_N - _MIDDLE_COSINE)
    return (1 / (1 + np.exp(-logit_N))).astype(np.float32)


@dataclass(frozen=True)
class TextModels:
    """`embed` gives unit vectors of passages.

    `relevance` scores pairs of a question and a text: does the text help to answer it?
    `entailment` scores pairs of evidence and a sentence: does the evidence say the sentence?
    """

    embed: Embed
    relevance: ScorePairs
    entailment: ScorePairs
