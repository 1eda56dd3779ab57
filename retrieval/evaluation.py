"""Score how well queries find their figure. Ranks are always among the whole gallery.

Q queries, F figures of the gallery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scores", "rank_answers", "score_ranks"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Retrieval scores: R@1 and R@5 in per cent, MRR, and the 95 % bootstrap interval of R@1."""

    r1: float
    r5: float
    mrr: float
    r1_interval: tuple[float, float]
    queries: int

    def to_json(self) -> dict[str, object]:
        """Return rounded scores for a JSON file."""
        return {
            "r1": round(self.r1, 2),
            "r5": round(self.r5, 2),
            "mrr": round(self.mrr, 4),
            "r1_interval": [round(v, 2) for v in self.r1_interval],
            "queries": self.queries,
        }


def rank_answers(
    similarity_QF: NDArray[np.floating], answers_Q: Sequence[int]
) -> NDArray[np.int64]:
    """Return the rank of each query's figure, from 1. Ties and NaN count against the figure."""
    answer_scores_Q1 = similarity_QF[np.arange(len(answers_Q)), list(answers_Q)][:, None]
    return (~(similarity_QF < answer_scores_Q1)).sum(1)


def score_ranks(ranks_Q: NDArray[np.int64], seed: int = 0, resamples: int = 1000) -> Scores:
    """Score the ranks of the queries' figures; `seed` and `resamples` are for the interval."""
    first_Q = 100.0 * (ranks_Q <= 1)
    rng = np.random.default_rng(seed)
    means = first_Q[rng.integers(len(first_Q), size=(resamples, len(first_Q)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Scores(
        float(first_Q.mean()),
        float(100.0 * (ranks_Q <= 5).mean()),
        float((1.0 / ranks_Q).mean()),
        (float(low), float(high)),
        len(ranks_Q),
    )
