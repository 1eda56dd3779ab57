"""Indexing that is killed at random points gives the result of an undisturbed run."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import data.sample
from benchmarks.index_kills import (
    compare_collections,
    read_collection,
    run_with_kills,
    write_papers,
)
from data.readers import scan
from unirag.workspace.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Path(data.sample.__file__).parent
KILLS = 6
# with fake models: the test covers the steps between them
SCRIPT = """
import sys
from pathlib import Path
from tests.fakes import IndexingBench
bench = IndexingBench(Path(sys.argv[1]))
for name, folder in (("sample", sys.argv[2]), ("papers", sys.argv[3])):
    bench.indexer.index(Path(folder), name)
bench.store.close()
"""


def test_indexing_ends_the_same_after_many_kills(tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    write_papers(papers, 5, seed=1)
    options = {"cwd": ROOT, "env": {**os.environ, "TMPDIR": str(tmp_path)}}

    def command(home: str) -> list[str]:
        return [sys.executable, "-c", SCRIPT, str(tmp_path / home), str(SAMPLE), str(papers)]

    started_at = time.perf_counter()
    subprocess.run(command("calm"), check=True, **options)  # type: ignore[call-overload]
    undisturbed = time.perf_counter() - started_at
    rng = random.Random(7)
    homes = run_with_kills(
        lambda n: command(f"killed-{n}"), KILLS, 0.8 * undisturbed, rng, **options
    )
    for home in (tmp_path / f"killed-{n}" for n in range(homes)):
        comparison = compare_collections(read_collection(tmp_path / "calm"), read_collection(home))
        assert comparison.identical, comparison
        assert comparison.largest_difference < 1e-6  # the fakes do not depend on their batch
        assert comparison.items > 150
        catalog = Catalog(home / "catalog.db")
        for name, folder in (("sample", SAMPLE), ("papers", papers)):
            entries = catalog.entries(name)
            assert entries.keys() == {document.source for document in scan(folder)}
            assert {entry.state for entry in entries.values()} == {"stored"}
        catalog.close()
