"""A training on two processes, without a GPU and from a cold cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.checkpoint import load_checkpoint, read_card
from tests.unirag.test_training import corpus, manifest, settings
from unirag.models.encoders import build_mini_tower

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.models
def test_two_processes_train_one_encoder_from_a_cold_cache(models, tmp_path):
    pairs = manifest(tmp_path / "own", corpus(tmp_path / "book", 8), 8)
    steps = {"method": "tower", "steps": 2, "figures": 4, "warmup": 1}
    run_file = settings(tmp_path, manifest=str(pairs), train=steps)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += ["-m", "unirag", "train", str(run_file), "--out", str(tmp_path / "ours")]
    environment = {
        **os.environ,
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "UNIRAG_MODELS": str(models),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.count("tiny is in") == 2  # one line of each process
    states = sorted(path.name for path in (tmp_path / "ours").rglob("random_states_*"))
    assert states == ["random_states_0.pkl", "random_states_1.pkl"]
    assert not list((tmp_path / "cache").rglob("*.part"))
    assert {"sketch", "night", "text"} <= set(read_card(tmp_path / "ours").styles)
    load_checkpoint(tmp_path / "ours", build_mini_tower)
