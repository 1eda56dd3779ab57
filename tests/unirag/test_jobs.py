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


class Index:
    """Reads ten documents, and waits in the middle for a test that wants it to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.middle, self.go = threading.Event(), threading.Event()
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
                self.middle.set()
                self.go.wait(20)
        if self.error:
            raise self.error
        dead = (
            [DocumentProblem("a.pdf", "", "broken", is_dead_letter=True)]
            if self.dead_letters
            else []
        )
        return [IndexReport(corpus, new=10, problems=dead)]


@pytest.fixture
def index() -> Index:
    return Index()


class Tried(Lock):
    """Counts how often it was tried for."""

    tries = 0

    def acquire(self) -> bool:
        acquired = super().acquire()
        self.tries += 1
        return acquired


def opened(home: Path, index: Index) -> JobQueue:
    return JobQueue(home / "jobs.db", index, Tried(home / "jobs.lock"), poll_seconds=0.01)


def in_vain(jobs: JobQueue) -> None:
    """Begins to work, and returns when it has tried for the lock and gone back to waiting."""
    jobs.start()
    for _ in range(6000):
        if jobs._lock.tries >= 2:  # type: ignore[attr-defined]
            return
        time.sleep(0.01)
    raise AssertionError("it does not try")


@pytest.fixture
def jobs(tmp_path: Path, index: Index) -> Iterator[JobQueue]:
    made = opened(tmp_path, index)
    made.start()
    yield made
    index.go.set()
    made.close()


def ended(jobs: JobQueue, job: Job) -> Job:
    for _ in range(6000):
        found = jobs.get(job.id)
        assert found
        if found.state not in ("queued", "running"):
            return found
        time.sleep(0.01)
    raise AssertionError(found)


def test_jobs_run_one_after_the_other_and_say_how_far(jobs: JobQueue, index: Index) -> None:
    index.go.clear()
    first = jobs.submit("staff", "physics", Path("/a"))
    second = jobs.submit("staff", "chemistry", Path("/b"))
    index.middle.wait(20)
    running = jobs.get(first.id)
    assert running
    assert (running.state, running.documents, running.total) == ("running", 5, 10)
    assert (running.items, running.figures, running.pages, running.failed) == (40, 4, 7, 1)
    assert running.items_per_second == pytest.approx(2, abs=0.5)
    assert running.seconds_left == pytest.approx(20, abs=5)
    assert jobs.get(second.id).state == "queued"  # type: ignore[union-attr]
    assert jobs.open_jobs() == 2
    index.go.set()
    assert ended(jobs, second).report["documents"]["new"] == 10  # type: ignore[index]
    assert (ended(jobs, first).state, index.calls) == ("done", ["physics", "chemistry"])
    assert [j.corpus for j in jobs.latest()] == ["chemistry", "physics"]
    assert jobs.get("nobody's") is None


def test_dead_letters_and_errors_are_told_apart(jobs: JobQueue, index: Index) -> None:
    index.dead_letters = True
    assert ended(jobs, jobs.submit("", "a", Path("/a"))).state == "partly"
    index.error = BadInput("/srv/files/b: nothing to index")
    failed = ended(jobs, jobs.submit("", "b", Path("/srv/files/b")))
    assert (failed.state, failed.message) == ("failed", "b: nothing to index")
    index.error = ValueError("a fault of ours")
    assert "its log" in ended(jobs, jobs.submit("", "c", Path("/c"))).message
    index.error = None
    index.dead_letters = False
    assert not index.retried
    ended(jobs, jobs.submit("", "e", Path("/e"), retry_failed=True))
    assert index.retried
    assert ended(jobs, jobs.submit("", "d", Path("/d"))).state == "done"


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(jobs: JobQueue, index: Index) -> None:
    index.go.clear()
    running = jobs.submit("", "a", Path("/a"))
    waiting = jobs.submit("", "b", Path("/b"))
    index.middle.wait(20)
    jobs.cancel(waiting.id)
    jobs.cancel(running.id)
    index.go.set()
    assert (ended(jobs, running).state, ended(jobs, waiting).state) == ("cancelled", "cancelled")
    assert index.calls == ["a"]


def test_what_was_accepted_goes_on_after_a_restart(tmp_path: Path, index: Index) -> None:
    index.go.clear()
    first = opened(tmp_path, index)
    first.start()
    running, waiting = (first.submit("", c, Path("/")) for c in ("a", "b"))
    index.middle.wait(20)
    threading.Timer(0.2, index.go.set).start()
    first.close()  # stops the running one at its next document
    second = opened(tmp_path, index)
    assert second.get(running.id).state == "queued"  # type: ignore[union-attr]
    second.start()
    assert ended(second, running).state == ended(second, waiting).state == "done"
    assert index.calls == ["a", "a", "b"]
    second.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[tuple[JobQueue, Index]]:
    """What another process has of the same home."""
    index = Index()
    made = opened(tmp_path, index)
    yield made, index
    index.go.set()
    made.close()


def test_any_process_takes_jobs_and_one_runs_them(
    jobs: JobQueue, index: Index, other: tuple[JobQueue, Index]
) -> None:
    index.go.clear()
    first = jobs.submit("staff", "physics", Path("/a"))
    index.middle.wait(20)
    elsewhere, idle = other
    in_vain(elsewhere)
    second = elsewhere.submit("staff", "chemistry", Path("/b"))
    running = elsewhere.get(first.id)
    assert running
    assert (running.state, running.documents, running.total) == ("running", 5, 10)
    assert elsewhere.open_jobs() == 2
    index.go.set()
    assert ended(elsewhere, second).report["documents"]["new"] == 10  # type: ignore[index]
    assert (index.calls, idle.calls) == (["physics", "chemistry"], [])
    third = elsewhere.submit("staff", "biology", Path("/c"))  # either may: nobody holds the lock
    assert ended(jobs, third).state == "done"
    assert sorted(index.calls + idle.calls) == ["biology", "chemistry", "physics"]


def test_a_job_is_cancelled_from_another_process(
    jobs: JobQueue, index: Index, other: tuple[JobQueue, Index]
) -> None:
    index.go.clear()
    running = jobs.submit("", "a", Path("/a"))
    waiting = jobs.submit("", "b", Path("/b"))
    index.middle.wait(20)
    elsewhere, _ = other
    elsewhere.cancel(waiting.id)
    elsewhere.cancel(running.id)
    assert jobs.get(running.id).state == "running"  # type: ignore[union-attr]
    index.go.set()
    for job in (running, waiting):
        over = ended(elsewhere, job)
        assert over.state == "cancelled"
        assert over.ended
    assert index.calls == ["a"]
    elsewhere.cancel(running.id)  # over already
    assert jobs.get(running.id).state == "cancelled"  # type: ignore[union-attr]


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_process_that_dies_leaves_its_job_to_another(
    tmp_path: Path, other: tuple[JobQueue, Index], cancelled: bool
) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.unirag.test_jobs import Index, opened\n"
        "index = Index(); index.go.clear()\n"
        "jobs = opened(Path(sys.argv[1]), index); jobs.start(); jobs.submit('', 'a', Path('/a'))\n"
        "index.middle.wait(20); print('middle', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"middle\n"
    elsewhere, index = other
    in_vain(elsewhere)
    (job,) = elsewhere.latest()
    assert (job.state, job.documents) == ("running", 5)
    assert str(process.pid) in (Lock(tmp_path / "jobs.lock").holder() or "")
    if cancelled:
        elsewhere.cancel(job.id)
    assert elsewhere.get(job.id).state == "running"  # type: ignore[union-attr]
    process.kill()
    process.wait()
    assert ended(elsewhere, job).state == ("cancelled" if cancelled else "done")
    assert index.calls == ([] if cancelled else ["a"])
