"""Compare ways to order the first hits of a search.

    python -m benchmarks.reranking [--home DIR]

The questions are those of the shared explanations on the held-out book (organic chemistry); a hit
is right if it is a passage that the explanation cites. Orders of the same 20 hits: the fusion of
the channels, the shipped cross-encoder with and without the cosine, and the likelihood of the
question after the passage under the small language model of profile `mini` (Sachan et al. 2022,
arXiv 2204.07496). Times are seconds per question on this machine, in one run. Writes
results/reranking.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.environment import CORPORA, HOME, describe, write_results
from benchmarks.explanations import HELD_OUT_BOOK, Group, shared_groups
from data.records import Hit
from unirag.app import App
from unirag.search.reranking import rerank
from unirag.settings import load_settings

CANDIDATES = 20
LIKELIHOOD_QUESTIONS = 30  # it takes seconds for each
PASSAGE_TOKENS = 200
BEGINNING = 80  # characters by which a passage is recognised

Order = Callable[[str, Sequence[Hit]], Sequence[Hit]]


class QuestionLikelihood:
    """Orders hits by the mean log probability of the question's tokens after the passage."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def order(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits, most likely question first."""
        return sorted(hits, key=lambda hit: -self._likelihood(question, hit.item.text))

    @torch.inference_mode()
    def _likelihood(self, question: str, passage: str) -> float:
        before = self._tokenizer(f"{passage}\n", truncation=True, max_length=PASSAGE_TOKENS)
        asked = self._tokenizer(f"Question: {question}")["input_ids"]
        ids = torch.tensor([before["input_ids"] + asked])
        start = len(before["input_ids"])
        log_probabilities = self._model(ids).logits[0, start - 1 : -1].log_softmax(-1)
        return float(log_probabilities.gather(1, ids[0, start:, None]).mean())


def main() -> None:
    """Measure the three orders and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=HOME.parent / "held-out-home")
    home = parser.parse_args().home
    groups = [g for g in shared_groups() if g.book == HELD_OUT_BOOK]
    settings = load_settings(home=home, ocr=False, search={"rerank_candidates": 0})
    with App.open(settings) as app:
        if not app.corpora.list():
            app.index([CORPORA / HELD_OUT_BOOK])
        results = [app.search(g.question, limit=CANDIDATES) for g in groups]
        relevance, weight = app.components.reranker.score, settings.search.rerank_cosine
        likelihood = QuestionLikelihood(app.components.models.locate(app.components.profile.chat))
        orders: dict[str, tuple[Order, int]] = {
            "fusion alone": (lambda _, hits: hits, len(groups)),
            "cross-encoder": (lambda q, hits: rerank(q, hits, relevance, CANDIDATES), len(groups)),
            "cross-encoder and cosine": (
                lambda q, hits: rerank(q, hits, relevance, CANDIDATES, weight),
                len(groups),
            ),
            "likelihood of the question": (likelihood.order, LIKELIHOOD_QUESTIONS),
        }
        measured = {}
        for name, (order, count) in orders.items():
            ranks, seconds = [], []
            for group, result in list(zip(groups, results, strict=True))[:count]:
                started = time.perf_counter()
                hits = order(group.question, result.hits)
                seconds.append(time.perf_counter() - started)
                ranks.append(_rank(hits, group))
            measured[name] = {
                "questions": count,
                **{f"right passage@{k}": round(mean(r < k for r in ranks), 3) for k in (1, 3, 5)},
                "seconds": round(median(seconds), 3),
            }
    print(write_results("reranking", {**describe(("torch", "transformers")), **measured}))


def _rank(hits: Sequence[Hit], group: Group) -> int:
    """Return the rank, from 0, of the first cited passage; the number of hits if there is none."""
    cited = {label for claim in group.faithful for label in claim.cites}
    beginnings = [p.text[:BEGINNING] for p in group.cited(cited)]
    texts = [" ".join(hit.item.text.split()) for hit in hits]
    right = (n for n, text in enumerate(texts) if any(b in text for b in beginnings))
    return next(right, len(hits))


if __name__ == "__main__":
    main()
