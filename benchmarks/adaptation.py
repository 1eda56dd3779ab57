"""What does a style that was never trained gain from 16 examples, and do old styles lose?

    python -m benchmarks.adaptation

The shipped encoder, on books that it never saw. For each unseen style 16 figures of the book are
drawn as examples and left out of the queries; a bank entry is made of them, as `unirag adapt` does,
against 256 other figures of the gallery. R@1 before and after in the whole gallery. All styles are
asked again with every entry enrolled at once: that is what old styles may lose by.
Writes results/adaptation.json and adaptation.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.encoder import DEVELOPMENT, HELD_OUT, SEEDS, TestBook, looked, test_book, trainer
from benchmarks.environment import HERE, describe
from data.styles import SEEN, STYLES, UNSEEN
from retrieval.card import SHIPPED_ENCODER
from retrieval.checkpoint import load_checkpoint
from retrieval.encoder import ORIGINAL
from retrieval.enrolment import Enrolment, enrol
from retrieval.evaluation import rank_answers
from retrieval.serving import UniEncoder
from retrieval.training.views import Views
from retrieval.uni import EncodedBatch, UniRetrieval
from unirag.models.encoders import build_mini_tower

EXAMPLES, OTHERS = 16, 256


@dataclass(frozen=True)
class Seen:
    """A book as the plain encoder sees it; row i of a style shows figure `book.rows[i]`."""

    book: TestBook
    encoder: UniRetrieval
    gallery_FD: torch.Tensor
    styles: dict[str, EncodedBatch]

    def r1(self, served: UniEncoder, style: str, rows: Sequence[int]) -> float:
        encoded = self.styles[style]
        vectors, _ = served.apply_enrolments(encoded.vectors_BD[rows], encoded.prototypes_BK[rows])
        place = rank_answers(
            (vectors @ self.gallery_FD.T).numpy(), [self.book.rows[r] for r in rows]
        )
        return 100 * float((place <= 1).mean())


@torch.no_grad()
def see(encoder: UniRetrieval, book: TestBook) -> Seen:
    def whole(views: Views, style: str) -> EncodedBatch:
        total = len(views)
        parts = [
            encoder.forward_image(looked(views, style, range(i, min(i + 64, total))))
            for i in range(0, total, 64)
        ]
        return EncodedBatch(
            torch.cat([p.vectors_BD for p in parts]), torch.cat([p.prototypes_BK for p in parts])
        )

    styles = {style: whole(book.queries, style) for style in STYLES}
    return Seen(book, encoder, whole(book.gallery, ORIGINAL).vectors_BD, styles)


def taught(seen: Seen, style: str, seed: int, paired: bool) -> tuple[Enrolment, list[int], float]:
    """The entry of a style, the queries that were not its examples, and the seconds it took."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(seen.book.rows)).tolist()
    examples, rest = order[:EXAMPLES], sorted(order[EXAMPLES:])
    shown = [seen.book.rows[i] for i in examples]
    total = len(seen.gallery_FD)
    others = [i for i in rng.permutation(total).tolist() if i not in shown][:OTHERS]
    pictures = looked(seen.book.queries, style, examples)
    began = time.perf_counter()
    entry = enrol(
        seen.encoder,
        style,
        1,
        "shipped",
        pictures,
        seen.gallery_FD[[*shown, *others]],
        list(range(EXAMPLES)) if paired else None,
    )
    return entry, rest, time.perf_counter() - began


def measure(seen: Seen, seed: int, paired: bool) -> dict[str, Any]:
    plain = UniEncoder("shipped", seen.encoder)
    made = {style: taught(seen, style, seed, paired) for style in UNSEEN}
    every = UniEncoder("shipped", seen.encoder, [entry for entry, _, _ in made.values()])
    unseen = {
        style: {
            "before": round(seen.r1(plain, style, rest), 2),
            "after": round(seen.r1(UniEncoder("shipped", seen.encoder, [entry]), style, rest), 2),
            "after_all": round(seen.r1(every, style, rest), 2),
            "seconds": round(seconds, 2),
        }
        for style, (entry, rest, seconds) in made.items()
    }
    rows = list(range(len(seen.book.rows)))
    old = {
        style: {
            "before": round(seen.r1(plain, style, rows), 2),
            "after": round(seen.r1(every, style, rows), 2),
        }
        for style in SEEN
    }
    return {"book": seen.book.name, "seed": seed, "paired": paired, "unseen": unseen, "old": old}


def gain(rows: Sequence[Mapping[str, Any]], part: str) -> list[float]:
    """Points gained, a mean over styles, for each row."""
    return [float(np.mean([s["after"] - s["before"] for s in row[part].values()])) for row in rows]


def markdown(results: Mapping[str, Any]) -> str:
    lines = [
        "# Learning a style from 16 examples",
        "",
        "Made by `python -m benchmarks.adaptation`: the shipped mini encoder, R@1 in per cent in "
        f"the whole gallery, mean over seeds {list(SEEDS)} of the examples. Device: "
        f"{results['device']}; commit {results['commit'][:12]}. Books: {', '.join(HELD_OUT)} were "
        f"never trained or chosen on; settings were chosen on {DEVELOPMENT}.",
    ]
    for paired in (True, False):
        lines += ["", f"## {'Paired with the originals' if paired else 'Unpaired'}", ""]
        lines += [
            "| book | style | before | after | gain | with all ten enrolled | seconds |",
            "|---|---|---|---|---|---|---|",
        ]
        for book in (DEVELOPMENT, *HELD_OUT):
            rows = [r for r in results["rows"] if (r["book"], r["paired"]) == (book, paired)]
            for style in UNSEEN:
                s = [r["unseen"][style] for r in rows]
                before, after, together, seconds = (
                    float(np.mean([x[k] for x in s]))
                    for k in ("before", "after", "after_all", "seconds")
                )
                lines.append(
                    f"| {book} | {style} | {before:.1f} | {after:.1f} | {after - before:+.1f} "
                    f"| {together:.1f} | {seconds:.1f} |"
                )
            for part in ("unseen", "old"):
                points = gain(rows, part)
                lines.append(
                    f"| {book} | **mean of {part} styles** | | | "
                    f"**{np.mean(points):+.2f} ± {np.std(points):.2f}** | | |"
                )
    return "\n".join([*lines, ""])


def main() -> None:
    maker, encoder = trainer(), load_checkpoint(SHIPPED_ENCODER, build_mini_tower)
    books = [see(encoder, test_book(maker, name)) for name in (DEVELOPMENT, *HELD_OUT)]
    rows = [
        measure(book, seed, paired) for book in books for paired in (True, False) for seed in SEEDS
    ]
    results = {
        **describe(("torch", "timm", "opencv-python-headless")),
        "examples": EXAMPLES,
        "others": OTHERS,
        "rows": rows,
    }
    (HERE / "results" / "adaptation.json").write_text(json.dumps(results, indent=1) + "\n")
    (HERE / "adaptation.md").write_text(markdown(results))


if __name__ == "__main__":
    main()
