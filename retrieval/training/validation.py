"""R@1 of styled queries on figures that are not trained on, while training runs.

B batch, D width of the vectors.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from retrieval.evaluation import rank_answers
from retrieval.training.loop import Evaluator
from retrieval.training.pairs import Pairs
from retrieval.uni_retrieval import UniRetrieval

__all__ = ["build_evaluator"]

_BATCH = 64


def build_evaluator(pairs: Pairs, figures: int, seed: int = 0) -> Evaluator:
    """Return a function that gives the R@1 of each style, in per cent, among `figures` figures.

    Every evaluation asks for the same figures in the same styles.
    """
    batch = pairs.draw_batch(figures, 0.0, np.random.default_rng(seed))

    @torch.no_grad()
    def evaluate(encoder: UniRetrieval) -> dict[str, float]:
        device = encoder.centroids_SK.device

        def encode(side: str) -> Tensor:
            inputs = getattr(batch, side)
            vectors = []
            for start in range(0, len(batch.style_B), _BATCH):
                rows = slice(start, start + _BATCH)
                part = type(inputs)(inputs.inputs[rows], inputs.features_BG[rows]).to(device)
                vectors.append(encoder.forward_image(part).vectors_BD.float().cpu())
            return torch.cat(vectors)

        cosine_BB = encode("queries") @ encode("originals").T
        ranks_B = rank_answers(cosine_BB.numpy(), range(len(cosine_BB)))
        styles_B = batch.style_B.numpy()
        return {
            pairs.style_names[s]: 100 * float((ranks_B[styles_B == s] == 1).mean())
            for s in np.unique(styles_B)
        }

    return evaluate
