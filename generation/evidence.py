"""What the model is shown: a few items, cut to the sentences that bear on the question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from data.records import Hit, Item
from data.sentences import sentences
from generation.embedding import Embed, Vector

__all__ = ["LABELS", "Evidence", "assemble"]

LABELS = "Labels in the figure: "  # before the words that were read in a picture


@dataclass(frozen=True)
class Evidence:
    """An item under its short label. `parts` are its sentences; `shown` is what the model sees.

    `nearness` is the cosine with the question by which the item was found, 0 where it was not;
    `share` in [0, 1] is how much of what was found is of its section.
    """

    label: int
    item: Item
    parts: tuple[str, ...]
    vectors_PD: NDArray[np.float32]
    shown: str
    nearness: float = 0.0
    share: float = 0.0


def assemble(
    question_vector: Vector,
    hits: Sequence[Hit],
    embed: Embed,
    count: Callable[[str], int],
    *,
    items: int,
    tokens: int,
    shares: Mapping[str, float] = MappingProxyType({}),
) -> list[Evidence]:
    """Up to `items` sources within `tokens` in all, labelled from 1 in the order of `hits`.

    Sentences are taken by similarity to the question per token of their cost, over all sources at
    once, and shown in reading order. Every source keeps at least its best sentence.
    """
    chosen = _distinct(hits, items)
    parts = [_parts(hit.item) for hit in chosen]
    if not chosen:
        return []
    vectors_SD = embed([p for source in parts for p in source])
    value_S = vectors_SD @ question_vector
    starts = np.cumsum([0, *(len(p) for p in parts)])
    flat = [(source, n) for source, ps in enumerate(parts) for n in range(len(ps))]
    best = {
        int(starts[s] + np.argmax(value_S[starts[s] : starts[s + 1]])) for s in range(len(parts))
    }
    budget = tokens
    kept: set[int] = set()
    # The best sentence of each source first, then all others by value.
    for n in sorted(range(len(flat)), key=lambda n: (n not in best, -float(value_S[n]))):
        cost = count(parts[flat[n][0]][flat[n][1]])
        if cost <= budget or n in best:
            kept.add(n)
            budget -= cost
    evidence = []
    for source, item in enumerate(h.item for h in chosen):
        own = [parts[source][n] for k, (s, n) in enumerate(flat) if s == source and k in kept]
        name = f"{item.title}: " if item.title and not own[0].startswith(item.title) else ""
        evidence.append(
            Evidence(
                source + 1,
                item,
                tuple(parts[source]),
                vectors_SD[starts[source] : starts[source + 1]],
                name + " ".join(own),
                chosen[source].channels.get("text", 0.0),
                shares.get(item.id, 0.0),
            )
        )
    return evidence


def _distinct(hits: Sequence[Hit], items: int) -> list[Hit]:
    """The first with text of their own, without repeats."""
    seen: set[str] = set()
    chosen: list[Hit] = []
    for hit in hits:
        text = " ".join((hit.item.text or hit.item.labels).split())
        if text and text not in seen and len(chosen) < items:
            seen.add(text)
            chosen.append(hit)
    return chosen


def _parts(item: Item) -> list[str]:
    parts = [s for line in item.text.splitlines() for s in sentences(line)]
    if item.kind == "figure" and item.labels:
        parts.append(LABELS + ", ".join(item.labels.split("\n")))
    return parts or [item.title]
