"""What the table of `benchmarks.encoder` needs for methods beyond training one encoder.

Routers over frozen adapters need the adapters, methods in use need something to learn from, and
every row is compared with a baseline on the same queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.styles import SEEN_STYLES
from retrieval.checkpoint import load_checkpoint
from retrieval.experts import ExpertConfig
from retrieval.in_use import InUse, build_in_use
from retrieval.tower import TowerInputs
from retrieval.training.config import TrainConfig
from retrieval.training.pairs import CachedPairs
from retrieval.uni_retrieval import UniConfig, UniRetrieval
from unirag.models.encoders import build_mini_tower
from unirag.training.run_config import RunConfig
from unirag.training.trainer import Trainer

__all__ = [
    "active_parameters",
    "observe",
    "paired_difference",
    "prepare_in_use",
    "train_adapters",
]

ADAPTERS = 4  # as many as the default mixture has experts
ConfigOfRun = Callable[[str, TrainConfig, Path | None], RunConfig]


def train_adapters(
    trainer: Trainer,
    pairs: CachedPairs,
    runs: Path,
    run_config: ConfigOfRun,
    config: TrainConfig,
    routed_by: str = "token",
) -> list[Path]:
    """Train one adapter per group of trained styles, unless its folder holds it already.

    Each gets as many steps as any method, so a router over them has seen more data in all; the
    table says so.
    """
    folders = []
    depth = ExpertConfig.model_validate({"experts": 1, "routed_by": routed_by})
    for i in range(ADAPTERS):
        folder = runs / f"adapter-{config.seed}-{i}"
        folders.append(folder)
        if (folder / "model.safetensors").exists():
            continue
        plain = config.model_dump(exclude={"method"}) | {"save_every": 10**6}
        run = run_config(f"mini-adapter-{i}", TrainConfig(**plain), runs / "plain")
        pairs.styles = SEEN_STYLES[i::ADAPTERS]
        encoder = UniConfig(depth=depth, experts=ExpertConfig())
        trainer.train_and_save(run.model_copy(update={"encoder": encoder}), pairs, folder)
        pairs.styles = SEEN_STYLES
    return folders


def prepare_in_use(name: str, encoder: UniRetrieval, adapters: Sequence[Path]) -> InUse:
    """Build a method in use around a trained encoder, with the adapters as further encoders."""
    others = [load_checkpoint(folder, build_mini_tower) for folder in adapters]
    return build_in_use(name, encoder, None, [o.to(encoder.centroids_SK.device) for o in others])


def observe(
    method: InUse, support: TowerInputs, figures_FD: Tensor, answers: Sequence[int]
) -> None:
    """Let a method learn from the support pictures of one style, from nothing.

    `figures_FD` are all figures; `answers` are the rows of the support's own figures. Methods
    without labels see all figures and not the answers.
    """
    method.reset()
    targets = figures_FD[list(answers)] if method.labelled else figures_FD
    method.observe(support, targets)


@torch.no_grad()
def active_parameters(encoder: UniRetrieval, gates: Mapping[str, Tensor]) -> int:
    """Return how many of the added and trained parameters work for one picture, on average.

    An expert whose gate is exactly 0 does no work. Parameters of routers always work.
    """
    total = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    idle = 0.0
    for layer in encoder.depth_layers():
        if layer.name not in gates:
            continue
        router = layer.experts.router
        routing = sum(p.numel() for p in router.parameters()) if router is not None else 0
        own = sum(p.numel() for p in layer.experts.parameters() if p.requires_grad) - routing
        idle += own * float((gates[layer.name] == 0).float().mean())
    return round(total - idle)


def paired_difference(
    rows: Sequence[Mapping[str, Any]],
    baseline: Sequence[Mapping[str, Any]],
    books: Sequence[str],
    styles: Sequence[str],
    resamples: int = 2000,
) -> tuple[float, float, float] | None:
    """Return the difference of R@1 and its 95 % bootstrap interval over figures, in points.

    Both have answered the same queries, so a figure is drawn for both at once. None if the rows
    were measured before single answers were stored.
    """
    if not all("first" in row["books"][b] for row in (*rows, *baseline) for b in books):
        return None

    def hits(some: Sequence[Mapping[str, Any]], book: str) -> np.ndarray:
        """Return the share of seeds and styles (F) in which each figure came first."""
        answers = [[list(map(int, r["books"][book]["first"][s])) for s in styles] for r in some]
        return np.asarray(answers, float).mean((0, 1))

    rng = np.random.default_rng(0)
    means, drawn = [], []
    for book in books:
        gap_F = 100 * (hits(rows, book) - hits(baseline, book))
        means.append(gap_F.mean())
        drawn.append(gap_F[rng.integers(len(gap_F), size=(resamples, len(gap_F)))].mean(1))
    low, high = np.percentile(np.mean(drawn, 0), [2.5, 97.5])
    return float(np.mean(means)), float(low), float(high)
