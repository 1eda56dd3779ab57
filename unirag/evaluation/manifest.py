"""Measure retrieval on pairs of one's own: `unirag eval retrieval pairs.jsonl`.

Q queries, F figures of the gallery, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data.errors import BadInput
from data.manifest import Split, StyledPair, read_manifest
from data.paper import readings_of
from data.pictures import digest_of, open_picture
from retrieval.encoder import ORIGINAL, ImageEncoder, Vectors
from retrieval.evaluation import rank_answers, score_ranks
from unirag.evaluation.retrieval import RetrievalEvaluation

__all__ = ["evaluate_manifest"]

_BATCH = 32


def evaluate_manifest(
    path: Path,
    encoder: ImageEncoder,
    *,
    split: Split = "test",
    styles: Sequence[str] = (),
    queries: int = 300,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> RetrievalEvaluation:
    """Search for the target of each query of a split among all targets of the manifest.

    `styles` are those to measure, by default all; of each, a random sample of `queries` is asked.
    Raise `BadInput` if the split has no query in one of them.
    """
    pairs = read_manifest(path)
    by_style: dict[str, list[StyledPair]] = {}
    for pair in pairs:
        if pair.split == split:
            by_style.setdefault(pair.style, []).append(pair)
    if not by_style or (set(styles) - set(by_style)):
        missing = ", ".join(sorted(set(styles) - set(by_style))) or "any style"
        present = ", ".join(sorted(by_style)) or "none"
        raise BadInput(f"{path}: split {split} has no query in {missing}; it has: {present}")
    digests = {p: digest_of(p.read_bytes()) for p in dict.fromkeys(p.target for p in pairs)}
    figures = {digest: target for target, digest in reversed(digests.items())}
    rows = {digest: row for row, digest in enumerate(figures)}
    targets = list(figures.values())
    gallery_FD: Vectors = np.concatenate(
        [
            encoder.encode_image([open_picture(p) for p in targets[i : i + _BATCH]], ORIGINAL)
            for i in range(0, len(targets), _BATCH)
        ]
    )
    rng, scores = np.random.default_rng(seed), {}
    for style in sorted(styles or by_style):
        known = by_style[style]
        chosen = [known[int(i)] for i in sorted(rng.permutation(len(known))[:queries])]
        similarity_QF = []
        for done, pair in enumerate(chosen, 1):
            similarity_QF.append((_encode(pair, encoder) @ gallery_FD.T).max(0))
            progress(style, done, len(chosen))
        answers = [rows[digests[pair.target]] for pair in chosen]
        scores[style] = score_ranks(rank_answers(np.stack(similarity_QF), answers))
    return RetrievalEvaluation(path.name, encoder.name, len(targets), seed, scores)


def _encode(pair: StyledPair, encoder: ImageEncoder) -> Vectors:
    """Return the vectors of a query's readings (R, D), as a search encodes them."""
    if isinstance(pair.query, str):
        return encoder.encode_text([pair.query])
    return encoder.encode_image(readings_of(open_picture(pair.query)))
