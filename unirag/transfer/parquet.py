"""Items and their vectors as a Parquet file: a column for each field of `Item`, four for vectors.

The only file that knows pyarrow: 170 MB that most homes never need, so it is an extra and loaded
when it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter

from data.errors import Missing
from data.records import Item, item_id
from retrieval.store import Point, SparseVector, Stamp, Vector

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ItemTable", "require_pyarrow", "write_items"]

_ROWS = 1000  # in a row group, which is held in memory: about 5 MB
_MAX_GROUP = 256 * 1024**2  # bytes
_BATCH = 250
_OPTIONAL = ("page", "bbox", "image_vector", "text_vector")
_VECTORS = ("image_vector", "text_vector", "bm25_indices", "bm25_values")
_ITEMS = TypeAdapter(list[Item])


def require_pyarrow() -> tuple[Any, Any]:
    """`pyarrow` and `pyarrow.parquet`; raises `Missing` with the command that puts them there."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise Missing(
            "exported corpora need the package pyarrow; run: pip install 'unirag[parquet]'"
        ) from None
    return pyarrow, parquet


def write_items(handle: IO[bytes], points: Iterable[Point]) -> int:
    """Write them to `handle`, which need not seek; how many there were."""
    pa, pq = require_pyarrow()
    schema, count, points = _schema(pa), 0, iter(points)
    with pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        while group := list(islice(points, _ROWS)):
            rows = [
                {
                    **p.item.to_json(),
                    "image_vector": p.image,
                    "text_vector": p.text,
                    "bm25_indices": p.bm25.indices,
                    "bm25_values": p.bm25.values,
                }
                for p in group
            ]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
            count += len(group)
    return count


class ItemTable:
    """The table in `size` bytes of a file from `start` on, read in place, a row group at a time.

    Everything raises `ValueError` where it is no such table, or a damaged one.
    """

    def __init__(self, path: Path, start: int, size: int) -> None:
        pa, pq = require_pyarrow()
        with _errors(pa):
            with pa.memory_map(str(path)) as whole:
                part = whole.read_buffer().slice(start, size)
            self._table = pq.ParquetFile(pa.BufferReader(part))
            if not self._table.schema_arrow.equals(_schema(pa)):
                raise ValueError("the columns of the items are not those expected")
            told = self._table.metadata
            for n in range(told.num_row_groups):
                if (claimed := told.row_group(n).total_byte_size) > _MAX_GROUP:
                    raise ValueError(f"row group {n} claims {claimed:,} bytes")
            self.rows: int = told.num_rows

    def points(self, corpus: str, stamp: Stamp) -> Iterator[Point]:
        """Every item, which has to be of `corpus`, with vectors as wide as `stamp` says."""
        pa, _ = require_pyarrow()
        batches = self._table.iter_batches(batch_size=_BATCH)
        while True:
            with _errors(pa):
                batch = next(batches, None)
                points = [] if batch is None else _points(batch, corpus, stamp)
            if batch is None:
                return
            yield from points


@contextmanager
def _errors(pa: Any) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error)) from None


def _points(batch: pa.RecordBatch, corpus: str, stamp: Stamp) -> list[Point]:
    images, texts, indices, values = (batch.column(name) for name in _VECTORS)
    made = []
    items = _ITEMS.validate_python(batch.drop_columns(list(_VECTORS)).to_pylist())
    for row, item in enumerate(items):
        if item.corpus != corpus or item.id != item_id(corpus, item.locator):
            raise ValueError(f"item {item.id!r} does not belong to corpus {corpus!r}")
        image = _dense(images[row], stamp.image_width)
        text = _dense(texts[row], stamp.text_width)
        tokens, weights = indices[row].values.to_numpy(), values[row].values.to_numpy()
        if len(tokens) != len(weights) or not np.isfinite(weights).all():
            raise ValueError(f"item {item.id!r} has a damaged sparse vector")
        bm25 = SparseVector(tuple(tokens.tolist()), tuple(weights.tolist()))
        made.append(Point(item, image, text, bm25))
    return made


def _dense(stored: pa.ListScalar, width: int) -> Vector | None:
    if not stored.is_valid:
        return None
    vector: Vector = stored.values.to_numpy()
    if len(vector) != width or not np.isfinite(vector).all():
        raise ValueError(f"a vector has {len(vector)} numbers, expected {width} finite ones")
    return vector


def _schema(pa: Any) -> pa.Schema:
    def some(kind: Any) -> Any:
        return pa.list_(pa.field("element", kind, nullable=False))

    kinds = {name: pa.string() for name in Item.__dataclass_fields__}
    kinds |= {
        "section": some(pa.string()),
        "page": pa.int32(),
        "bbox": some(pa.float64()),
        "order": pa.int64(),
        "neighbours": some(pa.string()),
        "image_vector": some(pa.float32()),
        "text_vector": some(pa.float32()),
        "bm25_indices": some(pa.uint32()),
        "bm25_values": some(pa.float32()),
    }
    return pa.schema([pa.field(n, kind, nullable=n in _OPTIONAL) for n, kind in kinds.items()])
