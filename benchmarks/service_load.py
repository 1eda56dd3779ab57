"""Measure the service under load: latency against its bare parts, rejections, and memory growth.

    python -m benchmarks.service_load [--seconds N] [--requests N] [--home DIR]

Runs `unirag serve` as a process of its own, with default settings, over a new home that holds the
sample corpus. Measures in this order:

1. bare: one forward of the encoder and one query of the store, in a process by itself
2. single requests without load
3. 50 clients without think time, which search by words and by sketches in turn
4. 8 questions at once
5. the memory of a new service over 2,000 consecutive searches

A search has three times. `client` is from sending to the whole answer, the wait for a turn
included. `server` is the service's own count, from the start of its turn. `unloaded` is a client's
time with no other client. A rejected client (429) waits as long as the reply asks for. Any status
but 200 and 429 is an error. Writes results/service_load.json (Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import io
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
from PIL import Image

import data.sample
import unirag
from benchmarks.environment import describe, write_results
from data.pictures import open_picture
from data.styles import restyle
from retrieval.store import ChannelQuery

SAMPLE = Path(data.sample.__file__).parent
CLIENTS, QUESTIONS, SEED, LIMIT = 50, 8, 7, 10
UNLOADED_REQUESTS, WARM_UP_REQUESTS = 40, 4
BARE_WARM_UP = 5  # calls
KINDS = ("text", "picture")
Json = dict[str, Any]
Bodies = Mapping[str, Sequence[Json]]  # request bodies by kind of search


def read_titles() -> list[str]:
    """Return the titles of the sample's cards."""
    cards = sorted((SAMPLE / "cards").glob("*.md"))
    matches = (re.search(r"^title: (.+)$", p.read_text(encoding="utf-8"), re.M) for p in cards)
    return [match[1] for match in matches if match]


def draw_sketches() -> list[Image.Image]:
    """Return the sample's figures as sketches."""
    figures = sorted((SAMPLE / "figures").glob("*.png"))
    return [restyle(open_picture(p), "sketch", p.name, SEED) for p in figures]


def build_bodies() -> dict[str, list[Json]]:
    """Return the bodies of the search requests, by kind."""
    pictures = []
    for sketch in draw_sketches():
        buffer = io.BytesIO()
        sketch.save(buffer, "PNG")
        pictures.append({"images": [{"data": base64.b64encode(buffer.getvalue()).decode()}]})
    return {"text": [{"text": title} for title in read_titles()], "picture": pictures}


def measure_bare(home: Path) -> dict[str, float]:
    """Return the median milliseconds of a forward and a store query, on decoded pictures."""
    with unirag.open(home=home) as app:
        components = app.components
        store, encoder, text = components.store, components.encoder, components.text

        def search_text(title: str) -> object:
            return store.search([ChannelQuery("text", text.encode_queries([title])[0])], LIMIT)

        def search_picture(sketch: Image.Image) -> object:
            return store.search([ChannelQuery("image", encoder.encode_image([sketch])[0])], LIMIT)

        return {
            "text": _median_ms(search_text, read_titles()),
            "picture": _median_ms(search_picture, draw_sketches()),
        }


def _median_ms(search: Callable[[Any], object], queries: Sequence[Any]) -> float:
    milliseconds = []
    for query in [*queries[:BARE_WARM_UP], *queries]:
        start = time.perf_counter()
        search(query)
        milliseconds.append(1000 * (time.perf_counter() - start))
    return round(statistics.median(milliseconds[BARE_WARM_UP:]), 2)


def _lists_by_kind() -> dict[str, list[Any]]:
    return {kind: [] for kind in KINDS}


@dataclass
class SearchLog:
    """The milliseconds of the answered searches by kind, the rejections and the errors."""

    client: dict[str, list[float]] = field(default_factory=_lists_by_kind)
    server: dict[str, list[float]] = field(default_factory=_lists_by_kind)
    steps: dict[str, list[dict[str, float]]] = field(default_factory=_lists_by_kind)
    rejected: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, reply: httpx.Response, seconds: float) -> None:
        """Record one reply."""
        if reply.status_code == 200:
            self.client[kind].append(1000 * seconds)
            self.steps[kind].append(reply.json()["timings_ms"])
            self.server[kind].append(self.steps[kind][-1]["total"])
        elif reply.status_code == 429:
            self.rejected += 1
        else:
            self.errors[f"{reply.status_code}: {reply.text[:120]}"] += 1


