"""How fast is the embedded store among a million items, and does it find what is nearest?

    python -m benchmarks.search_scale [--items 100000 1000000] [--queries 200]

Synthetic items, a sixth of them figures: unit vectors of the widths of profile `mini` around
10,000 centres of an intrinsic dimension of 32, as encoders of real text and pictures have them
(vectors without any structure have no near neighbours to find), and words drawn by Zipf's law.
Queries lie around the same centres. Each number of items with whole vectors, then with quantised
ones. Reports the time to write and to index, memory, disk, p50 and p95 of a search as `unirag
search` makes it (three channels, fused, each hit's own scores) and of each dense channel alone, and
recall@10 of those against exact search with whole vectors. Writes results/search_scale.json.
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

from benchmarks.environment import HERE, describe
from data.records import Channel, Item
from retrieval.bm25 import Bm25
from retrieval.edge import EdgeStore
from retrieval.store import ChannelQuery, Point, Quantization, Stamp, Vector

STAMP = Stamp("mini", "synthetic", "synthetic", image_width=384, text_width=384)
CENTRES, LATENT, FIGURES, WORDS = 10_000, 32, 6, 30_000
BATCH, LIMIT = 1000, 10


class Made:
    """Items and queries by number, the same in every run."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.centres = rng.normal(size=(CENTRES, LATENT)).astype(np.float32)
        self.lifts = {
            "image": rng.normal(size=(LATENT, STAMP.image_width)).astype(np.float32),
            "text": rng.normal(size=(LATENT, STAMP.text_width)).astype(np.float32),
        }
        self.bm25 = Bm25()
        zipf = 1 / np.arange(1, WORDS + 1)
        self.share = zipf / zipf.sum()

    def vectors(self, channel: str, start: int, count: int, noise: float = 0.0) -> Vector:
        rng = np.random.default_rng((start, channel == "image"))
        at = rng.integers(0, CENTRES, count)
        latent = self.centres[at] + 0.5 * rng.normal(size=(count, LATENT)).astype(np.float32)
        lifted = latent @ self.lifts[channel]
        lifted += (0.3 + noise) * LATENT**0.5 * rng.normal(size=lifted.shape).astype(np.float32)
        found: Vector = lifted / np.linalg.norm(lifted, axis=1, keepdims=True)
        return found

    def words(self, start: int, count: int, length: int) -> list[str]:
        drawn = np.random.default_rng((start, 2)).choice(WORDS, (count, length), p=self.share)
        return [" ".join(f"w{number}" for number in row) for row in drawn]

    def batches(self, items: int) -> Iterator[list[Point]]:
        for start in range(0, items, BATCH):
            texts = self.vectors("text", start, BATCH)
            images = self.vectors("image", start, BATCH)
            yield [
                self._point(start + row, text, texts[row], images[row])
                for row, text in enumerate(self.words(start, BATCH, 30))
            ]

    def _point(self, number: int, text: str, words_D: Vector, image_D: Vector) -> Point:
        drawn = number % FIGURES == 0
        item = Item(
            id=f"{number:032x}",
            kind="figure" if drawn else "passage",
            corpus="made",
            locator=f"{number}",
            title=f"Item {number}",
            text=text,
            source=f"document-{number // 100}",
        )
        return Point(item, image_D if drawn else None, words_D, self.bm25.encode_document(text))


def milliseconds(values: list[float]) -> dict[str, float]:
    p95 = statistics.quantiles(values, n=20)[-1]
    return {"p50_ms": round(1000 * statistics.median(values), 2), "p95_ms": round(1000 * p95, 2)}


def exact(store: EdgeStore, query: ChannelQuery) -> set[str]:
    """The nearest by comparison with all."""
    found = store._shard.query(
        qe.QueryRequest(
            limit=LIMIT,
            query=qe.Query.Nearest(np.asarray(query.vector).tolist(), using=query.channel),
            params=qe.SearchParams(
                exact=True, quantization=qe.QuantizationSearchParams(ignore=True)
            ),
        )
    )
    return {str(point.id).replace("-", "") for point in found}


def write(folder: Path, items: int) -> dict[str, Any]:
    """A collection of whole vectors."""
    store = EdgeStore(folder, STAMP)
    began = time.perf_counter()
    for batch in Made().batches(items):
        store.upsert(batch)
    written = time.perf_counter() - began
    began = time.perf_counter()
    store.flush()
    indexed = time.perf_counter() - began
    store.close()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "items_written_per_second": round(items / written),
        "indexing_seconds": round(indexed, 1),
        "most_memory_gigabytes": round(most / 1e6, 2),
    }


def quantise(folder: Path, quantization: Quantization) -> dict[str, Any]:
    store = EdgeStore(folder, STAMP, quantization)
    began = time.perf_counter()
    store.flush()
    took = time.perf_counter() - began
    store.close()
    return {"indexing_seconds": round(took, 1)}


def ask(folder: Path, items: int, queries: int) -> dict[str, Any]:
    made, store = Made(), EdgeStore(folder, STAMP)
    rng = np.random.default_rng(1)
    some = (rng.permutation(items // BATCH)[:queries] * BATCH).tolist()
    channels: dict[Channel, list[ChannelQuery]] = {
        "image": [ChannelQuery("image", made.vectors("image", s, 1, 0.1)[0]) for s in some],
        "text": [ChannelQuery("text", made.vectors("text", s, 1, 0.1)[0]) for s in some],
        "bm25": [
            ChannelQuery("bm25", made.bm25.encode_query(words), 0.5)
            for start in some
            for words in made.words(start, 1, 8)
        ],
    }
    rows: dict[str, Any] = {"queries": len(some)}
    for channel in ("image", "text"):
        times, hits = [], 0
        for query in channels[channel]:
            began = time.perf_counter()
            found = store.search([query], LIMIT)
            times.append(time.perf_counter() - began)
            hits += len({hit.item.id for hit in found} & exact(store, query))
        rows[channel] = {**milliseconds(times), "recall@10": round(hits / LIMIT / len(times), 4)}
    times = []
    for asked in zip(*channels.values(), strict=True):
        began = time.perf_counter()
        store.search(asked, LIMIT)
        times.append(time.perf_counter() - began)
    rows["all three, fused"] = milliseconds(times)
    rows["memory_gigabytes"] = memory()
    store.close()
    return rows


def memory() -> dict[str, float]:
    """What the process holds, and what of its files the system keeps in memory while it can."""
    status = Path("/proc/self/status").read_text()
    kinds = {"own": "RssAnon:", "files": "RssFile:"}
    return {k: round(int(status.split(v)[1].split()[0]) / 1e6, 2) for k, v in kinds.items()}


def apart(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """In a process of its own, whose memory is nobody else's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def measure(items: int, queries: int) -> Iterator[dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="unirag-scale-"))
    try:
        said = apart(write, folder, items)
        for quantization in get_args(Quantization):
            if quantization != "none":
                said = apart(quantise, folder, quantization)
            disk = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
            yield {
                "items": items,
                "quantization": quantization,
                **said,
                "disk_gigabytes": round(disk / 1e9, 2),
                **apart(ask, folder, items, queries),
            }
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=200)
    given = parser.parse_args()
    rows = []
    for items in given.items:
        for row in measure(items, given.queries):
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    result = {**describe(("qdrant-edge-py", "numpy")), "rows": rows}
    text = json.dumps(result, indent=1)
    (HERE / "results" / "search_scale.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
