"""Locate the books and the results, and describe the machine of a measurement."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from unirag.models.devices import choose_device, describe_device

__all__ = [
    "BENCHMARKS",
    "CORPORA",
    "HOME",
    "REPOSITORY",
    "RESULTS",
    "SHARED",
    "describe",
    "short_commit",
    "write_results",
]

BENCHMARKS = Path(__file__).resolve().parent
REPOSITORY = BENCHMARKS.parent
RESULTS = BENCHMARKS / "results"
CORPORA = Path(os.environ.get("UNIRAG_TEST_CORPORA", REPOSITORY.parent / "shared" / "corpora"))
SHARED = CORPORA.parent
HOME = user_cache_path("unirag") / "benchmark-home"


def describe(libraries: Iterable[str]) -> dict[str, Any]:
    """Return the device, the commit and the versions that belong to every figure."""
    return {
        "device": describe_device(choose_device()),
        "commit": _commit(),
        "versions": {name: version(name) for name in libraries},
    }


def write_results(name: str, results: Mapping[str, Any]) -> str:
    """Write `results/NAME.json` and return its text."""
    text = json.dumps(results, indent=1)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    return text


def short_commit(commit: str) -> str:
    """Return a commit as the tables print it; one with uncommitted changes says so."""
    return commit[:12] + " with uncommitted changes" * commit.endswith("-dirty")


def _commit() -> str:
    """Return the commit, with `-dirty` if anything but the benchmarks' results has changed."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--", ":/", ":(top,exclude)benchmarks/results")
    return f"{commit}-dirty" if commit and changes else commit


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    run = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=False)
    return run.stdout.strip()
