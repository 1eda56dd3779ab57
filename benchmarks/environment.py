"""Where the books are, where results go, and what every result names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from unirag.models.devices import choose_device, describe_device

__all__ = ["CORPORA", "HERE", "HOME", "describe"]

HERE = Path(__file__).resolve().parent
CORPORA = Path(os.environ.get("UNIRAG_TEST_CORPORA", HERE.parent.parent / "shared" / "corpora"))
HOME = user_cache_path("unirag") / "benchmark-home"


def describe(libraries: Iterable[str]) -> dict[str, Any]:
    """Device, commit and versions: what a figure means nothing without."""
    return {
        "device": describe_device(choose_device()),
        "commit": _commit(),
        "versions": {name: version(name) for name in libraries},
    }


def _commit() -> str:
    """The commit, with `-dirty` where the tree has changes other than the results of benchmarks."""
    found = _git("rev-parse", "HEAD")
    others = _git("status", "--porcelain", "--", ":/", ":(top,exclude)benchmarks/results")
    return f"{found}-dirty" if found and others else found


def _git(*words: str) -> str:
    run = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=False)
    return run.stdout.strip()
