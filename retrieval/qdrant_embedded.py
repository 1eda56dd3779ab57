"""The embedded store, which is the default: Qdrant Edge, the Rust engine in this process.

Only this file, `qdrant_embedded_records.py` and the tokeniser in `bm25.py` import `qdrant_edge`.
The package is pinned exactly, because its API is pre-1.0.
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

import qdrant_edge as qe

from data.errors import BadInput, Busy, Missing, UniragError
from data.records import Item
from retrieval.qdrant_embedded_records import (
    best_score_requests,
    exact_requests,
    from_record,
    search_request,
    shard_config,
    to_filter,
    to_point,
)
from retrieval.qdrant_results import best_score_of_each, scores_by_channel, to_scored_items
from retrieval.store import (
    PAYLOAD_INDEXES,
    ChannelQuery,
    Point,
    Quantization,
    ScoredItem,
    Stamp,
    Where,
)

__all__ = ["EdgeStore", "read_stamp"]

T = TypeVar("T")
_ITEMS_PER_PAGE = 1000
_POINTS_PER_PAGE = 200  # with vectors, about 1 MB
_MAX_VALUES = 100_000  # distinct values that `count_by` returns
_STAMP_FILE = "stamp.json"
_FIRST_SHARD = "shard"  # the shard folder of a collection that was never replaced
_SHARD_NAME = re.compile(r"shard(-[0-9a-f]{8})?")


class EdgeStore:
    """A `VectorStore` in the folder `path`; creates the collection if it does not exist.

    `stamp.json` holds the stamp and the name of the shard folder, so replacing this file replaces
    the collection. Raises `Mismatch` if another stamp wrote it and `Busy` if another process has it
    open. Threads may share it: a lock serialises the writes.
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
        self._write_lock = threading.Lock()
        self._stamp_file = path / _STAMP_FILE
        if replacement:
            assert stamp is not None
            self._create_replacement(stamp, f"{_FIRST_SHARD}-{stamp.digest}")
        elif self._stamp_file.exists():
            self._open_existing(stamp)
        elif stamp is None:
            raise _no_collection(path)
        else:
            self._create_first(stamp)

    def _create_replacement(self, stamp: Stamp, shard_name: str) -> None:
        """Create an empty shard. An earlier attempt is deleted: its items may be outdated."""
        if self._stamp_file.exists() and _read_stamp_file(self._stamp_file)["shard"] == shard_name:
            raise UniragError(f"the collection in {self.path} has the stamp {stamp} already")
        shutil.rmtree(self.path / shard_name, ignore_errors=True)
        _create_shard(self.path / shard_name, stamp, self._quantization)
        self._load_shard(stamp, shard_name)

    def _open_existing(self, stamp: Stamp | None) -> None:
        location = f"the collection in {self.path}"
        stored = _read_stamp_file(self._stamp_file)
        if stamp is not None:
            stamp.check(stored, location)
        self._load_shard(Stamp.from_json(stored, location), stored["shard"])
        self.delete_replaced()

    def _create_first(self, stamp: Stamp) -> None:
        if any(_SHARD_NAME.fullmatch(f.name) for f in self.path.glob(f"{_FIRST_SHARD}-*")):
            # There is a collection, but nothing says which shard is the current one.
            raise _unusable_stamp(self._stamp_file, "missing")
        if not (self.path / _FIRST_SHARD).exists():
            _create_shard(self.path / _FIRST_SHARD, stamp, self._quantization)
        self._load_shard(stamp, _FIRST_SHARD)
        self.delete_replaced()
        self._write_stamp()

    def _load_shard(self, stamp: Stamp, shard_name: str) -> None:
        self.stamp, self._shard_name = stamp, shard_name
        config = shard_config(stamp, self._quantization) if self._quantization else None
        folder = str(self.path / shard_name)
        self._shard = _run_engine(self.path, lambda: qe.EdgeShard.load(folder, config))
        for name in PAYLOAD_INDEXES:  # does nothing if the index exists
            self._update(qe.UpdateOperation.create_field_index(name, qe.PayloadSchemaType.Keyword))

    def _write_stamp(self) -> None:
        part = self._stamp_file.with_suffix(".part")
        part.write_text(json.dumps({**self.stamp.to_json(), "shard": self._shard_name}, indent=2))
        part.replace(self._stamp_file)

    def upsert(self, points: Sequence[Point]) -> None:
        if points:
            self._update(qe.UpdateOperation.upsert_points([to_point(p) for p in points]))

    def search(
        self, queries: Sequence[ChannelQuery], limit: int, where: Where = Where()
    ) -> list[ScoredItem]:
        if not queries:
            return []
        request = search_request(queries, limit, where)
        points = self._call(lambda: self._shard.query(request))
        if not points:
            return []
        # Score all hits in all channels: the fusion sees only the top hits of each channel.
        results = self._query_batch(exact_requests(queries, [p.id for p in points]))
        return to_scored_items(points, scores_by_channel(queries, results))

    def best_scores(self, queries: Sequence[ChannelQuery], where: Where = Where()) -> list[float]:
        return best_score_of_each(queries, self._query_batch(best_score_requests(queries, where)))

    def _query_batch(self, requests: list[qe.QueryRequest]) -> list[Any]:
        if not requests:
            return []
        return self._call(lambda: self._shard.query_batch(qe.QueryBatchRequest(requests)))

    def get(self, ids: Sequence[str]) -> list[Item]:
        if not ids:
            return []
        records = self._call(
            lambda: self._shard.retrieve(list(ids), with_payload=True, with_vector=False)
        )
        items = {str(r.id): Item.from_json(r.payload or {}) for r in records}
        return [items[i] for i in ids if i in items]

    def scan(self, where: Where = Where()) -> Iterator[Item]:
        for record in self._scroll(where, _ITEMS_PER_PAGE, with_vector=False):
            yield Item.from_json(record.payload or {})

    def scan_points(self, where: Where = Where()) -> Iterator[Point]:
        for record in self._scroll(where, _POINTS_PER_PAGE, with_vector=True):
            yield from_record(record)

    def _scroll(self, where: Where, page_size: int, with_vector: bool) -> Iterator[qe.Record]:
        offset = None
        while True:
            request = qe.ScrollRequest(
                offset=offset,
                limit=page_size,
                filter=to_filter(where),
                with_payload=True,
                with_vector=with_vector,
            )
            records, offset = self._call(lambda r=request: self._shard.scroll(r))  # type: ignore[misc]
            yield from records
            if offset is None:
                return

    def count(self, where: Where = Where()) -> int:
        return self._call(lambda: self._shard.count(qe.CountRequest(filter=to_filter(where))))

    def count_by(self, field: str, where: Where = Where()) -> dict[str, int]:
        request = qe.FacetRequest(field, limit=_MAX_VALUES, exact=True, filter=to_filter(where))
        return {str(h.value): h.count for h in self._call(lambda: self._shard.facet(request)).hits}

    def delete(self, ids: Iterable[str]) -> None:
        point_ids: list[int | uuid.UUID | str] = list(ids)
        if point_ids:
            self._update(qe.UpdateOperation.delete_points(point_ids))

    def delete_where(self, where: Where) -> None:
        condition = to_filter(where)
        if condition is None:
            raise BadInput("delete_where needs at least one condition; expected a corpus or source")
        self._update(qe.UpdateOperation.delete_points_by_filter(condition))

    def flush(self) -> None:
        with self._write_lock:
            self._call(self._shard.flush)
            self._call(self._shard.optimize)

    def promote(self) -> None:
        with self._write_lock:
            self._call(self._shard.flush)
            self._write_stamp()

    def delete_replaced(self) -> None:
        """Delete other shards. Safe, because only one process can have the collection open."""
        for folder in self.path.glob(f"{_FIRST_SHARD}*"):
            if folder.name != self._shard_name:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        with self._write_lock:
            self._call(self._shard.close)

    def _update(self, operation: qe.UpdateOperation) -> None:
        with self._write_lock:
            self._call(lambda: self._shard.update(operation))

    def _call(self, action: Callable[[], T]) -> T:
        return _run_engine(self.path, action)


