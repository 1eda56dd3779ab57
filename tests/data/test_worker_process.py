"""Test the connection to a worker process: messages, time limits and how its end is reported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from data.errors import UniragError
from data.worker_process import WorkerGone, WorkerProcess, WorkerTimeout

ECHO = """
import sys, time
from data.worker_process import ParentConnection, ParentGone
parent = ParentConnection()
print("not an answer")
parent.ready()
try:
    while True:
        value, data = parent.receive()
        if value == "exit":
            sys.exit(3)
        if value == "sleep":
            time.sleep(600)
        parent.send(value, data)
except ParentGone:
    pass
"""
Start = Callable[..., WorkerProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    workers: list[WorkerProcess] = []

    def start(code: str = ECHO, **limits: float) -> WorkerProcess:
        limits = {"message_seconds": 60, **limits}
        workers.append(WorkerProcess([sys.executable, "-c", code], task="echo", **limits))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()
        assert not worker.is_alive()


@pytest.mark.parametrize("value", [None, 1, "größe\n", [True], {"bytes": 7}])
@pytest.mark.parametrize("data", [b"", b"\n", bytes(range(256)) * 9000])
def test_values_and_bytes_pass_unchanged(start: Start, value: object, data: bytes) -> None:
    worker = start()
    worker.wait_until_ready()
    for _ in range(2):
        worker.send(value, data)
        assert worker.receive() == (value, data)


@pytest.mark.parametrize(
    ("limits", "limit"),
    [({"message_seconds": 1}, "message"), ({"total_seconds": 1}, "total")],
)
def test_a_worker_over_its_time_limit_is_killed(
    start: Start, limits: dict[str, float], limit: str
) -> None:
    worker = start(**limits)
    worker.wait_until_ready()
    worker.send("sleep")
    with pytest.raises(WorkerTimeout) as caught:
        worker.receive()
    assert caught.value.limit == limit


def test_the_end_of_a_worker_is_reported_with_its_exit_code(start: Start) -> None:
    worker = start()
    worker.wait_until_ready()
    worker.send("exit")
    with pytest.raises(WorkerGone, match=r"^exit code 3$"):
        worker.receive()


def test_a_worker_that_does_not_start_is_an_error(start: Start) -> None:
    message = r"no process can be started to echo \(exit code 3\); run `unirag doctor`"
    with pytest.raises(UniragError, match=message):
        start("raise SystemExit(3)").wait_until_ready()
    with pytest.raises(UniragError, match=r"no process can be started to echo \(.*No such file"):
        WorkerProcess(["/no/such/program"], task="echo", message_seconds=1)
