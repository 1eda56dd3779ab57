"""Measure the embedded store among a million synthetic items: time, memory, disk and recall.

    python -m benchmarks.search_scale [--items 100000 1000000] [--queries 200]

One item in six is a figure. Vectors have unit length and the widths of profile `mini`. They lie
around 10,000 centres of an intrinsic dimension of 32, as real text and pictures do (vectors without
structure have no near neighbours). Words follow Zipf's law. Queries lie around the same centres.

Each number of items is measured with whole vectors, then with quantised ones. Reports the time to
write and to index, memory, disk, and p50 and p95 of two kinds of search: the one that `unirag
search` makes (three channels, fused, each hit with its own scores) and each dense channel alone.
Recall@10 of the dense channels is against exact search with whole vectors. Writes
results/search_scale.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

import numpy as np
import qdrant_edge as qe

from benchmarks.environment import describe, write_results
from data.records import Channel, Item
from retrieval.bm25 import Bm25
from retrieval.qdrant_embedded import EdgeStore
from retrieval.store import ChannelQuery, Point, Quantization, Stamp, Vector

STAMP = Stamp("mini", "synthetic", "synthetic", image_width=384, text_width=384)
CENTRES, INTRINSIC_DIMENSION, VOCABULARY = 10_000, 32, 30_000
FIGURE_EVERY = 6  # one item in six is a figure
BATCH, LIMIT = 1000, 10


class SyntheticCorpus:
    """Items and queries by number, the same in every run."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.centres = rng.normal(size=(CENTRES, INTRINSIC_DIMENSION)).astype(np.float32)
        self.projections = {
            "image": _projection(rng, STAMP.image_width),
            "text": _projection(rng, STAMP.text_width),
        }
        self.bm25 = Bm25()
        zipf = 1 / np.arange(1, VOCABULARY + 1)
        self.word_probability = zipf / zipf.sum()

    def vectors(self, channel: str, start: int, count: int, noise: float = 0.0) -> Vector:
        """Return unit vectors of items from `start` on; `noise` moves queries away from items."""
        rng = np.random.default_rng((start, channel == "image"))
        centres = self.centres[rng.integers(0, CENTRES, count)]
        shape = (count, INTRINSIC_DIMENSION)
        latent = centres + 0.5 * rng.normal(size=shape).astype(np.float32)
        projected = latent @ self.projections[channel]
        scale = (0.3 + noise) * INTRINSIC_DIMENSION**0.5
        projected += scale * rng.normal(size=projected.shape).astype(np.float32)
        unit: Vector = projected / np.linalg.norm(projected, axis=1, keepdims=True)
        return unit

    def texts(self, start: int, count: int, length: int) -> list[str]:
        """Return texts of `length` words for items from `start` on."""
        rng = np.random.default_rng((start, 2))
        words = rng.choice(VOCABULARY, (count, length), p=self.word_probability)
        return [" ".join(f"w{number}" for number in row) for row in words]

    def batches(self, items: int) -> Iterator[list[Point]]:
        """Yield the points of the corpus in batches of `BATCH`."""
        for start in range(0, items, BATCH):
            text_vectors = self.vectors("text", start, BATCH)
            images = self.vectors("image", start, BATCH)
            yield [
                self._point(start + row, text, text_vectors[row], images[row])
                for row, text in enumerate(self.texts(start, BATCH, 30))
            ]

    def _point(self, number: int, text: str, text_D: Vector, image_D: Vector) -> Point:
        is_figure = number % FIGURE_EVERY == 0
        item = Item(
            id=f"{number:032x}",
            kind="figure" if is_figure else "passage",
            corpus="made",
            locator=f"{number}",
            title=f"Item {number}",
            text=text,
            source=f"document-{number // 100}",
        )
        image = image_D if is_figure else None
        return Point(item, image, text_D, self.bm25.encode_document(text))


def _projection(rng: np.random.Generator, width: int) -> np.ndarray:
    return rng.normal(size=(INTRINSIC_DIMENSION, width)).astype(np.float32)


def percentiles_ms(seconds: list[float]) -> dict[str, float]:
    """Return the median and the 95th percentile in milliseconds."""
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return {"p50_ms": round(1000 * statistics.median(seconds), 2), "p95_ms": round(1000 * p95, 2)}