@contextlib.contextmanager
def running_service(home: Path, log: Path) -> Iterator[tuple[str, int]]:
    """Start a service, wait until it is ready, and yield its address and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "unirag", "serve", "--home", str(home), "--port", str(port)]
    with log.open("w") as handle:
        process = subprocess.Popen(command, stdout=handle, stderr=handle)
        try:
            for _ in range(1200):
                if (code := process.poll()) is not None:
                    raise SystemExit(f"the service ended with {code}:\n{log.read_text()}")
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(f"{address}/readyz").status_code == 200:
                        break
                time.sleep(0.1)
            else:
                raise SystemExit(f"the service was not ready in time:\n{log.read_text()}")
            yield address, process.pid
        finally:
            process.terminate()
            process.wait()


def search_in_sequence(
    address: str,
    bodies: Bodies,
    count: int,
    after_each: Callable[[int], None] = lambda _: None,
) -> SearchLog:
    """Search by words and by pictures in turn, one request after the other.

    `after_each` gets the number of searches so far.
    """
    log = SearchLog()
    with httpx.Client(base_url=address, timeout=120) as client:
        for i in range(count):
            kind = KINDS[i % 2]
            body = bodies[kind][i // 2 % len(bodies[kind])]
            start = time.perf_counter()
            reply = client.post("/v1/search", json={**body, "limit": LIMIT})
            log.add(kind, reply, time.perf_counter() - start)
            after_each(i + 1)
    return log


async def search_under_load(address: str, bodies: Bodies, seconds: float) -> Json:
    """Let every client search until the time is over, and wait for the pending searches."""
    log, start = SearchLog(), time.perf_counter()
    end = start + seconds
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as http:

        async def run_client(number: int) -> None:
            turn = number
            while (request_start := time.perf_counter()) < end:
                kind = KINDS[turn % 2]
                body = bodies[kind][(turn // 2 + 7 * number) % len(bodies[kind])]
                try:
                    reply = await http.post("/v1/search", json={**body, "limit": LIMIT})
                except httpx.TransportError as error:
                    log.errors[type(error).__name__] += 1
                    continue
                log.add(kind, reply, time.perf_counter() - request_start)
                if reply.status_code == 429:
                    pause = float(reply.headers["Retry-After"])
                    await asyncio.sleep(min(pause, max(0.0, end - time.perf_counter())))
                else:
                    turn += 1  # a rejected client repeats its request

        await asyncio.gather(*(run_client(n) for n in range(CLIENTS)))
    elapsed = time.perf_counter() - start
    answered = sum(len(times) for times in log.client.values())
    return {
        "clients": CLIENTS,
        "seconds": round(elapsed, 1),
        "answered": answered,
        "requests_per_second": round(answered / elapsed, 2),
        "rejected_429": log.rejected,
        "errors": dict(log.errors),
        "milliseconds": {
            kind: {
                "client": percentiles(log.client[kind]),
                "server": percentiles(log.server[kind]),
            }
            for kind in KINDS
        },
    }


async def ask_together(address: str, questions: Sequence[str]) -> Json:
    """Ask all questions at once; return the seconds until the first and the last answer."""
    start = time.perf_counter()
    answered_after: list[float] = []
    async with httpx.AsyncClient(base_url=address, timeout=300) as http:

        async def ask(question: str) -> int:
            reply = await http.post("/v1/ask", json={"text": question})
            answered_after.append(time.perf_counter() - start)
            return reply.status_code

        statuses = await asyncio.gather(*(ask(q) for q in questions))
    return {
        "questions": len(questions),
        "statuses": {str(code): count for code, count in Counter(statuses).items()},
        "first_s": round(min(answered_after), 2),
        "last_s": round(max(answered_after), 2),
    }


def measure_memory(address: str, pid: int, bodies: Bodies, requests: int) -> Json:
    """Return the resident MB after a tenth, a half and all of the searches, and the growth."""
    checkpoints = (requests // 10, requests // 2, requests)
    resident: dict[str, dict[str, float]] = {}

    def after_each(count: int) -> None:
        if count in checkpoints:
            resident[str(count)] = resident_megabytes(pid)

    log = search_in_sequence(address, bodies, requests, after_each)
    first, last = resident[str(checkpoints[0])], resident[str(checkpoints[-1])]
    return {
        "searches": requests,
        "errors": dict(log.errors),
        "resident_mb_after": resident,
        "growth_mb": {name: round(last[name] - first[name], 1) for name in last},
    }


def resident_megabytes(pid: int) -> dict[str, float]:
    """Return the resident MB of a process, and of its children together."""

    def megabytes(process: int) -> float:
        status = Path(f"/proc/{process}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(match[1]) / 1000 if match else 0.0

    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    workers = sum(map(megabytes, children))
    return {"service": round(megabytes(pid), 1), "workers": round(workers, 1)}


def percentiles(times: Sequence[float]) -> dict[str, float] | None:
    """Return p50, p95 and p99, or None if there are no times."""
    if not times:
        return None
    return {f"p{p}": round(float(np.percentile(times, p)), 1) for p in (50, 95, 99)}


def step_medians(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each step that the service times in a search."""
    names = dict.fromkeys(name for search in steps for name in search)
    return {n: round(statistics.median(s[n] for s in steps if n in s), 1) for n in names}


