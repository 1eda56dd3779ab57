"""Limits of the service: body size, queue, time, and clients that disconnect."""

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


def test_a_gate_admits_queues_and_refuses() -> None:
    async def run() -> None:
        gate = Gate(concurrent=2, waiting=1, turn_seconds=3, max_wait_seconds=60)
        admitted, leave = [], asyncio.Event()

        async def enter(name: str) -> None:
            async with gate.turn():
                admitted.append(name)
                await leave.wait()

        tasks = [asyncio.create_task(enter(name)) for name in "abc"]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (admitted, gate.waiting) == (["a", "b"], 1)
        with pytest.raises(TooBusy) as error:
            await enter("d")
        assert error.value.retry_seconds == 3
        tasks[2].cancel()  # the client disconnected and left the queue
        await asyncio.sleep(0)
        assert gate.waiting == 0
        leave.set()
        await asyncio.wait(tasks)
        await asyncio.wait_for(enter("e"), 1)

    asyncio.run(run())


def test_a_gate_tells_each_request_how_many_come_first() -> None:
    async def run() -> None:
        gate = Gate(concurrent=1, waiting=9, turn_seconds=1, max_wait_seconds=60)
        places: dict[str, list[int]] = {name: [] for name in "abc"}
        leave = {name: asyncio.Event() for name in "abc"}

        async def enter(name: str) -> None:
            async with gate.turn(places[name].append):
                await leave[name].wait()

        tasks = [asyncio.create_task(enter(name)) for name in "abc"]
        for name in "abc":
            for _ in range(5):
                await asyncio.sleep(0)
            leave[name].set()
        await asyncio.gather(*tasks)
        assert places == {"a": [], "b": [1, 0], "c": [2, 1, 0]}

    asyncio.run(run())


def test_a_gate_refuses_a_client_that_would_wait_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("unirag.api.limits.time.monotonic", lambda: clock[0])

    async def run() -> None:
        gate = Gate(concurrent=1, waiting=100, turn_seconds=1, max_wait_seconds=20)
        for _ in range(30):  # the gate learns that a turn takes 30 seconds
            async with gate.turn():
                clock[0] += 30
        async with gate.turn():
            with pytest.raises(TooBusy) as error:
                async with gate.turn():
                    pass
        assert error.value.retry_seconds == 30

    asyncio.run(run())


def test_a_body_above_the_limit_is_refused(serve: Any) -> None:
    with serve(service={"query_megabytes": 0.01}) as client:
        large_body = {"text": "x" * 20_000}
        assert client.post("/v1/search", json=large_body).status_code == 413

        def chunks() -> Any:  # sent without content-length
            yield b'{"text": "'
            for _ in range(20):
                yield b"x" * 1000
            yield b'"}'

        assert client.post("/v1/search", content=chunks()).status_code == 413
        assert client.post("/v1/search", json=QUESTION).status_code == 200


def test_a_full_queue_refuses_with_a_time_to_retry(serve: Any, chat: Any) -> None:
    with serve(service={"waiting": 1}) as client, ThreadPoolExecutor(3) as pool:
        chat.resume.clear()
        first_reply = pool.submit(client.post, "/v1/ask", json=QUESTION)
        while not chat.prompts:
            time.sleep(0.01)
        second_reply = pool.submit(client.post, "/v1/ask", json=QUESTION)
        gauge = 'unirag_waiting{queue="answer"} 1.0'
        while gauge not in client.get("/metrics").text:
            time.sleep(0.01)
        for stream in (False, True):
            third_reply = client.post("/v1/ask", json={**QUESTION, "stream": stream})
            assert third_reply.status_code == 429
            assert int(third_reply.headers["retry-after"]) >= 1
        # search has another queue
        assert client.post("/v1/search", json=QUESTION).status_code == 200
        chat.resume.set()
        assert first_reply.result().status_code == second_reply.result().status_code == 200


def test_a_slow_answer_times_out_and_stops_the_model(serve: Any, chat: Any) -> None:
    with serve(service={"seconds": 2.0}) as client:
        chat.resume.clear()
        threading.Timer(5, chat.resume.set).start()
        reply = client.post("/v1/ask", json=QUESTION)
        assert reply.status_code == 504
        assert "not done within 2 seconds" in reply.json()["error"]["message"]
        assert chat.stopped.is_set()


def test_generation_stops_when_the_client_disconnects(live_server: Any, chat: Any) -> None:
    chat.script = "Light bends when it enters glass. [1] The ray " + "turns and " * 10_000
    with live_server() as address, httpx.Client(timeout=60, base_url=address) as client:
        with client.stream("POST", "/v1/ask", json={**QUESTION, "stream": True}) as reply:
            for line in reply.iter_lines():
                if line == "event: sentence":
                    break
            until = time.monotonic() + 20
            # the first sentence is a quotation: wait until the model is asked
            while not chat.prompts and time.monotonic() < until:
                time.sleep(0.01)
        assert chat.stopped.wait(20)
        chat.script = "Light bends when it enters glass because it slows down there. [1]"
        reply_after = client.post("/v1/ask", json=QUESTION)  # the turn is free again
        assert reply_after.status_code == 200


def test_an_internal_error_does_not_reveal_server_paths(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, workspace: Any
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"secret of {workspace.root}")

    monkeypatch.setattr(App, "search", broken)
    reply = client.post("/v1/search", json=QUESTION)
    assert reply.status_code == 500
    assert "secret" not in reply.text
