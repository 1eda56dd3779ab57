"""Time functions on a GPU with three clocks, and describe the machine for the results.

Imports only torch and Triton, because a machine with a GPU may have nothing else.
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
    # Triton reads this when it is imported; its kernels then run on the CPU.
    os.environ.setdefault("TRITON_INTERPRET", "1")

__all__ = ["CUDA", "DEVICE", "OUT", "Arm", "add_ratios", "environment", "parse_smoke", "time_arms"]

DEVICE = "cuda" if CUDA else "cpu"
BENCHMARKS = Path(__file__).resolve().parent
OUT = Path(os.environ.get("OUT") or BENCHMARKS / "results")
CALLS_PER_ROUND = 10
Arm = Callable[[], object]  # one way to compute a result, without arguments


def parse_smoke(module: str, doc: str) -> bool:
    """Return whether the command line says `--smoke`; exit if it does not and there is no GPU."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=doc.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="use tiny sizes and write nothing")
    smoke = bool(parser.parse_args().smoke)
    if not CUDA:
        print("No CUDA device found: this run shows that the code works. Its times mean nothing.")
        if not smoke:
            sys.exit(f"python -m {module} needs a GPU; pass --smoke to run its code without one")
    return smoke


def quartiles_us(seconds: list[float]) -> list[float]:
    """Return the median, the lower and the upper quartile in microseconds."""
    lower, median, upper = statistics.quantiles(seconds, n=4)
    return [round(s * 1e6, 2) for s in (median, lower, upper)]


def capture_graph(run: Arm) -> torch.cuda.CUDAGraph:
    """Capture `CALLS_PER_ROUND` calls in a CUDA graph, after a warm-up."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS_PER_ROUND):
            run()
    return graph


def gpu_seconds(work: Callable[[], object]) -> float:
    """Time one call with the GPU's clock, or with the CPU's clock if there is no GPU."""
    if not CUDA:
        start_time = time.perf_counter()
        work()
        return time.perf_counter() - start_time
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    work()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def wall_seconds(run: Arm) -> float:
    """Return the mean wall time of one call over `CALLS_PER_ROUND` calls, launches included."""
    if CUDA:
        torch.cuda.synchronize()
    start_time = time.perf_counter()
    for _ in range(CALLS_PER_ROUND):
        run()
    if CUDA:
        torch.cuda.synchronize()
    return (time.perf_counter() - start_time) / CALLS_PER_ROUND


def time_arms(arms: dict[str, Arm], rounds: int) -> dict[str, dict[str, Any]]:
    """Time every arm with CUDA graphs, the wall clock and `do_bench`, in interleaved rounds.

    Each clock gives [median, lower quartile, upper quartile] in microseconds.
    """
    times: dict[str, dict[str, Any]] = {name: {} for name in arms}
    graphs: dict[str, torch.cuda.CUDAGraph] = {}
    for name, run in arms.items():
        run()
        if CUDA:
            try:
                graphs[name] = capture_graph(run)
            except RuntimeError as error:
                times[name]["graph_error"] = str(error)[:200]
    samples: dict[str, dict[str, list[float]]] = {n: {"wall": [], "graph": []} for n in arms}
    for _ in range(rounds):
        for name, run in arms.items():
            samples[name]["wall"].append(wall_seconds(run))
            if name in graphs:
                seconds = gpu_seconds(graphs[name].replay) / CALLS_PER_ROUND
                samples[name]["graph"].append(seconds)
    for name, run in arms.items():
        for clock, values in samples[name].items():
            if values:
                times[name][clock] = quartiles_us(values)
        if CUDA:
            from triton.testing import do_bench

            quartiles = do_bench(run, warmup=5, rep=40, quantiles=[0.5, 0.25, 0.75])
            times[name]["do_bench"] = [round(1e3 * q, 2) for q in quartiles]
    return times


def add_ratios(times: dict[str, dict[str, Any]], base: str = "plain") -> None:
    """Add to every arm and clock the ratio of its median to the median of `base`."""
    for clocks in times.values():
        for clock in ("graph", "wall", "do_bench"):
            if clock in clocks and clock in times[base]:
                ratio = clocks[clock][0] / times[base][clock][0]
                clocks[f"ratio_{clock}"] = round(ratio, 3)


def environment() -> dict[str, Any]:
    """Return the device, versions, clocks and commit that belong to every figure."""

    def output(*command: str) -> str:
        try:
            run = subprocess.run(
                command, cwd=BENCHMARKS, capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
        return run.stdout.strip()

    fields = "driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit"
    return {
        "device": torch.cuda.get_device_name() if CUDA else "no GPU",
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "triton": _triton_version(),
        "cuda": torch.version.cuda,
        fields: output("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"),
        "commit": output("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
    }


def _triton_version() -> str:
    try:
        import triton
    except ImportError:
        return "none"
    return str(triton.__version__)