def p95_ratios(bare_ms: Mapping[str, float], unloaded: SearchLog, load: Json) -> Json:
    """Return the 95th percentiles over the bare forward and store query."""
    ratios: Json = {}
    for kind in KINDS:
        times = {"unloaded": percentiles(unloaded.client[kind]), **load["milliseconds"][kind]}
        ratios[kind] = {
            name: values and round(values["p95"] / bare_ms[kind], 1)
            for name, values in times.items()
        }
    return ratios


def table(results: Json) -> str:
    """Format the times and their ratios to the bare parts."""
    columns = ("search", "time", "p50 ms", "p95 ms", "p99 ms", "p95 / bare")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for kind in KINDS:
        lines.append(f"| {kind} | bare | {results['bare_ms'][kind]} | | | 1 |")
        rows = {"unloaded": results["unloaded_ms"][kind], **results["load"]["milliseconds"][kind]}
        for name, values in rows.items():
            cells = " | ".join(str(v) for v in values.values()) if values else "- | - | -"
            lines.append(f"| {kind} | {name} | {cells} | {results['p95_over_bare'][kind][name]} |")
    return "\n".join(lines)


def main() -> None:
    """Run all measurements, write the results, and exit with 1 on an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of load")
    parser.add_argument("--requests", type=int, default=2000, help="for the growth of memory")
    parser.add_argument("--home", type=Path, help="kept for the next run; default: a new one")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)  # a process of its own
    options = parser.parse_args()
    if options.bare:
        print(json.dumps(measure_bare(options.bare)))
        return
    bodies = build_bodies()
    with TemporaryDirectory(prefix="unirag-load-") as folder:
        home, log = options.home or Path(folder) / "home", Path(folder) / "log"
        _run_module(
            "unirag", "index", str(SAMPLE), "--corpus", "sample", "--home", str(home), "--json"
        )
        bare_ms = json.loads(_run_module("benchmarks.service_load", "--bare", str(home)))
        with running_service(home, log) as (address, _):
            search_in_sequence(address, bodies, WARM_UP_REQUESTS)
            unloaded = search_in_sequence(address, bodies, UNLOADED_REQUESTS)
            load = asyncio.run(search_under_load(address, bodies, options.seconds))
            asks = asyncio.run(ask_together(address, read_titles()[:QUESTIONS]))
        results = {
            **describe(("torch", "fastapi", "uvicorn")),
            "cores": len(os.sched_getaffinity(0)),
            "seed": SEED,
            "bare_ms": bare_ms,
            "unloaded_ms": {kind: percentiles(unloaded.client[kind]) for kind in KINDS},
            "unloaded_steps_ms": {kind: step_medians(unloaded.steps[kind]) for kind in KINDS},
            "load": load,
            "p95_over_bare": p95_ratios(bare_ms, unloaded, load),
            "asks": asks,
        }
        write_results("service_load", results)  # keep it: the memory run takes the longest
        with running_service(home, log) as (address, pid):
            memory = measure_memory(address, pid, bodies, options.requests)
        results["memory"] = memory
    write_results("service_load", results)
    print(table(results))
    print("unloaded, median ms of a step:", results["unloaded_steps_ms"])
    print(json.dumps({"load": load, "asks": asks, "memory": memory}, indent=1))
    failed = load["errors"] or memory["errors"] or set(asks["statuses"]) != {"200"}
    sys.exit(bool(failed))


def _run_module(*arguments: str) -> str:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
