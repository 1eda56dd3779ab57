"""Indexing on a Ray cluster: it ends as the local run does, whoever dies on the way."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import data.sample
from benchmarks.index_kills import collection, compare, write_papers
from data.errors import UniragError
from data.ocr import OcrCache
from data.pictures import Assets
from data.reader_process import ReadingSettings
from data.readers.scan import Unit
from data.reading_events import DocumentStart, ItemRead, UnitFailed
from data.reading_pool import ReaderPool
from tests.unirag.cluster_parts import KeptReads, fakes
from tests.unirag.test_indexing import Bench
from unirag.cluster import ClusterSettings, HomeFiles, Keeper, RayPool
from unirag.cluster_worker import Task, Worker, share_out
from unirag.indexing import Wanted
from unirag.progress import Report

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (sys.executable, str(ROOT / "tests" / "data" / "hostile_reader.py"))
SAMPLE = Path(data.sample.__file__).parent
LIMITS = ReadingSettings(workers=1)


def hostile_pool(assets: Path) -> ReaderPool:
    return ReaderPool(LIMITS, assets, HOSTILE)


@pytest.fixture(scope="module")
def ray_nodes() -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine, with room for a worker each, and its head."""
    pytest.importorskip("ray", reason="needs the extra `ray`")
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # the workers', who import the fakes
        patch.setenv("RAY_AUTH_MODE", "disabled")  # which would leave a token in the user's folder
        patch.delenv("RAY_ADDRESS", raising=False)
        store = {"object_store_memory": 100_000_000}
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False, **store},
        )
        for _ in range(2):
            cluster.add_node(num_cpus=1, **store)
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        yield ray
        ray.shutdown()
        cluster.shutdown()


def books(root: Path) -> list[Path]:
    """The sample's cards, PDFs, and files that end their readers."""
    papers = root / "papers"
    write_papers(papers, 4, seed=1)
    (papers / "find-crash.txt").write_text("A word.\n")
    (papers / "read-crash.txt").write_text("A word.\n\nAnother.\n")
    (papers / "broken.md").write_bytes(b"# Waves\x00\xff\xfe\n")
    for n in range(3):
        Image.new("RGB", (40, 30), (n, 90, 9)).save(papers / f"bare-{n}.png")
    return [SAMPLE, papers]


def run(home: Path, folders: list[Path], kill: Path | None, on_ray: bool) -> list[Report]:
    bench = Bench(home)
    bench.indexer.ocr = bench.ocr = KeptReads(OcrCache(home / "labels.db"))
    files = HomeFiles(home / "vectors.db", home / "labels.db", home / "assets")
    bench.indexer.readers = (
        (lambda: RayPool(ClusterSettings(), files, partial(fakes, kill), hostile_pool))
        if on_ray
        else partial(hostile_pool, home / "assets")
    )
    reports = [bench.indexer.index(folder, folder.name) for folder in folders]
    again = [bench.indexer.index(folder, folder.name) for folder in folders]
    for first, second in zip(reports, again, strict=True):
        assert (second.new, second.changed, second.unchanged) == (0, 0, first.new)
        assert set(second.dead) == set(first.dead)
    if on_ray:
        assert bench.encoded() == (0, 0)  # its workers did
        assert bench.ocr.calls == 0
    bench.store.close()
    bench.manifest.close()
    bench.encoding.cache.close()
    return reports


def test_a_cluster_that_loses_a_worker_ends_as_a_local_run(ray_nodes: Any, tmp_path: Path) -> None:
    folders = books(tmp_path)
    calm = run(tmp_path / "local", folders, None, on_ray=False)
    kill = tmp_path / "kill"
    kill.touch()
    lost = run(tmp_path / "ray", folders, kill, on_ray=True)
    killed = list(tmp_path.glob("kill.*"))
    assert len(killed) == 1  # one worker, with SIGKILL, after it had read a picture
    assert not (Path("/proc") / killed[0].suffix[1:]).exists()
    same = compare(collection(tmp_path / "local"), collection(tmp_path / "ray"))
    assert same.same, same
    assert same.largest_difference < 1e-6
    assert same.items > 150
    for one, other in zip(calm, lost, strict=True):
        a, b = one.to_json(), other.to_json()
        for report in (a, b):
            del report["seconds"], report["items_per_second"]
            for rows in (report["dead_letters"], report["problems"]):
                rows.sort(key=lambda row: (row["source"], row["anchor"]))
        assert a == b
    assert {t.source for t in lost[1].dead} == {"broken.md", "find-crash.txt", "read-crash.txt"}
    assert kept(tmp_path / "local") == kept(tmp_path / "ray")


def kept(home: Path) -> set[str]:
    return {path.name for path in (home / "assets").rglob("*") if path.is_file()}
