"""Convert Qdrant's results to ours. Both clients return points with id, score and payload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data.records import Channel, Item
from retrieval.store import ChannelQuery, ScoredItem

__all__ = ["best_score_of_each", "scores_by_channel", "to_scored_items"]


def to_scored_items(
    points: Iterable[Any], channel_scores: Mapping[str, Mapping[Channel, float]]
) -> list[ScoredItem]:
    """Convert fused points; `channel_scores` are from `scores_by_channel`."""
    return [
        ScoredItem(
            Item.from_json(point.payload or {}),
            float(point.score),
            channel_scores.get(str(point.id), {}),
        )
        for point in points
    ]


def scores_by_channel(
    queries: Sequence[ChannelQuery], results: Iterable[Iterable[Any]]
) -> dict[str, dict[Channel, float]]:
    """Return each point's best score in each channel, by id; `results` has a list per query."""
    scores: dict[str, dict[Channel, float]] = {}
    for query, points in zip(queries, results, strict=True):
        for point in points:
            channels = scores.setdefault(str(point.id), {})
            score = max(channels.get(query.channel, -1.0), float(point.score))
            channels[query.channel] = score
    return scores


def best_score_of_each(
    queries: Sequence[ChannelQuery], results: Iterable[Sequence[Any]]
) -> list[float]:
    """Return the best score of each query, or 0.0; `results` has no list for empty queries."""
    remaining = iter(results)
    scores = []
    for query in queries:
        points = [] if query.is_empty else next(remaining)
        scores.append(float(points[0].score) if points else 0.0)
    return scores
