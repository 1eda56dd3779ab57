"""Ranks figures by their likeness to the query pictures, for queries of pictures and words.

Reciprocal rank fusion uses ranks only, so it ignores how much more similar the first figure is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from retrieval.store import ChannelQuery, ScoredItem, VectorStore, Where
from unirag.settings.search import SearchSettings

__all__ = ["Readings", "choose_readings", "nearest_items", "normalised", "rank_by_likeness"]

# The queries of one picture in the channel `image`, one for each reading of it.
Readings = Sequence[ChannelQuery]


def choose_readings(store: VectorStore, pictures: Sequence[Readings], where: Where) -> list[int]:
    """Return, for each picture, the number of the reading that lies nearest to any item."""
    chosen = []
    for readings in pictures:
        scores = store.best_scores(list(readings), where) if len(readings) > 1 else [0.0]
        chosen.append(max(range(len(scores)), key=scores.__getitem__))
    return chosen


def nearest_items(
    store: VectorStore, readings: Readings, limit: int, where: Where
) -> list[ScoredItem]:
    """Return the `limit` items nearest to a picture; each counts with its nearest reading.

    The n-th item has the n-th fused score of the first reading's result.
    """
    results = [store.search([replace(query, weight=1.0)], limit, where) for query in readings]
    nearest: dict[str, ScoredItem] = {}
    for scored in (s for result in results for s in result):
        other = nearest.get(scored.item.id)
        if other is None or scored.channels["image"] > other.channels["image"]:
            nearest[scored.item.id] = scored
    ordered = sorted(nearest.values(), key=lambda s: -s.channels["image"])
    ranks = (scored.score for scored in results[0])
    return [replace(s, score=score) for s, score in zip(ordered, ranks, strict=False)]


def rank_by_likeness(
    store: VectorStore,
    fused: Sequence[ScoredItem],
    word_queries: Sequence[ChannelQuery],
    picture_queries: Sequence[ChannelQuery],
    pictures: Sequence[Readings],
    where: Where,
    settings: SearchSettings,
) -> list[ScoredItem]:
    """Return `fused` with its figures sorted by their likeness to the query pictures.

    `picture_queries` hold the chosen reading of each of the `pictures`.
    Passages keep their ranks. A figure whose cosine leads all others by `settings.picture_lead`
    becomes the first hit. The n-th hit keeps the n-th fused score.
    """
    figures = replace(where, kinds=("figure",))
    candidates = settings.picture_candidates
    nearest = [nearest_items(store, readings, candidates, figures) for readings in pictures]
    likeness = _likeness(fused, nearest, picture_queries)
    for scored in store.search(normalised(word_queries), candidates, figures):
        if scored.item.id in likeness:
            likeness[scored.item.id] += settings.words_beside_picture * scored.score
    ids = _order(fused, likeness, _clear_winner(nearest, settings.picture_lead))
    items = {s.item.id: s for s in fused}
    if missing := tuple(item_id for item_id in ids if item_id not in items):
        queries = normalised([*word_queries, *picture_queries])
        added = store.search(queries, len(missing), replace(figures, ids=missing))
        items |= {s.item.id: s for s in added}
    return [replace(items[i], score=rank.score) for i, rank in zip(ids, fused, strict=True)]


def normalised(queries: Sequence[ChannelQuery]) -> list[ChannelQuery]:
    """Scale the weights so that the largest is 1: larger ones blur ranks in Qdrant's fusion."""
    largest = max(query.weight for query in queries)
    return [replace(query, weight=query.weight / largest) for query in queries]


def _likeness(
    fused: Sequence[ScoredItem],
    nearest: Sequence[Sequence[ScoredItem]],
    picture_queries: Sequence[ChannelQuery],
) -> dict[str, float]:
    """Return each figure's weighted mean cosine to the query pictures, by item id.

    A figure that is not in the result for a picture gets the lowest cosine of that result.
    """
    every = [fused, *nearest]
    ids = {s.item.id for scored in every for s in scored if s.item.kind == "figure"}
    total_weight = sum(query.weight for query in picture_queries)
    likeness = dict.fromkeys(ids, 0.0)
    for query, scored in zip(picture_queries, nearest, strict=True):
        cosines = {s.item.id: s.channels["image"] for s in scored}
        lowest = min(cosines.values(), default=0.0)
        for item_id in ids:
            likeness[item_id] += query.weight / total_weight * cosines.get(item_id, lowest)
    return likeness


def _clear_winner(nearest: Sequence[Sequence[ScoredItem]], lead: float) -> str:
    """Return the id of a figure whose cosine to a picture leads the next one by `lead`, or ""."""
    winner = ""
    for scored in nearest:
        if len(scored) > 1:
            first, second = (s.channels["image"] for s in scored[:2])
            if first - second >= lead:
                winner = scored[0].item.id
    return winner


def _order(fused: Sequence[ScoredItem], likeness: Mapping[str, float], winner: str) -> list[str]:
    """Return item ids. Sort the figures by likeness within their ranks; put the winner first."""
    by_likeness = iter(sorted(likeness, key=lambda item_id: -likeness[item_id]))
    ids = [next(by_likeness) if s.item.kind == "figure" else s.item.id for s in fused]
    if winner:
        ids = [winner, *(item_id for item_id in ids if item_id != winner)][: len(fused)]
    return ids