def search_exactly(store: EdgeStore, query: ChannelQuery) -> set[str]:
    """Return the ids of the nearest items, by comparison with every whole vector."""
    points = store._shard.query(
        qe.QueryRequest(
            limit=LIMIT,
            query=qe.Query.Nearest(np.asarray(query.vector).tolist(), using=query.channel),
            params=qe.SearchParams(
                exact=True, quantization=qe.QuantizationSearchParams(ignore=True)
            ),
        )
    )
    return {str(point.id).replace("-", "") for point in points}


def write_collection(folder: Path, items: int) -> dict[str, Any]:
    """Write and index a collection of whole vectors."""
    store = EdgeStore(folder, STAMP)
    start = time.perf_counter()
    for batch in SyntheticCorpus().batches(items):
        store.upsert(batch)
    writing_seconds = time.perf_counter() - start
    start = time.perf_counter()
    store.flush()
    indexing_seconds = time.perf_counter() - start
    store.close()
    peak_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "items_written_per_second": round(items / writing_seconds),
        "indexing_seconds": round(indexing_seconds, 1),
        "most_memory_gigabytes": round(peak_kilobytes / 1e6, 2),
    }


def quantise(folder: Path, quantization: Quantization) -> dict[str, Any]:
    """Quantise the vectors of a collection."""
    store = EdgeStore(folder, STAMP, quantization)
    start = time.perf_counter()
    store.flush()
    seconds = time.perf_counter() - start
    store.close()
    return {"indexing_seconds": round(seconds, 1)}


def measure_searches(folder: Path, items: int, query_count: int) -> dict[str, Any]:
    """Time searches in each dense channel and in all three, and compare with exact search."""
    corpus, store = SyntheticCorpus(), EdgeStore(folder, STAMP)
    rng = np.random.default_rng(1)
    starts = (rng.permutation(items // BATCH)[:query_count] * BATCH).tolist()
    queries: dict[Channel, list[ChannelQuery]] = {
        "image": [ChannelQuery("image", corpus.vectors("image", s, 1, 0.1)[0]) for s in starts],
        "text": [ChannelQuery("text", corpus.vectors("text", s, 1, 0.1)[0]) for s in starts],
        "bm25": [
            ChannelQuery("bm25", corpus.bm25.encode_query(text), 0.5)
            for start in starts
            for text in corpus.texts(start, 1, 8)
        ],
    }
    rows: dict[str, Any] = {"queries": len(starts)}
    for channel in ("image", "text"):
        seconds, common = [], 0
        for query in queries[channel]:
            start = time.perf_counter()
            hits = store.search([query], LIMIT)
            seconds.append(time.perf_counter() - start)
            common += len({hit.item.id for hit in hits} & search_exactly(store, query))
        recall = common / LIMIT / len(seconds)
        rows[channel] = {**percentiles_ms(seconds), "recall@10": round(recall, 4)}
    seconds = []
    for channel_queries in zip(*queries.values(), strict=True):
        start = time.perf_counter()
        store.search(channel_queries, LIMIT)
        seconds.append(time.perf_counter() - start)
    rows["all three, fused"] = percentiles_ms(seconds)
    rows["memory_gigabytes"] = resident_gigabytes()
    store.close()
    return rows


def resident_gigabytes() -> dict[str, float]:
    """Return the memory of the process and of its mapped files; the system may drop the latter."""
    status = Path("/proc/self/status").read_text()
    fields = {"own": "RssAnon:", "files": "RssFile:"}
    return {k: round(int(status.split(v)[1].split()[0]) / 1e6, 2) for k, v in fields.items()}


def run_in_process(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run a function in a process of its own, so that its memory is not mixed with others."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def measure(items: int, queries: int) -> Iterator[dict[str, Any]]:
    """Yield a row of results for each quantisation, whole vectors first."""
    folder = Path(tempfile.mkdtemp(prefix="unirag-scale-"))
    try:
        row = run_in_process(write_collection, folder, items)
        for quantization in get_args(Quantization):
            if quantization != "none":
                row = run_in_process(quantise, folder, quantization)
            disk = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
            yield {
                "items": items,
                "quantization": quantization,
                **row,
                "disk_gigabytes": round(disk / 1e9, 2),
                **run_in_process(measure_searches, folder, items, queries),
            }
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Measure every number of items and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    rows = []
    for items in options.items:
        for row in measure(items, options.queries):
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    print(write_results("search_scale", {**describe(("qdrant-edge-py", "numpy")), "rows": rows}))


if __name__ == "__main__":
    main()
