"""The queue of index jobs, shared by the processes of a workspace."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from data.errors import BadInput
from unirag.indexing.jobs import Job, JobQueue
from unirag.indexing.progress import IndexProgress, IndexReport
from unirag.workspace.catalog import DocumentProblem
from unirag.workspace.lock import Lock

ROOT = Path(__file__).resolve().parents[2]


class FakeIndex:
    """An index function with ten documents. Waits after five of them while `go` is not set."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.halfway, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.error: Exception | None = None
        self.dead_letters = False

    def __call__(
        self,
        paths: Sequence[Path],
        *,
        corpus: str,
        retry_failed: bool = False,
        progress: Callable[[IndexProgress], None],
    ) -> list[IndexReport]:
        self.calls.append(corpus)
        self.retried = retry_failed
        state = IndexProgress(total=10, items=40, pictures=4, pages=7, failed=1)
        state.started_at -= 20
        for state.documents in range(1, 11):
            progress(state)
            if state.documents == 5:
                self.halfway.set()
                self.go.wait(20)
        if self.error:
            raise self.error
        dead_letters = (
            [DocumentProblem("a.pdf", "", "broken", is_dead_letter=True)]
            if self.dead_letters
            else []
        )
        return [IndexReport(corpus, new=10, problems=dead_letters)]


@pytest.fixture
def index() -> FakeIndex:
    return FakeIndex()


class CountingLock(Lock):
    """Counts the attempts to acquire the lock."""

    tries = 0

    def acquire(self) -> bool:
        acquired = super().acquire()
        self.tries += 1
        return acquired


def open_queue(home: Path, index: FakeIndex) -> JobQueue:
    return JobQueue(home / "jobs.db", index, CountingLock(home / "jobs.lock"), poll_seconds=0.01)


def start_and_wait_for_failed_lock(jobs: JobQueue) -> None:
    """Start the queue and wait until it has tried twice to acquire the lock."""
    jobs.start()
    for _ in range(6000):
        if jobs._lock.tries >= 2:  # type: ignore[attr-defined]
            return
        time.sleep(0.01)
    raise AssertionError("the queue does not try to acquire the lock")


@pytest.fixture
def jobs(tmp_path: Path, index: FakeIndex) -> Iterator[JobQueue]:
    queue = open_queue(tmp_path, index)
    queue.start()
    yield queue
    index.go.set()
    queue.close()


def wait_until_ended(jobs: JobQueue, job: Job) -> Job:
    for _ in range(6000):
        current = jobs.get(job.id)
        assert current
        if current.state not in ("queued", "running"):
            return current
        time.sleep(0.01)
    raise AssertionError(current)


def test_jobs_run_in_order_and_report_progress(jobs: JobQueue, index: FakeIndex) -> None:
    index.go.clear()
    first = jobs.submit("staff", "physics", Path("/a"))
    second = jobs.submit("staff", "chemistry", Path("/b"))
    index.halfway.wait(20)
    running = jobs.get(first.id)
    assert running
    assert (running.state, running.documents, running.total) == ("running", 5, 10)
    assert (running.items, running.figures, running.pages, running.failed) == (40, 4, 7, 1)
    assert running.items_per_second == pytest.approx(2, abs=0.5)
    assert running.seconds_left == pytest.approx(20, abs=5)
    assert jobs.get(second.id).state == "queued"  # type: ignore[union-attr]
    assert jobs.open_jobs() == 2
    index.go.set()
    assert wait_until_ended(jobs, second).report["documents"]["new"] == 10  # type: ignore[index]
    assert (wait_until_ended(jobs, first).state, index.calls) == ("done", ["physics", "chemistry"])
    assert [j.corpus for j in jobs.latest()] == ["chemistry", "physics"]
    assert jobs.get("nobody's") is None


def test_dead_letters_and_errors_end_in_different_states(jobs: JobQueue, index: FakeIndex) -> None:
    index.dead_letters = True
    assert wait_until_ended(jobs, jobs.submit("", "a", Path("/a"))).state == "partly"
    index.error = BadInput("/srv/files/b: nothing to index")
    failed = wait_until_ended(jobs, jobs.submit("", "b", Path("/srv/files/b")))
    assert (failed.state, failed.message) == ("failed", "b: nothing to index")
    index.error = ValueError("a fault of ours")
    assert "its log" in wait_until_ended(jobs, jobs.submit("", "c", Path("/c"))).message
    index.error = None
    index.dead_letters = False
    assert not index.retried
    wait_until_ended(jobs, jobs.submit("", "e", Path("/e"), retry_failed=True))
    assert index.retried
    assert wait_until_ended(jobs, jobs.submit("", "d", Path("/d"))).state == "done"


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(
    jobs: JobQueue, index: FakeIndex
) -> None:
    index.go.clear()
    running = jobs.submit("", "a", Path("/a"))
    waiting = jobs.submit("", "b", Path("/b"))
    index.halfway.wait(20)
    jobs.cancel(waiting.id)
    jobs.cancel(running.id)
    index.go.set()
    assert (wait_until_ended(jobs, running).state, wait_until_ended(jobs, waiting).state) == (
        "cancelled",
        "cancelled",
    )
    assert index.calls == ["a"]


