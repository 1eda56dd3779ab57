"""Points, queries, filters and quantisation in the types of Qdrant Edge."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import qdrant_edge as qe

from data.records import CHANNELS, Item
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
    "best_score_requests",
    "exact_requests",
    "from_record",
    "search_request",
    "shard_config",
    "to_filter",
    "to_point",
]


def shard_config(stamp: Stamp, quantization: Quantization | None) -> qe.EdgeConfig:
    """Return the vectors of a collection, and how the engine keeps them in memory."""

    def dense(width: int) -> qe.EdgeVectorParams:
        return qe.EdgeVectorParams(
            size=width,
            distance=qe.Distance.Cosine,
            memory=qe.Memory.Cold if quantized else None,
            quantization_config=quantized,
        )

    quantized: Any = None
    if quantization == "scalar":
        quantized = qe.ScalarQuantizationConfig(qe.ScalarType.Int8, memory=qe.Memory.Pinned)
    elif quantization == "binary":
        quantized = qe.BinaryQuantizationConfig(
            memory=qe.Memory.Pinned,
            # If the query were reduced to bits too, recall@10 would fall by 0.1.
            query_encoding=qe.BinaryQuantizationQueryEncoding.Scalar8Bits,
        )
    return qe.EdgeConfig(
        vectors={"image": dense(stamp.image_width), "text": dense(stamp.text_width)},
        sparse_vectors={"bm25": qe.EdgeSparseVectorParams(modifier=qe.Modifier.Idf)},
    )


def to_point(point: Point) -> qe.Point:
    """Convert a point for the engine."""
    vectors: dict[str, Any] = {"bm25": _to_vector(point.bm25)}
    if point.image is not None:
        vectors["image"] = _to_vector(point.image)
    if point.text is not None:
        vectors["text"] = _to_vector(point.text)
    return qe.Point(point.item.id, vectors, point.item.to_json())


def from_record(record: qe.Record) -> Point:
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


def search_request(queries: Sequence[ChannelQuery], limit: int, where: Where) -> qe.QueryRequest:
    """Build the fused search. The engine only fuses two queries or more."""
    condition = to_filter(where)
    if len(queries) == 1:
        return qe.QueryRequest(
            limit=limit,
            query=_nearest(queries[0]),
            filter=condition,
            params=_rescored(),
            with_payload=True,
        )
    depth = max(FUSION_DEPTH, limit)
    return qe.QueryRequest(
        limit=limit,
        query=qe.Fusion.Rrf(RRF_K, [q.weight for q in queries]),  # type: ignore[arg-type]
        prefetches=[
            qe.Prefetch(limit=depth, query=_nearest(q), params=_rescored(), filter=condition)
            for q in queries
        ],
        with_payload=True,
    )


def exact_requests(queries: Sequence[ChannelQuery], ids: Sequence[Any]) -> list[qe.QueryRequest]:
    """Build requests for the exact scores of the points `ids`, one per query."""
    among_ids = qe.Filter(must=[qe.HasIdCondition(set(ids))])
    exact = qe.SearchParams(exact=True, quantization=qe.QuantizationSearchParams(ignore=True))
    return [
        qe.QueryRequest(limit=len(ids), query=_nearest(q), filter=among_ids, params=exact)
        for q in queries
    ]


def best_score_requests(queries: Sequence[ChannelQuery], where: Where) -> list[qe.QueryRequest]:
    """Build requests for the best score of each query that is not empty."""
    condition = to_filter(where)
    return [
        qe.QueryRequest(limit=1, query=_nearest(q), filter=condition, params=_rescored())
        for q in queries
        if not q.is_empty
    ]


def to_filter(where: Where) -> qe.Filter | None:
    """Convert a filter; None if it matches everything."""
    must: list[Any] = [
        qe.FieldCondition(key=name, match=qe.MatchAny(list(values)))
        for name, values in where.conditions()
    ]
    if where.ids:
        must.append(qe.HasIdCondition({uuid.UUID(i) for i in where.ids}))
    return qe.Filter(must=must) if must else None


def _to_vector(vector: np.ndarray[Any, Any] | SparseVector) -> Any:
    if isinstance(vector, SparseVector):
        return qe.SparseVector(indices=list(vector.indices), values=list(vector.values))
    return vector.tolist()


def _nearest(query: ChannelQuery) -> qe.Query:
    assert query.channel in CHANNELS
    return qe.Query.Nearest(_to_vector(query.vector), using=query.channel)


def _rescored() -> qe.SearchParams:
    """Rank candidates by whole vectors; without effect on vectors that are not quantised."""
    return qe.SearchParams(
        quantization=qe.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
    )
