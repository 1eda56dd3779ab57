"""Items and their vectors in a Parquet file: one column per field of `Item`, four for vectors.

Only this file uses pyarrow. It takes 170 MB and few workspaces need it, so it is an extra and is
imported on use.
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

_GROUP_ROWS = 1000  # rows of a row group: about 5 MB of memory
_MAX_GROUP_BYTES = 256 * 1024**2
_BATCH_ROWS = 250  # rows that are read at a time
_NULLABLE = ("page", "bbox", "image_vector", "text_vector")
_VECTOR_COLUMNS = ("image_vector", "text_vector", "bm25_indices", "bm25_values")
_ITEMS = TypeAdapter(list[Item])


def require_pyarrow() -> tuple[Any, Any]:
    """Return `pyarrow` and `pyarrow.parquet`. Raise `Missing` if they are not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise Missing(
            "exported corpora need the package pyarrow; run: pip install 'unirag[parquet]'"
        ) from None
    return pyarrow, parquet


def write_items(handle: IO[bytes], points: Iterable[Point]) -> int:
    """Write items to `handle`, which need not be seekable. Return their number."""
    pa, pq = require_pyarrow()
    schema, count, points = _schema(pa), 0, iter(points)
    with pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        while group := list(islice(points, _GROUP_ROWS)):
            rows = [
                {
                    **point.item.to_json(),
                    "image_vector": point.image,
                    "text_vector": point.text,
                    "bm25_indices": point.bm25.indices,
                    "bm25_values": point.bm25.values,
                }
                for point in group
            ]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
            count += len(group)
    return count


class ItemTable:
    """A Parquet table inside a larger file, `size` bytes from `start` on.

    Every method raises `ValueError` if the bytes are another kind of table, or damaged.
    """

    def __init__(self, path: Path, start: int, size: int) -> None:
        pa, pq = require_pyarrow()
        with _errors(pa):
            with pa.memory_map(str(path)) as file:
                table = file.read_buffer().slice(start, size)
            self._table = pq.ParquetFile(pa.BufferReader(table))
            if not self._table.schema_arrow.equals(_schema(pa)):
                raise ValueError("the columns of the items are not those expected")
            metadata = self._table.metadata
            for number in range(metadata.num_row_groups):
                claimed = metadata.row_group(number).total_byte_size
                if claimed > _MAX_GROUP_BYTES:
                    raise ValueError(f"row group {number} claims {claimed:,} bytes")
            self.rows: int = metadata.num_rows

    def points(self, corpus: str, stamp: Stamp) -> Iterator[Point]:
        """Yield every item with its vectors.

        Raise `ValueError` if an item belongs to another corpus than `corpus`, or a vector is not as
        wide as `stamp` says.
        """
        pa, _ = require_pyarrow()
        batches = self._table.iter_batches(batch_size=_BATCH_ROWS)
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
    images, texts, indices, values = (batch.column(name) for name in _VECTOR_COLUMNS)
    points = []
    items = _ITEMS.validate_python(batch.drop_columns(list(_VECTOR_COLUMNS)).to_pylist())
    for row, item in enumerate(items):
        if item.corpus != corpus or item.id != item_id(corpus, item.locator):
            raise ValueError(f"item {item.id!r} does not belong to corpus {corpus!r}")
        image = _dense_vector(images[row], stamp.image_width)
        text = _dense_vector(texts[row], stamp.text_width)
        tokens, weights = indices[row].values.to_numpy(), values[row].values.to_numpy()
        if len(tokens) != len(weights) or not np.isfinite(weights).all():
            raise ValueError(f"item {item.id!r} has a damaged sparse vector")
        bm25 = SparseVector(tuple(tokens.tolist()), tuple(weights.tolist()))
        points.append(Point(item, image, text, bm25))
    return points


def _dense_vector(scalar: pa.ListScalar, width: int) -> Vector | None:
    if not scalar.is_valid:
        return None
    vector: Vector = scalar.values.to_numpy()
    if len(vector) != width or not np.isfinite(vector).all():
        raise ValueError(f"a vector has {len(vector)} numbers, expected {width} finite ones")
    return vector


def _schema(pa: Any) -> pa.Schema:
    def list_of(element: Any) -> Any:
        return pa.list_(pa.field("element", element, nullable=False))

    types = {name: pa.string() for name in Item.__dataclass_fields__}
    types |= {
        "section": list_of(pa.string()),
        "page": pa.int32(),
        "bbox": list_of(pa.float64()),
        "boxes": list_of(list_of(pa.float64())),
        "order": pa.int64(),
        "neighbours": list_of(pa.string()),
        "image_vector": list_of(pa.float32()),
        "text_vector": list_of(pa.float32()),
        "bm25_indices": list_of(pa.uint32()),
        "bm25_values": list_of(pa.float32()),
    }
    return pa.schema(
        [pa.field(name, type_, nullable=name in _NULLABLE) for name, type_ in types.items()]
    )
