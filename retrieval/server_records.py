"""Points, filters and quantisation in the types of Qdrant's client."""

from __future__ import annotations

from typing import Any

import numpy as np
from qdrant_client import models

from data.records import Item
from retrieval.store import OVERSAMPLING, Point, Quantization, SparseVector, Where

__all__ = [
    "EXACT",
    "QUANTIZED",
    "RESCORED",
    "from_record",
    "native",
    "quantization_of",
    "to_filter",
    "to_point",
]

QUANTIZED: dict[str, models.ScalarQuantization | models.BinaryQuantization] = {
    "scalar": models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
    ),
    "binary": models.BinaryQuantization(
        binary=models.BinaryQuantizationConfig(
            always_ram=True, query_encoding=models.BinaryQuantizationQueryEncoding.SCALAR8BITS
        )
    ),
}
# without meaning where vectors are not quantised
RESCORED = models.SearchParams(
    quantization=models.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
)
EXACT = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))


def quantization_of(config: models.CollectionConfig) -> Quantization:
    match config.quantization_config:
        case models.ScalarQuantization():
            return "scalar"
        case models.BinaryQuantization():
            return "binary"
        case _:
            return "none"


def to_point(point: Point) -> models.PointStruct:
    vectors: dict[str, Any] = {"bm25": native(point.bm25)}
    if point.image is not None:
        vectors["image"] = native(point.image)
    if point.text is not None:
        vectors["text"] = native(point.text)
    return models.PointStruct(id=point.item.id, vector=vectors, payload=point.item.to_json())


def from_record(record: models.Record) -> Point:
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


def native(vector: Any) -> Any:
    if isinstance(vector, SparseVector):
        return models.SparseVector(indices=list(vector.indices), values=list(vector.values))
    return vector.tolist()


def to_filter(where: Where) -> models.Filter | None:
    must: list[Any] = [
        models.FieldCondition(key=name, match=models.MatchAny(any=list(values)))
        for name, values in where.conditions()
    ]
    if where.ids:
        must.append(models.HasIdCondition(has_id=list(where.ids)))
    return models.Filter(must=must) if must else None
