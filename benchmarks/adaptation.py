"""Measure what 16 examples of a new style gain, and what the trained styles lose.

    python -m benchmarks.adaptation

Uses the shipped encoder on books that it never saw. For each unseen style, 16 figures of the book
are drawn as examples and left out of the queries. A bank entry is made from them, as `unirag adapt`
does, against 256 other figures of the gallery. R@1 in the whole gallery is measured before and
after. Then all styles are measured with every entry enrolled at once, which shows what the trained
styles lose. Writes results/adaptation.json and adaptation.md.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.encoder import (
    BATCH,
    DEVELOPMENT,
    HELD_OUT,
    SEEDS,
    TestBook,
    build_trainer,
    load_test_book,
    tower_inputs,
)
from benchmarks.environment import BENCHMARKS, describe, short_commit, write_results
from data.styles import NEW_STYLES, SEEN_STYLES, STYLES, UNSEEN_STYLES
from retrieval.checkpoint import load_checkpoint
from retrieval.encoder import ORIGINAL
from retrieval.enrolment import Enrolment, enrol
from retrieval.evaluation import rank_answers
from retrieval.model_card import SHIPPED_ENCODER
from retrieval.training.views import Views
from retrieval.uni_encoder import UniEncoder
from retrieval.uni_retrieval import EncodedBatch, UniRetrieval
from unirag.models.encoders import build_mini_tower

EXAMPLES, OTHER_FIGURES = 16, 256


@dataclass(frozen=True)
class EncodedBook:
    """A book, encoded without enrolments; row i of a style shows figure `book.rows[i]`."""

    book: TestBook
    encoder: UniRetrieval
    gallery_FD: torch.Tensor
    styles: dict[str, EncodedBatch]

    def r1(self, served: UniEncoder, style: str, rows: Sequence[int]) -> float:
        """Return R@1 in per cent of some queries in one style, with the enrolments of `served`."""
        encoded = self.styles[style]
        vectors, _ = served.apply_enrolments(encoded.vectors_BD[rows], encoded.prototypes_BK[rows])
        similarity = (vectors @ self.gallery_FD.T).numpy()
        ranks = rank_answers(similarity, [self.book.rows[r] for r in rows])
        return 100 * float((ranks <= 1).mean())


@torch.no_grad()
def encode_book(encoder: UniRetrieval, book: TestBook) -> EncodedBook:
    """Encode the gallery and the queries of every style."""

    def encode(views: Views, style: str) -> EncodedBatch:
        count = len(views)
        batches = [
            encoder.forward_image(tower_inputs(views, style, range(i, min(i + BATCH, count))))
            for i in range(0, count, BATCH)
        ]
        return EncodedBatch(
            torch.cat([b.vectors_BD for b in batches]),
            torch.cat([b.prototypes_BK for b in batches]),
        )

    styles = {style: encode(book.queries, style) for style in STYLES}
    return EncodedBook(book, encoder, encode(book.gallery, ORIGINAL).vectors_BD, styles)


def enrol_style(
    encoded: EncodedBook, style: str, seed: int, paired: bool
) -> tuple[Enrolment, list[int], float]:
    """Return the entry of a style, the queries that were not its examples, and the seconds."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(encoded.book.rows)).tolist()
    examples, queries = order[:EXAMPLES], sorted(order[EXAMPLES:])
    originals = [encoded.book.rows[i] for i in examples]
    figures = rng.permutation(len(encoded.gallery_FD)).tolist()
    others = [i for i in figures if i not in originals][:OTHER_FIGURES]
    pictures = tower_inputs(encoded.book.queries, style, examples)
    start = time.perf_counter()
    entry = enrol(
        encoded.encoder,
        style,
        1,
        "shipped",
        pictures,
        encoded.gallery_FD[[*originals, *others]],
        list(range(EXAMPLES)) if paired else None,
    )
    return entry, queries, time.perf_counter() - start


