"""Timing on a GPU by three clocks, and what every such result names.

Needs torch and Triton alone: machines with a GPU may have nothing else.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

CUDA = torch.cuda.is_available()
if not CUDA:
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before Triton: its kernels run on the CPU

__all__ = ["CUDA", "DEVICE", "OUT", "Arm", "about", "ratios", "smoke_asked", "timed"]

DEVICE = "cuda" if CUDA else "cpu"
HERE = Path(__file__).resolve().parent
OUT = Path(os.environ.get("OUT") or HERE / "results")
CALLS = 10  # of an arm at a turn
Arm = Callable[[], object]


def smoke_asked(module: str, doc: str) -> bool:
    """Whether the command line says `--smoke`; without it and without a GPU the program ends."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=doc.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="tiny sizes; nothing is written")
    smoke = bool(parser.parse_args().smoke)
    if not CUDA:
        print("No CUDA device is here: this shows that the code runs, and no time means anything.")
        if not smoke:
            sys.exit(f"python -m {module} needs a GPU; --smoke runs its code anywhere")
    return smoke


def spread(values: list[float]) -> list[float]:
    """Median and quartiles in microseconds."""
    low, middle, high = statistics.quantiles(values, n=4)
    return [round(v * 1e6, 2) for v in (middle, low, high)]


def graphed(run: Arm) -> torch.cuda.CUDAGraph:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS):
            run()
    return graph


def seconds(work: Callable[[], object]) -> float:
    """By the GPU's own clock, or by the CPU's where there is none."""
    if not CUDA:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def wall(run: Arm) -> float:
    if CUDA:
        torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(CALLS):
        run()
    if CUDA:
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / CALLS


def timed(arms: dict[str, Arm], turns: int) -> dict[str, dict[str, Any]]:
    """By turns: graph, wall and do_bench of every arm, each [median, lower, upper] in µs."""
    found: dict[str, dict[str, Any]] = {name: {} for name in arms}
    graphs: dict[str, torch.cuda.CUDAGraph] = {}
    for name, run in arms.items():
        run()
        if CUDA:
            try:
                graphs[name] = graphed(run)
            except RuntimeError as error:
                found[name]["graph_error"] = str(error)[:200]
    samples: dict[str, dict[str, list[float]]] = {n: {"wall": [], "graph": []} for n in arms}
    for _ in range(turns):
        for name, run in arms.items():
            samples[name]["wall"].append(wall(run))
            if name in graphs:
                samples[name]["graph"].append(seconds(graphs[name].replay) / CALLS)
    for name, run in arms.items():
        for clock, values in samples[name].items():
            if values:
                found[name][clock] = spread(values)
        if CUDA:
            from triton.testing import do_bench

            quartiles = do_bench(run, warmup=5, rep=40, quantiles=[0.5, 0.25, 0.75])
            found[name]["do_bench"] = [round(1e3 * q, 2) for q in quartiles]
    return found


def ratios(times: dict[str, dict[str, Any]], base: str = "plain") -> None:
    """Add to every arm the ratio of its medians to those of `base`, clock by clock."""
    for clocks in times.values():
        for clock in ("graph", "wall", "do_bench"):
            if clock in clocks and clock in times[base]:
                ratio = clocks[clock][0] / times[base][clock][0]
                clocks[f"ratio_{clock}"] = round(ratio, 3)


def about() -> dict[str, Any]:
    """Device, versions, clocks and commit: what a figure means nothing without."""

    def said(*command: str) -> str:
        try:
            run = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
        return run.stdout.strip()

    fields = "driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit"
    return {
        "device": torch.cuda.get_device_name() if CUDA else "no GPU",
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "triton": _triton(),
        "cuda": torch.version.cuda,
        fields: said("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"),
        "commit": said("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
    }


def _triton() -> str:
    try:
        import triton
    except ImportError:
        return "none"
    return str(triton.__version__)
