"""How does the service behave under load, and does its memory grow?

    python -m benchmarks.service_load [--seconds N] [--requests N] [--home DIR]

`unirag serve` as a process of its own, with default settings, over a new home that holds the
sample corpus. In this order: what a search rests on, bare (one forward of the encoder and one
query of the store), in a process by itself; single requests without load; 50 clients without
think time, half of whose searches are words and half sketches; 8 questions at once; and, on a
service started anew, its memory over 2,000 searches one after the other.

Three times of a search are told apart: `client`, from sending to the whole answer, which holds the
wait for a turn; `server`, which the service counts from its turn on; and `unloaded`, a client's
with nobody else there. A client that is sent away (429) waits for as long as it is told. Whatever
is neither 200 nor 429 is an error. Writes results/service_load.json.
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
from benchmarks.environment import HERE, describe
from data.pictures import open_picture
from data.styles import restyle
from retrieval.store import ChannelQuery

SAMPLE = Path(data.sample.__file__).parent
CLIENTS, ASKS, SEED, LIMIT = 50, 8, 7, 10
SINGLE, WARM_UP = 20, 4  # requests of each kind without load, and before them
KINDS = ("text", "picture")
Body = dict[str, Any]


def titles() -> list[str]:
    cards = sorted((SAMPLE / "cards").glob("*.md"))
    found = (re.search(r"^title: (.+)$", p.read_text(encoding="utf-8"), re.M) for p in cards)
    return [match[1] for match in found if match]


def sketches() -> list[Image.Image]:
    figures = sorted((SAMPLE / "figures").glob("*.png"))
    return [restyle(open_picture(p), "sketch", p.name, SEED) for p in figures]


def bodies() -> dict[str, list[Body]]:
    """What is asked, of each kind."""
    pictures = []
    for sketch in sketches():
        buffer = io.BytesIO()
        sketch.save(buffer, "PNG")
        pictures.append({"images": [{"data": base64.b64encode(buffer.getvalue()).decode()}]})
    return {"text": [{"text": title} for title in titles()], "picture": pictures}


def bare(home: Path) -> dict[str, float]:
    """Median milliseconds of one forward and one store query, pictures decoded beforehand."""
    with unirag.open(home=home) as app:
        store, encoder, text = app.store, app.encoder, app.text

        def by_text(title: str) -> object:
            return store.search([ChannelQuery("text", text.encode_queries([title])[0])], LIMIT)

        def by_picture(sketch: Image.Image) -> object:
            return store.search([ChannelQuery("image", encoder.encode_image([sketch])[0])], LIMIT)

        return {"text": _median(by_text, titles()), "picture": _median(by_picture, sketches())}


def _median(work: Callable[[Any], object], given: Sequence[Any]) -> float:
    took = []
    for each in [*given[:5], *given]:  # the first five warm up
        began = time.perf_counter()
        work(each)
        took.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(took[5:]), 2)


@dataclass
class Served:
    """Milliseconds of the searches that were answered, by kind, and what else was answered."""

    client: dict[str, list[float]] = field(default_factory=lambda: {k: [] for k in KINDS})
    server: dict[str, list[float]] = field(default_factory=lambda: {k: [] for k in KINDS})
    steps: dict[str, list[dict[str, float]]] = field(default_factory=lambda: {k: [] for k in KINDS})
    sent_away: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def note(self, kind: str, reply: httpx.Response, took: float) -> None:
        if reply.status_code == 200:
            self.client[kind].append(1000 * took)
            self.steps[kind].append(reply.json()["timings_ms"])
            self.server[kind].append(self.steps[kind][-1]["total"])
        elif reply.status_code == 429:
            self.sent_away += 1
        else:
            self.errors[f"{reply.status_code}: {reply.text[:120]}"] += 1


@contextlib.contextmanager
def service(home: Path, log: Path) -> Iterator[tuple[str, int]]:
    """The address and the process id of a service that is ready."""
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


def in_turn(
    address: str,
    asked: Mapping[str, Sequence[Body]],
    searches: int,
    after: Callable[[int], None] = lambda _: None,
) -> Served:
    """Words and a picture in turn, one search after the other; `after` is told how many so far."""
    served = Served()
    with httpx.Client(base_url=address, timeout=120) as client:
        for i in range(searches):
            kind = KINDS[i % 2]
            body = asked[kind][i // 2 % len(asked[kind])]
            began = time.perf_counter()
            reply = client.post("/v1/search", json={**body, "limit": LIMIT})
            served.note(kind, reply, time.perf_counter() - began)
            after(i + 1)
    return served


async def load(address: str, asked: Mapping[str, Sequence[Body]], seconds: float) -> Body:
    """Every client asks on until its time is over; what is under way then is waited for."""
    served, began = Served(), time.perf_counter()
    end = began + seconds
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as http:

        async def client(number: int) -> None:
            turn = number
            while (sent := time.perf_counter()) < end:
                kind = KINDS[turn % 2]
                body = asked[kind][(turn // 2 + 7 * number) % len(asked[kind])]
                try:
                    reply = await http.post("/v1/search", json={**body, "limit": LIMIT})
                except httpx.TransportError as error:
                    served.errors[type(error).__name__] += 1
                    continue
                served.note(kind, reply, time.perf_counter() - sent)
                if reply.status_code == 429:
                    pause = float(reply.headers["Retry-After"])
                    await asyncio.sleep(min(pause, max(0.0, end - time.perf_counter())))
                else:
                    turn += 1  # whoever was sent away asks the same again

        await asyncio.gather(*(client(n) for n in range(CLIENTS)))
    took = time.perf_counter() - began
    answered = sum(len(times) for times in served.client.values())
    return {
        "clients": CLIENTS,
        "seconds": round(took, 1),
        "answered": answered,
        "requests_per_second": round(answered / took, 2),
        "sent_away_429": served.sent_away,
        "errors": dict(served.errors),
        "milliseconds": {
            kind: {
                "client": percentiles(served.client[kind]),
                "server": percentiles(served.server[kind]),
            }
            for kind in KINDS
        },
    }


async def asks(address: str, questions: Sequence[str]) -> Body:
    """All at once; seconds until the first and the last of them is answered."""
    began = time.perf_counter()
    done: list[float] = []
    async with httpx.AsyncClient(base_url=address, timeout=300) as http:

        async def ask(question: str) -> int:
            reply = await http.post("/v1/ask", json={"text": question})
            done.append(time.perf_counter() - began)
            return reply.status_code

        statuses = await asyncio.gather(*(ask(q) for q in questions))
    return {
        "questions": len(questions),
        "statuses": {str(code): count for code, count in Counter(statuses).items()},
        "first_s": round(min(done), 2),
        "last_s": round(max(done), 2),
    }


def memory(address: str, pid: int, asked: Mapping[str, Sequence[Body]], requests: int) -> Body:
    """Resident MB after a tenth of the searches, half of them and all; growth from the first."""
    marks = (requests // 10, requests // 2, requests)
    at: dict[str, dict[str, float]] = {}

    def after(count: int) -> None:
        if count in marks:
            at[str(count)] = resident(pid)

    served = in_turn(address, asked, requests, after)
    first, last = at[str(marks[0])], at[str(marks[-1])]
    return {
        "searches": requests,
        "errors": dict(served.errors),
        "resident_mb_after": at,
        "growth_mb": {name: round(last[name] - first[name], 1) for name in last},
    }


def resident(pid: int) -> dict[str, float]:
    """MB of the process, and of its children together."""

    def one(process: int) -> float:
        status = Path(f"/proc/{process}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(match[1]) / 1000 if match else 0.0

    below = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return {"service": round(one(pid), 1), "workers": round(sum(map(one, below)), 1)}


def percentiles(times: Sequence[float]) -> dict[str, float] | None:
    """None where nothing was answered."""
    if not times:
        return None
    return {f"p{p}": round(float(np.percentile(times, p)), 1) for p in (50, 95, 99)}


def medians(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each step by which the service times a search."""
    names = dict.fromkeys(name for each in steps for name in each)
    return {n: round(statistics.median(e[n] for e in steps if n in e), 1) for n in names}