def measure(encoded: EncodedBook, seed: int, paired: bool) -> dict[str, Any]:
    """Return R@1 of every style before and after enrolment, for one draw of examples."""
    plain = UniEncoder("shipped", encoded.encoder)
    entries = {style: enrol_style(encoded, style, seed, paired) for style in UNSEEN_STYLES}
    all_enrolled = UniEncoder(
        "shipped", encoded.encoder, [entry for entry, _, _ in entries.values()]
    )
    unseen = {}
    for style, (entry, queries, seconds) in entries.items():
        one_enrolled = UniEncoder("shipped", encoded.encoder, [entry])
        unseen[style] = {
            "before": round(encoded.r1(plain, style, queries), 2),
            "after": round(encoded.r1(one_enrolled, style, queries), 2),
            "after_all": round(encoded.r1(all_enrolled, style, queries), 2),
            "seconds": round(seconds, 2),
        }
    queries = list(range(len(encoded.book.rows)))
    old = {
        style: {
            "before": round(encoded.r1(plain, style, queries), 2),
            "after": round(encoded.r1(all_enrolled, style, queries), 2),
        }
        for style in SEEN_STYLES
    }
    return {
        "book": encoded.book.name,
        "seed": seed,
        "paired": paired,
        "unseen": unseen,
        "old": old,
    }


def mean_gains(rows: Sequence[Mapping[str, Any]], part: str) -> list[float]:
    """Return the points gained by each row: the mean over old styles, or over the new ones."""
    names = NEW_STYLES if part == "unseen" else rows[0][part]
    return [
        float(np.mean([row[part][name]["after"] - row[part][name]["before"] for name in names]))
        for row in rows
    ]


def markdown(results: Mapping[str, Any]) -> str:
    """Format adaptation.md."""
    lines = [
        "# Learning a style from 16 examples",
        "",
        "Made by `python -m benchmarks.adaptation`: the shipped mini encoder, R@1 in per cent in "
        f"the whole gallery, mean over seeds {list(SEEDS)} of the examples. Device: "
        f"{results['device']}; commit {short_commit(results['commit'])}. Nothing was trained or "
        f"chosen on the books {', '.join(HELD_OUT)}; settings were chosen on {DEVELOPMENT}. The "
        f"mean of unseen styles is of {', '.join(NEW_STYLES)}; three more recolour trained ones.",
    ]
    for paired in (True, False):
        lines += ["", f"## {'Paired with the originals' if paired else 'Unpaired'}", ""]
        lines += [
            "| book | style | before | after | gain | with all ten enrolled | seconds |",
            "|---|---|---|---|---|---|---|",
        ]
        for book in (DEVELOPMENT, *HELD_OUT):
            rows = [r for r in results["rows"] if (r["book"], r["paired"]) == (book, paired)]
            for style in UNSEEN_STYLES:
                style_rows = [r["unseen"][style] for r in rows]
                before, after, after_all, seconds = (
                    float(np.mean([row[key] for row in style_rows]))
                    for key in ("before", "after", "after_all", "seconds")
                )
                lines.append(
                    f"| {book} | {style} | {before:.1f} | {after:.1f} | {after - before:+.1f} "
                    f"| {after_all:.1f} | {seconds:.1f} |"
                )
            for part in ("unseen", "old"):
                gains = mean_gains(rows, part)
                lines.append(
                    f"| {book} | **mean of {part} styles** | | | "
                    f"**{np.mean(gains):+.2f} ± {np.std(gains, ddof=1):.2f}** | | |"
                )
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure every book, with and without pairs, for every seed."""
    trainer = build_trainer()
    encoder = load_checkpoint(SHIPPED_ENCODER, build_mini_tower)
    names = (DEVELOPMENT, *HELD_OUT)
    books = [encode_book(encoder, load_test_book(trainer, name)) for name in names]
    rows = [
        measure(book, seed, paired) for book in books for paired in (True, False) for seed in SEEDS
    ]
    results = {
        **describe(("torch", "timm", "opencv-python-headless")),
        "examples": EXAMPLES,
        "others": OTHER_FIGURES,
        "rows": rows,
    }
    write_results("adaptation", results)
    (BENCHMARKS / "adaptation.md").write_text(markdown(results))


if __name__ == "__main__":
    main()
