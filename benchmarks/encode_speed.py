"""Measure the cost of bank and experts for a query picture, against the plain tower.

    python -m benchmarks.encode_speed

The shipped encoder and its own tower without bank and experts encode the same pictures in
interleaved rounds, at batch sizes 1 and 64. Two things are timed: the whole encode (from decoded
picture to vector) and the tower alone. Reports ratios of medians in one run, and the pictures that
the encoder encodes per second. Writes results/encode_speed.json.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.encoder import MODELS
from benchmarks.environment import CORPORA, describe, write_results
from data.figure_gallery import read_gallery, sample_figures
from retrieval.checkpoint import load_checkpoint
from retrieval.efficientnet import EfficientNetLite0
from retrieval.model_card import SHIPPED_ENCODER
from unirag.models.encoders import build_mini_tower

BOOK = "openstax-physics"
ROUNDS = {1: 60, 64: 7}  # by batch size


def time_call(work: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure both batch sizes and write the results."""
    cnn = EfficientNetLite0(MODELS / "efficientnet-lite0")
    ours = load_checkpoint(SHIPPED_ENCODER, lambda card: build_mini_tower(card, cnn))
    # The same weights without bank or route: called directly, adapted layers run their base alone.
    plain_tower = load_checkpoint(SHIPPED_ENCODER, lambda card: build_mini_tower(card, cnn)).tower
    pictures = [f.open() for f in sample_figures(read_gallery(CORPORA / BOOK), 64, 0)]
    rows: list[dict[str, Any]] = []
    with torch.inference_mode():
        for batch, rounds in ROUNDS.items():
            batch_pictures = pictures[:batch]
            prepared = ours.tower.prepare_images(batch_pictures)
            arms: dict[str, Callable[[], object]] = {
                "plain, whole": lambda p=batch_pictures: plain_tower.forward_image(
                    plain_tower.prepare_images(p).inputs
                ),
                "ours, whole": lambda p=batch_pictures: ours.forward_image(
                    ours.tower.prepare_images(p)
                ),
                "plain, tower": lambda x=prepared: plain_tower.forward_image(x.inputs),
                "ours, tower": lambda x=prepared: ours.forward_image(x),
            }
            seconds: dict[str, list[float]] = {name: [] for name in arms}
            for round_number in range(rounds + 1):
                for name, work in arms.items():
                    elapsed = time_call(work)
                    if round_number:  # the first round warms up
                        seconds[name].append(elapsed)
            median = {name: statistics.median(values) for name, values in seconds.items()}
            rows.append(
                {
                    "batch": batch,
                    "turns": rounds,
                    "ratio_whole": round(median["ours, whole"] / median["plain, whole"], 3),
                    "ratio_tower": round(median["ours, tower"] / median["plain, tower"], 3),
                    "milliseconds": {n: round(1000 * v, 2) for n, v in median.items()},
                    "pictures_per_second": round(batch / median["ours, whole"], 1),
                }
            )
    results = {**describe(("torch", "timm")), "book": BOOK, "rows": rows}
    print(write_results("encode_speed", results))


if __name__ == "__main__":
    main()
