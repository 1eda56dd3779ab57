"""Indexing on a Ray cluster gives the result of a local run, whichever worker dies."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import data.sample
from benchmarks.index_kills import compare_collections, read_collection, write_papers
from data.errors import BadSetting, Missing, UniragError
from data.ocr import OcrCache
from data.readers.scan import Unit
from data.reading_events import Count, DocumentStart, ItemRead, UnitFailed
from data.reading_pool import ReaderPool
from data.reading_settings import ReadingSettings
from tests.fakes import CachedOcr, IndexingBench, fake_worker_models
from unirag.indexing.pipeline import searchable_text
from unirag.indexing.progress import IndexReport
from unirag.indexing.ray_pool import RayPool, WorkspaceFiles, WorkspaceKeeper
from unirag.indexing.ray_worker import ClusterWorker, ReadingTask, split_into_tasks
from unirag.indexing.reading_plan import ReadingPlan
from unirag.settings.cluster import ClusterSettings
from unirag.workspace.catalog import CatalogEntry
from unirag.workspace.embedding_cache import EmbeddingCache, text_digest

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (sys.executable, str(ROOT / "tests" / "data" / "hostile_reader.py"))
SAMPLE = Path(data.sample.__file__).parent
LIMITS = ReadingSettings(workers=1)


def hostile_pool(assets: Path) -> ReaderPool:
    return ReaderPool(LIMITS, assets, HOSTILE)


@pytest.fixture
def ray_nodes() -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine, with room for three workers."""
    pytest.importorskip("ray", reason="needs the extra `ray`")
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # the workers import the fakes
        patch.setenv("RAY_AUTH_MODE", "disabled")  # otherwise Ray saves a token for the user
        patch.delenv("RAY_ADDRESS", raising=False)
        store = {"object_store_memory": 100_000_000}
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "include_dashboard": False, **store},
        )
        cluster.add_node(num_cpus=2, **store)
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        yield ray
        ray.shutdown()
        cluster.shutdown()


def book(root: Path) -> Path:
    """Write PDFs, cards of the sample, an archive, pictures, and files that crash their readers."""
    write_papers(root, 4, seed=1)
    cards = sorted((SAMPLE / "cards").glob("*.md"))[:8]
    for card in cards[:6]:
        (root / card.name).write_text(card.read_text().replace("../figures/", "figures/"))
    shutil.copytree(SAMPLE / "figures", root / "figures", ignore=shutil.ignore_patterns("*.py"))
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        for n in range(5):
            archive.writestr(f"{n}.md", f"# Part {n}\n\nA wave carries energy {n}.\n")
    (root / "find-crash.txt").write_text("A word.\n")
    (root / "read-crash.txt").write_text("A word.\n\nAnother.\n")
    (root / "broken.md").write_bytes(b"# Waves\x00\xff\xfe\n")
    return root


def run(home: Path, book: Path, *, kill: Path | None = None, on_ray: bool = False) -> IndexReport:
    bench = IndexingBench(home)
    bench.indexer.ocr = bench.ocr = CachedOcr(OcrCache(home / "labels.db"))
    files = WorkspaceFiles(home / "embeddings.db", home / "labels.db", home / "assets")
    bench.indexer.readers = (
        (lambda: RayPool(ClusterSettings(), files, partial(fake_worker_models, kill), hostile_pool))
        if on_ray
        else partial(hostile_pool, home / "assets")
    )
    report = bench.indexer.index(book, "book")
    if on_ray:  # only the workers encoded and read
        assert (bench.encoded(), bench.ocr.calls) == ((0, 0), 0)
    bench.store.close()
    bench.catalog.close()
    bench.encoders.cache.close()  # type: ignore[attr-defined]
    return report


def comparable(report: IndexReport) -> dict[str, Any]:
    """Return the report without times and without the order of documents."""
    report_json = report.to_json()
    del report_json["seconds"], report_json["items_per_second"]
    for rows in (report_json["dead_letters"], report_json["problems"]):
        rows.sort(key=lambda row: (row["source"], row["anchor"]))
    return report_json


def picture_names(home: Path) -> set[str]:
    return {path.name for path in (home / "assets").rglob("*") if path.is_file()}


def test_a_cluster_that_loses_a_worker_gives_the_result_of_a_local_run(
    ray_nodes: Any, tmp_path: Path
) -> None:
    root, kill = book(tmp_path / "book"), tmp_path / "kill"
    local_report = run(tmp_path / "local", root)
    kill.touch()
    ray_report = run(tmp_path / "ray", root, kill=kill, on_ray=True)
    (killed_worker,) = tmp_path.glob("kill.*")  # a worker was killed between two pictures
    assert not (Path("/proc") / killed_worker.suffix[1:]).exists()
    comparison = compare_collections(
        read_collection(tmp_path / "local"), read_collection(tmp_path / "ray")
    )
    assert comparison.identical, comparison
    assert comparison.largest_difference < 1e-6  # the fakes do not depend on their batch
    assert comparison.items > 80
    assert comparable(local_report) == comparable(ray_report)
    assert {t.source for t in ray_report.dead_letters} == {
        "broken.md",
        "find-crash.txt",
        "read-crash.txt",
    }
    assert picture_names(tmp_path / "local") == picture_names(tmp_path / "ray")
    rerun = run(tmp_path / "ray", root)  # a local run continues the catalog of the cluster
    assert (rerun.unchanged, rerun.new, rerun.changed) == (ray_report.new, 0, 0)
    assert set(rerun.dead_letters) == set(ray_report.dead_letters)


