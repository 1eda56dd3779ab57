"""Points, queries, filters and quantisation in the types of Qdrant's client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qdrant_client import models

from data.records import Item
from retrieval.store import (
    FUSION_DEPTH,
    OVERSAMPLING,
    RRF_K,
    ChannelQuery,
    Point,
    Quantization,
    SparseVector,
    Stamp,
    Where,
)

__all__ = [
    "QUANTIZATION_CONFIGS",
    "best_score_requests",
    "exact_requests",
    "from_record",
    "quantization_of",
    "search_arguments",
    "to_filter",
    "to_point",
    "vectors_config",
]

QUANTIZATION_CONFIGS: dict[str, models.ScalarQuantization | models.BinaryQuantization] = {
    "scalar": models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
    ),
    "binary": models.BinaryQuantization(
        binary=models.BinaryQuantizationConfig(
            always_ram=True, query_encoding=models.BinaryQuantizationQueryEncoding.SCALAR8BITS
        )
    ),
}
# Rank candidates by whole vectors; without effect on vectors that are not quantised.
_RESCORED = models.SearchParams(
    quantization=models.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
)
_EXACT = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))


def vectors_config(
    stamp: Stamp, quantization: Quantization | None
) -> dict[str, models.VectorParams]:
    """Return the dense vectors of a new collection."""
    return {
        name: models.VectorParams(
            size=width,
            distance=models.Distance.COSINE,
            on_disk=quantization in ("scalar", "binary") or None,
        )
        for name, width in (("image", stamp.image_width), ("text", stamp.text_width))
    }


def quantization_of(config: models.CollectionConfig) -> Quantization:
    """Return the quantisation of a collection on the server."""
    match config.quantization_config:
        case models.ScalarQuantization():
            return "scalar"
        case models.BinaryQuantization():
            return "binary"
        case _:
            return "none"


def to_point(point: Point) -> models.PointStruct:
    """Convert a point for the client."""
    vectors: dict[str, Any] = {"bm25": _to_vector(point.bm25)}
    if point.image is not None:
        vectors["image"] = _to_vector(point.image)
    if point.text is not None:
        vectors["text"] = _to_vector(point.text)
    return models.PointStruct(id=point.item.id, vector=vectors, payload=point.item.to_json())


def from_record(record: models.Record) -> Point:
    """Convert a record with vectors to our point."""
    vectors: Any = record.vector
    bm25 = vectors["bm25"]
    dense = {
        name: np.asarray(vectors[name], np.float32) if name in vectors else None
        for name in ("image", "text")
    }
    return Point(
        Item.from_json(record.payload or {}),
        dense["image"],
        dense["text"],
        SparseVector(tuple(bm25.indices), tuple(bm25.values)),
    )


def search_arguments(queries: Sequence[ChannelQuery], limit: int, where: Where) -> dict[str, Any]:
    """Return the arguments of `query_points` for the fused search.

    A single query is not fused: it keeps its own order and scores.
    """
    condition = to_filter(where)
    if len(queries) == 1:
        return {
            "query": _to_vector(queries[0].vector),
            "using": queries[0].channel,
            "query_filter": condition,
            "search_params": _RESCORED,
        }
    depth = max(FUSION_DEPTH, limit)
    return {
        "query": models.RrfQuery(rrf=models.Rrf(k=RRF_K, weights=[q.weight for q in queries])),
        "prefetch": [
            models.Prefetch(
                query=_to_vector(q.vector),
                using=q.channel,
                limit=depth,
                filter=condition,
                params=_RESCORED,
            )
            for q in queries
        ],
    }


def exact_requests(
    queries: Sequence[ChannelQuery], ids: Sequence[Any]
) -> list[models.QueryRequest]:
    """Build requests for the exact scores of the points `ids`, one per query."""
    among_ids = models.Filter(must=[models.HasIdCondition(has_id=list(ids))])
    return [
        models.QueryRequest(
            query=_to_vector(q.vector),
            using=q.channel,
            filter=among_ids,
            limit=len(ids),
            params=_EXACT,
        )
        for q in queries
    ]


def best_score_requests(queries: Sequence[ChannelQuery], where: Where) -> list[models.QueryRequest]:
    """Build requests for the best score of each query that is not empty."""
    condition = to_filter(where)
    return [
        models.QueryRequest(
            query=_to_vector(q.vector),
            using=q.channel,
            filter=condition,
            limit=1,
            params=_RESCORED,
        )
        for q in queries
        if not q.is_empty
    ]


def to_filter(where: Where) -> models.Filter | None:
    """Convert a filter; None if it matches everything."""
    must: list[Any] = [
        models.FieldCondition(key=name, match=models.MatchAny(any=list(values)))
        for name, values in where.conditions()
    ]
    if where.ids:
        must.append(models.HasIdCondition(has_id=list(where.ids)))
    return models.Filter(must=must) if must else None


def _to_vector(vector: Any) -> Any:
    if isinstance(vector, SparseVector):
        return models.SparseVector(indices=list(vector.indices), values=list(vector.values))
    return vector.tolist()
