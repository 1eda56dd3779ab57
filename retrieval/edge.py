"""The embedded store: Qdrant Edge, the Rust engine in this process. The default below one machine.

Nothing else imports `qdrant_edge` (but for its BM25 tokeniser): it is young and pinned exactly.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import qdrant_edge as qe

from data.errors import BadInput, Busy, Missing, UniragError
from data.records import CHANNELS, Channel, Item
from retrieval.store import (
    OVERSAMPLING,
    PAYLOAD_INDEXES,
    RRF_K,
    ChannelQuery,
    Point,
    Quantization,
    ScoredItem,
    SparseVector,
    Stamp,
    Where,
)

__all__ = ["EdgeStore", "read_stamp"]

T = TypeVar("T")
_PAGE = 1000
_PAGE_OF_POINTS = 200  # with their vectors about 1 MB
# Candidates of each channel that go into the fusion.
_DEPTH = 100
_SHARD = "shard"  # of a collection that nothing was re-embedded in
_NAME = re.compile(r"shard(-[0-9a-f]{8})?")


class EdgeStore:
    """A collection in the folder `path`, made if it is not there.

    `stamp.json` says what wrote it and in which folder the shard is, so that replacing this file
    replaces the collection. Raises `Mismatch` where it was written under another stamp and `Busy`
    where another process has it open. Safe to call from several threads: writes are serialised
    here.
    """

    def __init__(
        self,
        path: Path,
        stamp: Stamp | None,
        quantization: Quantization | None = None,
        *,
        replacement: bool = False,
    ) -> None:
        self.path = path
        self._quantization = quantization
        self._write = threading.Lock()
        self._marker = path / "stamp.json"
        if replacement:
            assert stamp is not None
            self._new(stamp, f"shard-{stamp.digest}")
        elif self._marker.exists():
            self._stored(stamp)
        elif stamp is None:
            raise _nothing(path)
        else:
            self._first(stamp)

    def _new(self, stamp: Stamp, name: str) -> None:
        """Empty: what a run before this one left there may have changed meanwhile."""
        if self._marker.exists() and _read(self._marker).get("shard") == name:
            raise UniragError(f"the collection in {self.path} has the stamp {stamp} already")
        shutil.rmtree(self.path / name, ignore_errors=True)
        _create(self.path / name, stamp, self._quantization)
        self._load(stamp, name)

    def _stored(self, stamp: Stamp | None) -> None:
        where = f"the collection in {self.path}"
        stored = _read(self._marker)
        if stamp is not None:
            stamp.check(stored, where)
        name = stored.get("shard", _SHARD)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _unusable(self._marker)
        self._load(Stamp.from_json(stored, where), name)
        self.delete_replaced()

    def _first(self, stamp: Stamp) -> None:
        if any(_NAME.fullmatch(f.name) and f.name != _SHARD for f in self.path.glob(f"{_SHARD}-*")):
            # nobody knows which of them is the collection
            raise _unusable(self._marker, "missing")
        if not (self.path / _SHARD).exists():
            _create(self.path / _SHARD, stamp, self._quantization)
        self._load(stamp, _SHARD)
        self.delete_replaced()
        self._mark()

    def _load(self, stamp: Stamp, name: str) -> None:
        self.stamp, self._name = stamp, name
        config = _config(stamp, self._quantization) if self._quantization else None
        self._shard = _guard(self.path, lambda: qe.EdgeShard.load(str(self.path / name), config))
        self._index_payload()

    def _mark(self) -> None:
        temporary = self._marker.with_suffix(".part")
        temporary.write_text(json.dumps({**self.stamp.to_json(), "shard": self._name}, indent=2))
        temporary.replace(self._marker)

    def _index_payload(self) -> None:
        """What is there already costs nothing; an older collection gets what it lacks."""
        for name in PAYLOAD_INDEXES:
            self._update(qe.UpdateOperation.create_field_index(name, qe.PayloadSchemaType.Keyword))

    def upsert(self, points: Sequence[Point]) -> None:
        if points:
            self._update(qe.UpdateOperation.upsert_points([_point(p) for p in points]))

    def search(
        self, queries: Sequence[ChannelQuery], limit: int, where: Where = Where()
    ) -> list[ScoredItem]:
        if not queries:
            return []
        condition = _filter(where)
        # The engine fuses from two lists up; a single channel keeps its own order and scores.
        if len(queries) == 1:
            fused = qe.QueryRequest(
                limit=limit,
                query=_nearest(queries[0]),
                filter=condition,
                params=_rescored(),
                with_payload=True,
            )
        else:
            depth = max(_DEPTH, limit)
            fused = qe.QueryRequest(
                limit=limit,
                query=qe.Fusion.Rrf(RRF_K, [q.weight for q in queries]),  # type: ignore[arg-type]
                prefetches=[
                    qe.Prefetch(
                        limit=depth, query=_nearest(q), params=_rescored(), filter=condition
                    )
                    for q in queries
                ],
                with_payload=True,
            )
        found = self._call(lambda: self._shard.query(fused))
        if not found:
            return []
        scores = self._channel_scores(queries, [p.id for p in found])
        return [
            ScoredItem(Item.from_json(p.payload or {}), float(p.score), scores.get(str(p.id), {}))
            for p in found
        ]

    def best_scores(self, queries: Sequence[ChannelQuery], where: Where = Where()) -> list[float]:
        condition = _filter(where)
        requests = [
            qe.QueryRequest(limit=1, query=_nearest(q), filter=condition, params=_rescored())
            for q in queries
            if not q.is_empty
        ]
        if not requests:
            return [0.0] * len(queries)
        batch = qe.QueryBatchRequest(requests)
        results = iter(self._call(lambda: self._shard.query_batch(batch)))
        return [
            max((float(p.score) for p in (() if q.is_empty else next(results))), default=0.0)
            for q in queries
        ]

    def _channel_scores(
        self, queries: Sequence[ChannelQuery], ids: list[Any]
    ) -> dict[str, dict[Channel, float]]:
        """Each hit's own score in each channel, also where it ranked below the fusion's depth."""
        among = qe.Filter(must=[qe.HasIdCondition(set(ids))])
        exact = qe.SearchParams(exact=True, quantization=qe.QuantizationSearchParams(ignore=True))
        batch = qe.QueryBatchRequest(
            [
                qe.QueryRequest(limit=len(ids), query=_nearest(q), filter=among, params=exact)
                for q in queries
            ]
        )
        scores: dict[str, dict[Channel, float]] = {}
        for query, points in zip(
            queries, self._call(lambda: self._shard.query_batch(batch)), strict=True
        ):
            for point in points:
                own = scores.setdefault(str(point.id), {})
                own[query.channel] = max(own.get(query.channel, -1.0), float(point.score))
        return scores

    def get(self, ids: Sequence[str]) -> list[Item]:
        if not ids:
            return []
        records = self._call(
            lambda: self._shard.retrieve(list(ids), with_payload=True, with_vector=False)
        )
        found = {str(r.id): Item.from_json(r.payload or {}) for r in records}
        return [found[i] for i in ids if i in found]

    def scan(self, where: Where = Where()) -> Iterator[Item]:
        for record in self._records(where, _PAGE, with_vector=False):
            yield Item.from_json(record.payload or {})

    def scan_points(self, where: Where = Where()) -> Iterator[Point]:
        for record in self._records(where, _PAGE_OF_POINTS, with_vector=True):
            yield _read_point(record)

    def _records(self, where: Where, page: int, with_vector: bool) -> Iterator[qe.Record]:
        offset = None
        while True:
            request = qe.ScrollRequest(
                offset=offset,
                limit=page,
                filter=_filter(where),
                with_payload=True,
                with_vector=with_vector,
            )
            records, offset = self._call(lambda r=request: self._shard.scroll(r))  # type: ignore[misc]
            yield from records
            if offset is None:
                return

    def count(self, where: Where = Where()) -> int:
        return self._call(lambda: self._shard.count(qe.CountRequest(filter=_filter(where))))

    def count_by(self, field: str, where: Where = Where()) -> dict[str, int]:
        request = qe.FacetRequest(field, limit=100_000, exact=True, filter=_filter(where))
        return {str(h.value): h.count for h in self._call(lambda: self._shard.facet(request)).hits}

    def delete(self, ids: Iterable[str]) -> None:
        gone: list[int | uuid.UUID | str] = list(ids)
        if gone:
            self._update(qe.UpdateOperation.delete_points(gone))

    def delete_where(self, where: Where) -> None:
        condition = _filter(where)
        if condition is None:
            raise BadInput("delete_where needs at least one condition; expected a corpus or source")
        self._update(qe.UpdateOperation.delete_points_by_filter(condition))

    def flush(self) -> None:
        with self._write:
            self._call(self._shard.flush)
            self._call(self._shard.optimize)

    def promote(self) -> None:
        with self._write:
            self._call(self._shard.flush)
            self._mark()

    def delete_replaced(self) -> None:
        """Nobody else reads them: this process has the home for itself."""
        for left in self.path.glob(f"{_SHARD}*"):
            if left.name != self._name:
                shutil.rmtree(left, ignore_errors=True)

    def close(self) -> None:
        with self._write:
            self._call(self._shard.close)

    def _update(self, operation: qe.UpdateOperation) -> None:
        with self._write:
            self._call(lambda: self._shard.update(operation))

    def _call(self, action: Callable[[], T]) -> T:
        return _guard(self.path, action)


def read_stamp(path: Path) -> Stamp:
    """What wrote the collection in the folder `path`, which is not opened for that.

    Raises `Missing` where there is none.
    """
    marker = path / "stamp.json"
    if not marker.exists():
        raise _nothing(path)
    return Stamp.from_json(_read(marker), f"the collection in {path}")


def _create(shard: Path, stamp: Stamp, quantization: Quantization | None) -> None:
    """An empty shard, there as a whole or not at all.

    A kill while the engine lays out its files leaves a folder that it cannot open again.
    """
    made = shard.with_name(f"shard-{os.getpid()}.part")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    config = _config(stamp, quantization)
    empty = _guard(made, lambda: qe.EdgeShard.create(str(made), config))
    _guard(made, empty.close)
    try:
        made.rename(shard)
    except OSError:
        if not shard.exists():  # else another process was first, and loading says that it is busy
            raise
        shutil.rmtree(made, ignore_errors=True)


def _read(marker: Path) -> dict[str, Any]:
    try:
        stored = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        stored = None
    if not isinstance(stored, dict):
        raise _unusable(marker)
    return stored


def _nothing(path: Path) -> Missing:
    return Missing(f"{path} holds no collection; run `unirag index PATH` first")


def _unusable(marker: Path, why: str = "damaged") -> UniragError:
    return UniragError(f"{marker} is {why}; restore it from a backup, or index into another --home")


def _guard(path: Path, action: Callable[[], T]) -> T:
    """Run an engine call; whatever it raises becomes one of ours."""
    try:
        return action()
    except UniragError:
        raise
    except Exception as error:
        text = str(error)
        if "lock" in text.lower() or "in use" in text.lower():
            raise Busy(
                f"{path} is open in another process; stop that process, or use another --home"
            ) from None
        raise UniragError(
            f"the embedded store in {path} failed: {text}; run `unirag doctor`, and index into "
            "another --home if the folder is damaged"
        ) from error


def _config(stamp: Stamp, quantization: Quantization | None) -> qe.EdgeConfig:
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
            # of stored vectors the signs: with those of the query alone recall@10 falls by 0.1
            query_encoding=qe.BinaryQuantizationQueryEncoding.Scalar8Bits,
        )

    return qe.EdgeConfig(
        vectors={"image": dense(stamp.image_width), "text": dense(stamp.text_width)},
        sparse_vectors={"bm25": qe.EdgeSparseVectorParams(modifier=qe.Modifier.Idf)},
    )


def _point(point: Point) -> qe.Point:
    vectors: dict[str, Any] = {"bm25": _native(point.bm25)}
    if point.image is not None:
        vectors["image"] = _native(point.image)
    if point.text is not None:
        vectors["text"] = _native(point.text)
    return qe.Point(point.item.id, vectors, point.item.to_json())


def _read_point(record: qe.Record) -> Point:
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


def _native(vector: np.ndarray[Any, Any] | SparseVector) -> Any:
    if isinstance(vector, SparseVector):
        return qe.SparseVector(indices=list(vector.indices), values=list(vector.values))
    return vector.tolist()


def _nearest(query: ChannelQuery) -> qe.Query:
    assert query.channel in CHANNELS
    return qe.Query.Nearest(_native(query.vector), using=query.channel)


def _rescored() -> qe.SearchParams:
    """Without meaning where vectors are not quantised."""
    return qe.SearchParams(
        quantization=qe.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
    )


def _filter(where: Where) -> qe.Filter | None:
    must: list[Any] = [
        qe.FieldCondition(key=name, match=qe.MatchAny(list(values)))
        for name, values in where.conditions()
    ]
    if where.ids:
        must.append(qe.HasIdCondition({uuid.UUID(i) for i in where.ids}))
    return qe.Filter(must=must) if must else None
