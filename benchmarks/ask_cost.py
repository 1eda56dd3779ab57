"""Compare what a question costs with another version of the code: time, memory, search latency.

    git worktree add ../before COMMIT
    python -m benchmarks.ask_cost --before ../before

Both versions index the sample corpus into a workspace of their own. Then processes of the two take
turns, `--pairs` times each. A process answers one question, which loads the models, then
searches and asks `QUESTIONS`, and reports the time of each and its peak memory.
A second kind of process runs the whole command `unirag ask` and reports its wall time and its peak
memory. Every figure is a ratio of this version to the other one, pair by pair and question by
question (a question whose evidence differs must not move the others); the table gives the median of
the pairs and their extremes. Both versions run in the same virtual environment.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.environment import REPOSITORY, describe, write_results

QUESTIONS = (
    "Why does a ray of light bend when it enters glass?",
    "What sets the period of a pendulum?",
    "How does a hydraulic press multiply force?",
    "What does an enzyme do to a reaction?",
    "How do plants store the energy of light?",
    "Why do levers lift heavy loads?",
    "What happens to gas pressure when the temperature rises?",
    "How does a neural network learn?",
)
_WORKER = """
import json, resource, sys, time
import unirag
home, questions = sys.argv[1], json.loads(sys.argv[2])
with unirag.open(home=home, ocr=False) as app:
    app.ask(questions[0])
    searches, answers = [], []
    for question in questions:
        started = time.perf_counter()
        app.search(question, limit=5)
        searches.append(time.perf_counter() - started)
        started = time.perf_counter()
        app.ask(question, limit=5)
        answers.append(time.perf_counter() - started)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"search_s": searches, "ask_s": answers, "peak_mb": peak / 1024}))
"""


def main() -> None:
    """Run the pairs, print the ratios and write results/ask_cost.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="checkout of another version")
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    versions = {"before": options.before.resolve(), "after": REPOSITORY}
    with tempfile.TemporaryDirectory(prefix="unirag-ask-cost-") as folder:
        homes = {name: Path(folder) / name for name in versions}
        for name, checkout in versions.items():
            _index(checkout, homes[name])
        runs: dict[str, list[dict[str, list[float]]]] = {name: [] for name in versions}
        for number in range(options.pairs):
            order = list(versions) if number % 2 == 0 else list(versions)[::-1]
            for name in order:
                run = _measure(versions[name], homes[name])
                runs[name].append(run)
                print(name, {key: round(median(v), 4) for key, v in run.items()}, flush=True)
    ratios = {
        key: _summary([_ratio(a[key], b[key]) for a, b in zip(*_sides(runs), strict=True)])
        for key in runs["after"][0]
    }
    print(
        write_results(
            "ask_cost",
            {
                **describe(("torch", "transformers", "qdrant-edge-py")),
                "before_commit": _commit(options.before),
                "questions": len(QUESTIONS),
                "pairs": options.pairs,
                "ratios_after_to_before": ratios,
                "medians": {
                    name: {key: round(median(median(r[key]) for r in side), 4) for key in side[0]}
                    for name, side in runs.items()
                },
            },
        )
    )


def _sides(runs: Mapping[str, list[dict[str, list[float]]]]) -> tuple[Any, Any]:
    return runs["after"], runs["before"]


def _ratio(after: list[float], before: list[float]) -> float:
    """Return the median over the questions of the ratio of one question."""
    return median(a / b for a, b in zip(after, before, strict=True))


def _summary(ratios: list[float]) -> dict[str, float]:
    return {
        "median": round(median(ratios), 3),
        "min": round(min(ratios), 3),
        "max": round(max(ratios), 3),
    }


def _environment(checkout: Path) -> dict[str, str]:
    """Return the environment in which Python imports the packages of `checkout`."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("UNIRAG_")
    }
    return {
        **inherited,
        "PYTHONPATH": str(checkout),
        "OMP_WAIT_POLICY": "PASSIVE",
        "UNIRAG_DTYPE": "float32",  # vectors in bf16 depend on the batch, and so do answers
    }


def _index(checkout: Path, home: Path) -> None:
    sample = str(checkout / "data" / "sample")
    command = [sys.executable, "-m", "unirag", "index", sample, "--corpus", "sample"]
    subprocess.run(
        [*command, "--home", str(home), "--no-ocr"],
        cwd=checkout,
        env=_environment(checkout),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _measure(checkout: Path, home: Path) -> dict[str, list[float]]:
    """Return the figures of one process with many questions and of one whole command."""
    worker = subprocess.run(
        [sys.executable, "-c", _WORKER, str(home), json.dumps(QUESTIONS)],
        cwd=checkout,
        env=_environment(checkout),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    inside = json.loads(worker.stdout.splitlines()[-1])
    seconds, peak_mb = _time_command(checkout, home)
    return {
        "search p50, s": inside["search_s"],
        "ask p50, s": inside["ask_s"],
        "peak memory of many questions, MB": [inside["peak_mb"]],
        "whole command `unirag ask`, s": [seconds],
        "peak memory of the command, MB": [peak_mb],
    }


def _time_command(checkout: Path, home: Path) -> tuple[float, float]:
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "unirag", "ask", QUESTIONS[0], "--home", str(home)],
        cwd=checkout,
        env={**_environment(checkout), "UNIRAG_OCR": "false"},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"`unirag ask` failed in {checkout} with status {status}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