def ratios(alone: Mapping[str, float], single: Served, loaded: Body) -> Body:
    """95th percentiles over the bare forward and store query."""
    over: Body = {}
    for kind in KINDS:
        times = {"unloaded": percentiles(single.client[kind]), **loaded["milliseconds"][kind]}
        over[kind] = {
            name: values and round(values["p95"] / alone[kind], 1) for name, values in times.items()
        }
    return over


def table(results: Body) -> str:
    columns = ("search", "time", "p50 ms", "p95 ms", "p99 ms", "p95 / bare")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for kind in KINDS:
        lines.append(f"| {kind} | bare | {results['bare_ms'][kind]} | | | 1 |")
        rows = {"unloaded": results["unloaded_ms"][kind], **results["load"]["milliseconds"][kind]}
        for name, values in rows.items():
            shown = " | ".join(str(v) for v in values.values()) if values else "- | - | -"
            lines.append(f"| {kind} | {name} | {shown} | {results['p95_over_bare'][kind][name]} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of load")
    parser.add_argument("--requests", type=int, default=2000, help="over which memory is watched")
    parser.add_argument("--home", type=Path, help="kept for the next run; else a new one")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)  # a process of its own
    options = parser.parse_args()
    if options.bare:
        print(json.dumps(bare(options.bare)))
        return
    asked = bodies()
    with TemporaryDirectory(prefix="unirag-load-") as folder:
        home, log = options.home or Path(folder) / "home", Path(folder) / "log"
        _run("unirag", "index", str(SAMPLE), "--corpus", "sample", "--home", str(home), "--json")
        alone = json.loads(_run("benchmarks.service_load", "--bare", str(home)))
        with service(home, log) as (address, _):
            in_turn(address, asked, WARM_UP)
            single = in_turn(address, asked, 2 * SINGLE)
            loaded = asyncio.run(load(address, asked, options.seconds))
            answered = asyncio.run(asks(address, titles()[:ASKS]))
        results = {
            **describe(("torch", "fastapi", "uvicorn")),
            "cores": len(os.sched_getaffinity(0)),
            "seed": SEED,
            "bare_ms": alone,
            "unloaded_ms": {kind: percentiles(single.client[kind]) for kind in KINDS},
            "unloaded_steps_ms": {kind: medians(single.steps[kind]) for kind in KINDS},
            "load": loaded,
            "p95_over_bare": ratios(alone, single, loaded),
            "asks": answered,
        }
        _write(results)  # what follows takes longest, and no time of it counts
        with service(home, log) as (address, pid):
            results["memory"] = watched = memory(address, pid, asked, options.requests)
    _write(results)
    print(table(results))
    print("unloaded, median ms of a step:", results["unloaded_steps_ms"])
    print(json.dumps({"load": loaded, "asks": answered, "memory": watched}, indent=1))
    failed = loaded["errors"] or watched["errors"] or set(answered["statuses"]) != {"200"}
    sys.exit(bool(failed))


def _write(results: Body) -> None:
    text = json.dumps(results, indent=1)
    (HERE / "results" / "service_load.json").write_text(text + "\n")


def _run(*arguments: str) -> str:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
