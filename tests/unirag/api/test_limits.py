"""Too much, too many, too long, and clients that go."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from unirag.api.errors import TooBusy
from unirag.api.limits import Gate
from unirag.app import App

QUESTION = {"text": "Why does light bend when it enters glass?"}


def test_a_gate_lets_through_makes_wait_and_sends_away() -> None:
    async def run() -> None:
        gate = Gate(concurrent=2, waiting=1, turn_seconds=3, max_wait_seconds=60)
        inside, leave = [], asyncio.Event()

        async def come(name: str) -> None:
            async with gate.turn():
                inside.append(name)
                await leave.wait()

        tasks = [asyncio.create_task(come(name)) for name in "abc"]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (inside, gate.waiting) == (["a", "b"], 1)
        with pytest.raises(TooBusy) as refused:
            await come("d")
        assert refused.value.retry_seconds == 3
        tasks[2].cancel()  # its client has gone: the place in the queue is free again
        await asyncio.sleep(0)
        assert gate.waiting == 0
        leave.set()
        await asyncio.wait(tasks)
        await asyncio.wait_for(come("e"), 1)

    asyncio.run(run())


def test_a_gate_sends_away_who_would_wait_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("unirag.api.limits.time.monotonic", lambda: clock[0])

    async def run() -> None:
        gate = Gate(concurrent=1, waiting=100, turn_seconds=1, max_wait_seconds=20)
        for _ in range(30):  # turns turn out to take 30 seconds
            async with gate.turn():
                clock[0] += 30
        async with gate.turn():
            with pytest.raises(TooBusy) as refused:
                async with gate.turn():
                    pass
        assert refused.value.retry_seconds == 30

    asyncio.run(run())


def test_a_body_beyond_its_limit(serve: Any) -> None:
    with serve(service={"query_megabytes": 0.01}) as client:
        big = {"text": "x" * 20_000}
        assert client.post("/v1/search", json=big).status_code == 413

        def chunks() -> Any:  # no content-length to go by
            yield b'{"text": "'
            for _ in range(20):
                yield b"x" * 1000
            yield b'"}'

        assert client.post("/v1/search", content=chunks()).status_code == 413
        assert client.post("/v1/search", json=QUESTION).status_code == 200


def test_the_queue_is_honest(serve: Any, chat: Any) -> None:
    with serve(service={"waiting": 1}) as client, ThreadPoolExecutor(3) as pool:
        chat.resume.clear()
        first = pool.submit(client.post, "/v1/ask", json=QUESTION)
        while not chat.prompts:
            time.sleep(0.01)
        second = pool.submit(client.post, "/v1/ask", json=QUESTION)
        gauge = 'unirag_waiting{queue="answer"} 1.0'
        while gauge not in client.get("/metrics").text:
            time.sleep(0.01)
        for stream in (False, True):
            third = client.post("/v1/ask", json={**QUESTION, "stream": stream})
            assert third.status_code == 429
            assert int(third.headers["retry-after"]) >= 1
        assert client.post("/v1/search", json=QUESTION).status_code == 200  # a queue of its own
        chat.resume.set()
        assert first.result().status_code == second.result().status_code == 200


def test_time_runs_out(serve: Any, chat: Any) -> None:
    with serve(service={"seconds": 1.0}) as client:
        chat.resume.clear()
        threading.Timer(3, chat.resume.set).start()
        reply = client.post("/v1/ask", json=QUESTION)
        assert reply.status_code == 504
        assert "not done within 1 seconds" in reply.json()["error"]["message"]
        assert chat.stopped.is_set()


def test_generation_stops_when_the_client_goes(live: Any, chat: Any) -> None:
    chat.script = "Light bends when it enters glass. [1] The ray " + "turns and " * 10_000
    with live() as address, httpx.Client(timeout=60, base_url=address) as client:
        with client.stream("POST", "/v1/ask", json={**QUESTION, "stream": True}) as reply:
            for line in reply.iter_lines():
                if line == "event: sentence":
                    break
            until = time.monotonic() + 20
            while not chat.prompts and time.monotonic() < until:  # what came so far is quoted
                time.sleep(0.01)
        assert chat.stopped.wait(20)
        chat.script = "Light bends when it enters glass because it slows down there. [1]"
        again = client.post("/v1/ask", json=QUESTION)  # the turn was given back
        assert again.status_code == 200


def test_no_fault_shows_the_server(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, place: Any
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"secret of {place.root}")

    monkeypatch.setattr(App, "search", broken)
    reply = client.post("/v1/search", json=QUESTION)
    assert reply.status_code == 500
    assert "secret" not in reply.text