def test_accepted_jobs_continue_after_a_restart(tmp_path: Path, index: FakeIndex) -> None:
    index.go.clear()
    first = open_queue(tmp_path, index)
    first.start()
    running, waiting = (first.submit("", c, Path("/")) for c in ("a", "b"))
    index.halfway.wait(20)
    threading.Timer(0.2, index.go.set).start()
    first.close()  # interrupts the running job at its next document
    second = open_queue(tmp_path, index)
    assert second.get(running.id).state == "queued"  # type: ignore[union-attr]
    second.start()
    assert (
        wait_until_ended(second, running).state == wait_until_ended(second, waiting).state == "done"
    )
    assert index.calls == ["a", "a", "b"]
    second.close()


@pytest.fixture
def other_queue(tmp_path: Path) -> Iterator[tuple[JobQueue, FakeIndex]]:
    """The queue of another process in the same workspace."""
    index = FakeIndex()
    queue = open_queue(tmp_path, index)
    yield queue, index
    index.go.set()
    queue.close()


def test_every_process_accepts_jobs_and_one_runs_them(
    jobs: JobQueue, index: FakeIndex, other_queue: tuple[JobQueue, FakeIndex]
) -> None:
    index.go.clear()
    first = jobs.submit("staff", "physics", Path("/a"))
    index.halfway.wait(20)
    second_queue, idle = other_queue
    start_and_wait_for_failed_lock(second_queue)
    second = second_queue.submit("staff", "chemistry", Path("/b"))
    running = second_queue.get(first.id)
    assert running
    assert (running.state, running.documents, running.total) == ("running", 5, 10)
    assert second_queue.open_jobs() == 2
    index.go.set()
    assert wait_until_ended(second_queue, second).report["documents"]["new"] == 10  # type: ignore[index]
    assert (index.calls, idle.calls) == (["physics", "chemistry"], [])
    # the lock is free, so either queue may run the third job
    third = second_queue.submit("staff", "biology", Path("/c"))
    assert wait_until_ended(jobs, third).state == "done"
    assert sorted(index.calls + idle.calls) == ["biology", "chemistry", "physics"]


def test_a_job_is_cancelled_from_another_process(
    jobs: JobQueue, index: FakeIndex, other_queue: tuple[JobQueue, FakeIndex]
) -> None:
    index.go.clear()
    running = jobs.submit("", "a", Path("/a"))
    waiting = jobs.submit("", "b", Path("/b"))
    index.halfway.wait(20)
    second_queue, _ = other_queue
    second_queue.cancel(waiting.id)
    second_queue.cancel(running.id)
    assert jobs.get(running.id).state == "running"  # type: ignore[union-attr]
    index.go.set()
    for job in (running, waiting):
        ended_job = wait_until_ended(second_queue, job)
        assert ended_job.state == "cancelled"
        assert ended_job.ended
    assert index.calls == ["a"]
    second_queue.cancel(running.id)  # has no effect after the end
    assert jobs.get(running.id).state == "cancelled"  # type: ignore[union-attr]


@pytest.mark.parametrize("cancelled", [False, True])
def test_another_process_takes_over_the_job_of_a_dead_one(
    tmp_path: Path, other_queue: tuple[JobQueue, FakeIndex], cancelled: bool
) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.unirag.test_jobs import FakeIndex, open_queue\n"
        "index = FakeIndex(); index.go.clear()\n"
        "jobs = open_queue(Path(sys.argv[1]), index)\n"
        "jobs.start(); jobs.submit('', 'a', Path('/a'))\n"
        "index.halfway.wait(20); print('halfway', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"halfway\n"
    second_queue, index = other_queue
    start_and_wait_for_failed_lock(second_queue)
    (job,) = second_queue.latest()
    assert (job.state, job.documents) == ("running", 5)
    assert str(process.pid) in (Lock(tmp_path / "jobs.lock").holder() or "")
    if cancelled:
        second_queue.cancel(job.id)
    assert second_queue.get(job.id).state == "running"  # type: ignore[union-attr]
    process.kill()
    process.wait()
    assert wait_until_ended(second_queue, job).state == ("cancelled" if cancelled else "done")
    assert index.calls == ([] if cancelled else ["a"])
