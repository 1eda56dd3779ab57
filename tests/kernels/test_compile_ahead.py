"""Every shipped tile compiles without spills, fits into shared memory and uses tensor cores."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Bytes of shared memory that a program may use. sm_80 itself has 166,912, but its tiles also serve
# sm_86, sm_89 and sm_120, which have the least.
MAX_SHARED_BYTES = {80: 101_376, 90: 232_448, 100: 232_448}


@pytest.mark.parametrize("arch", MAX_SHARED_BYTES)
def test_every_shipped_tile_compiles_well(arch, tmp_path):
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    # A process of its own, because Triton may be in interpreter mode in this one.
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("compile_ahead.py")), str(arch)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    programs = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(programs) > 20
    assert not [p for p in programs if p["stack"] or p["shared"] > MAX_SHARED_BYTES[arch]]
    # fp32 is multiplied exactly, without tensor cores; the gate gradient only sums.
    assert not [p["name"] for p in programs if "bf16" in p["name"] and not p["tensor_cores"]]