def read_stamp(path: Path) -> Stamp:
    """Read the stamp of the collection in the folder `path` without opening the collection.

    Raises `Missing` if there is none.
    """
    stamp_file = path / _STAMP_FILE
    if not stamp_file.exists():
        raise _no_collection(path)
    return Stamp.from_json(_read_stamp_file(stamp_file), f"the collection in {path}")


def _create_shard(folder: Path, stamp: Stamp, quantization: Quantization | None) -> None:
    """Create an empty shard completely or not at all.

    A kill while the engine writes its first files leaves a folder that it cannot open again.
    """
    part = folder.with_name(f"{_FIRST_SHARD}-{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    config = shard_config(stamp, quantization)
    shard = _run_engine(part, lambda: qe.EdgeShard.create(str(part), config))
    _run_engine(part, shard.close)
    try:
        part.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        # Another process was faster; loading the shard then raises `Busy`.
        shutil.rmtree(part, ignore_errors=True)


def _read_stamp_file(stamp_file: Path) -> dict[str, Any]:
    """Read `stamp.json`; raise `UniragError` if it does not name a shard."""
    try:
        stored = json.loads(stamp_file.read_text(encoding="utf-8"))
        if _SHARD_NAME.fullmatch(stored["shard"]):
            return dict(stored)
    except (ValueError, KeyError, TypeError):
        pass
    raise _unusable_stamp(stamp_file, "damaged")


def _no_collection(path: Path) -> Missing:
    return Missing(f"{path} holds no collection; run `unirag index PATH` first")


def _unusable_stamp(stamp_file: Path, state: str) -> UniragError:
    return UniragError(
        f"{stamp_file} is {state}; restore it from a backup, or index into another --home"
    )


def _run_engine(path: Path, action: Callable[[], T]) -> T:
    """Run an engine call and turn its errors into ours."""
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