class LocalWorkspaceLink:
    """A workspace on this machine. `earlier_deaths` counts the workers that died before, by key."""

    def __init__(self, root: Path, earlier_deaths: dict[str, int] | None = None) -> None:
        self._keeper = WorkspaceKeeper(
            WorkspaceFiles(root / "embeddings.db", root / "labels.db", root / "assets")
        )
        self.embeddings, self.labels = (
            EmbeddingCache(root / "embeddings.db"),
            OcrCache(root / "labels.db"),
        )
        self.store_picture, self.end = self._keeper.store_picture, self._keeper.end
        self.begin = self._keeper.begin
        for key, times in (earlier_deaths or {}).items():
            for _ in range(times):
                self.begin(key)


def worker(
    home: LocalWorkspaceLink, entries: dict[str, CatalogEntry] | None = None
) -> ClusterWorker:
    plan = ReadingPlan(entries or {}, False, True)
    return ClusterWorker(
        home, partial(fake_worker_models, None), partial(ReaderPool, LIMITS), "book", plan
    )


@pytest.mark.parametrize("shares", [1, 3])
def test_shares_of_an_archive_cover_each_document_once(tmp_path: Path, shares: int) -> None:
    root = book(tmp_path / "book")
    unit = Unit(root / "more.zip", root, "more.zip", is_container=True)
    home = LocalWorkspaceLink(tmp_path / "home")
    cluster_worker = worker(home)
    events = [
        e for n in range(shares) for e in cluster_worker.do(n, ReadingTask((unit,), (n, shares)))
    ]
    cluster_worker.close()
    starts = [e.source for e in events if isinstance(e, DocumentStart)]
    assert sorted(starts) == [f"more.zip/{n}.md" for n in range(5)]
    assert [e for e in events if isinstance(e, Count)] == [Count(5)]
    texts = [searchable_text(e.item) for e in events if isinstance(e, ItemRead)]
    assert len(home.embeddings.get("word-counts", 64, map(text_digest, texts))) == 5


def test_a_document_that_kills_its_workers_fails_alone(tmp_path: Path) -> None:
    for name in ("bad.md", "good.md"):
        (tmp_path / name).write_text("# Waves\n\nA wave carries energy.\n")
    bad, good = (Unit(tmp_path / name, tmp_path, name) for name in ("bad.md", "good.md"))
    home = LocalWorkspaceLink(tmp_path / "home", {"task 7": 3, "task 7: bad.md": 2})
    cluster_worker = worker(home)
    failed, *rest = cluster_worker.do(7, ReadingTask((bad, good)))
    cluster_worker.close()
    assert isinstance(failed, UnitFailed)
    assert failed.unit == bad
    assert "3 workers died" in failed.reason
    assert [e.source for e in rest if isinstance(e, DocumentStart)] == ["good.md"]
    assert home.begin("task 7") == 0  # the task was completed


def test_workers_that_always_die_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(UniragError, match="16 workers of the Ray cluster died"):
        LocalWorkspaceLink(tmp_path, {"task 1": 20})


def test_a_worker_without_the_documents_is_an_error(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "gone" / "a.md", tmp_path / "gone", "a.md")
    with pytest.raises(UniragError, match="storage that every machine of the cluster sees"):
        worker(LocalWorkspaceLink(tmp_path)).do(1, ReadingTask((unit,)))


def test_tasks_hold_every_unit_once_and_keep_all_workers_busy(tmp_path: Path) -> None:
    for n in range(300):
        (tmp_path / f"{n:03}.md").touch()
    units = [Unit(tmp_path / f"{n:03}.md", tmp_path, f"{n:03}.md") for n in range(300)]
    for workers, least in ((1, 5), (8, 30), (1000, 300)):
        tasks = split_into_tasks(units, workers)
        assert [u for task in tasks for u in task.units] == units
        assert len(tasks) >= least
        assert max(len(task.units) for task in tasks) <= 64
    folder = Unit(tmp_path, tmp_path, ".", is_container=True)
    assert [t.share for t in split_into_tasks([folder], 3)] == [(0, 3), (1, 3), (2, 3)]


def test_an_unreachable_cluster_is_reported_with_its_address(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    files = WorkspaceFiles(tmp_path / "v.db", tmp_path / "l.db", tmp_path / "assets")
    settings = ClusterSettings(address="127.0.0.1:9")
    with (
        pytest.raises(BadSetting, match=r"no Ray cluster at '127.0.0.1:9' .*ray start --head"),
        RayPool(settings, files, partial(fake_worker_models, None), hostile_pool),
    ):
        pass


def test_without_ray_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    files = WorkspaceFiles(tmp_path / "v.db", tmp_path / "l.db", tmp_path / "assets")
    with (
        pytest.raises(Missing, match=r"pip install 'unirag\[ray\]'"),
        RayPool(ClusterSettings(), files, partial(fake_worker_models, None), hostile_pool),
    ):
        pass
