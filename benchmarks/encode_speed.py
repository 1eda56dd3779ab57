"""What do bank and experts cost a query, and how many pictures a second does indexing encode?

    python -m benchmarks.encode_speed

The shipped encoder against its own tower without bank and experts, on the same pictures in turn, at
batch 1 and 64: the whole encode (decoded picture to vector) and the tower alone. Ratios of medians
in one run. Writes results/encode_speed.json.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.encoder import MODELS
from benchmarks.environment import CORPORA, HERE, describe
from data.ser import figures_of, sample
from retrieval.card import SHIPPED_ENCODER
from retrieval.checkpoint import load_checkpoint
from retrieval.efficientnet import EfficientNetLite0
from unirag.models.encoders import build_mini_tower

BOOK, TURNS = "openstax-physics", {1: 60, 64: 7}


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    cnn = EfficientNetLite0(MODELS / "efficientnet-lite0")
    ours = load_checkpoint(SHIPPED_ENCODER, lambda card: build_mini_tower(card, cnn))
    # The same weights with nothing around them. Called directly, adapted layers are their base.
    plain_tower = load_checkpoint(SHIPPED_ENCODER, lambda card: build_mini_tower(card, cnn)).tower
    pictures = [f.open() for f in sample(figures_of(CORPORA / BOOK), 64, 0)]
    rows: list[dict[str, Any]] = []
    with torch.inference_mode():
        for batch, turns in TURNS.items():
            some = pictures[:batch]
            looked = ours.tower.prepare_images(some)
            arms: dict[str, Callable[[], object]] = {
                "plain, whole": lambda some=some: plain_tower.forward_image(
                    plain_tower.prepare_images(some).inputs
                ),
                "ours, whole": lambda some=some: ours.forward_image(
                    ours.tower.prepare_images(some)
                ),
                "plain, tower": lambda x=looked: plain_tower.forward_image(x.inputs),
                "ours, tower": lambda x=looked: ours.forward_image(x),
            }
            seconds: dict[str, list[float]] = {name: [] for name in arms}
            for turn in range(turns + 1):
                for name, work in arms.items():
                    took = timed(work)
                    if turn:  # the first turn warms up
                        seconds[name].append(took)
            median = {name: statistics.median(values) for name, values in seconds.items()}
            rows.append(
                {
                    "batch": batch,
                    "turns": turns,
                    "ratio_whole": round(median["ours, whole"] / median["plain, whole"], 3),
                    "ratio_tower": round(median["ours, tower"] / median["plain, tower"], 3),
                    "milliseconds": {n: round(1000 * v, 2) for n, v in median.items()},
                    "pictures_per_second": round(batch / median["ours, whole"], 1),
                }
            )
    results = {**describe(("torch", "timm")), "book": BOOK, "rows": rows}
    text = json.dumps(results, indent=1)
    (HERE / "results" / "encode_speed.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
