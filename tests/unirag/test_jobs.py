from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from data.errors import BadInput
from unirag.indexing import Progress, Report
from unirag.jobs import Job, Jobs
from unirag.manifest import Trouble


class Index:
    """Reads ten documents, and waits in the middle for a test that wants it to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.middle, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.error: Exception | None = None
        self.dead = False

    def __call__(
        self, paths: Sequence[Path], *, corpus: str, progress: Callable[[Progress], None]
    ) -> list[Report]:
        self.calls.append(corpus)
        state = Progress(total=10)
        for state.documents in range(1, 11):
            progress(state)
            if state.documents == 5:
                self.middle.set()
                self.go.wait(20)
        if self.error:
            raise self.error
        dead = [Trouble("a.pdf", "", "broken", dead=True)] if self.dead else []
        return [Report(corpus, new=10, troubles=dead)]


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
def jobs(tmp_path: Path, index: Index) -> Iterator[Jobs]:
    made = Jobs(tmp_path / "jobs.db", index)
    made.start()
    yield made
    index.go.set()
    made.close()


def ended(jobs: Jobs, job: Job) -> Job:
    for _ in range(1000):
        found = jobs.get(job.id)
        assert found
        if found.state not in ("queued", "running"):
            return found
        time.sleep(0.01)
    raise AssertionError(found)


def test_jobs_run_one_after_the_other_and_say_how_far(jobs: Jobs, index: Index) -> None:
    index.go.clear()
    first = jobs.submit("staff", "physics", Path("/a"))
    second = jobs.submit("staff", "chemistry", Path("/b"))
    index.middle.wait(20)
    running = jobs.get(first.id)
    assert running
    assert (running.state, running.documents, running.total) == ("running", 5, 10)
    assert jobs.get(second.id).state == "queued"  # type: ignore[union-attr]
    assert jobs.waiting() == 2
    index.go.set()
    assert ended(jobs, second).report["documents"]["new"] == 10  # type: ignore[index]
    assert (ended(jobs, first).state, index.calls) == ("done", ["physics", "chemistry"])
    assert [j.corpus for j in jobs.latest()] == ["chemistry", "physics"]
    assert jobs.get("nobody's") is None


def test_dead_letters_and_errors_are_told_apart(jobs: Jobs, index: Index) -> None:
    index.dead = True
    assert ended(jobs, jobs.submit("", "a", Path("/a"))).state == "partly"
    index.error = BadInput("/srv/files/b: nothing to index")
    failed = ended(jobs, jobs.submit("", "b", Path("/srv/files/b")))
    assert (failed.state, failed.message) == ("failed", "b: nothing to index")
    index.error = ValueError("a fault of ours")
    assert "its log" in ended(jobs, jobs.submit("", "c", Path("/c"))).message
    index.error = None
    index.dead = False
    assert ended(jobs, jobs.submit("", "d", Path("/d"))).state == "done"


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(jobs: Jobs, index: Index) -> None:
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
    first = Jobs(tmp_path / "jobs.db", index)
    first.start()
    running, waiting = (first.submit("", c, Path("/")) for c in ("a", "b"))
    index.middle.wait(20)
    threading.Timer(0.2, index.go.set).start()
    first.close()  # stops the running one at its next document
    second = Jobs(tmp_path / "jobs.db", index)
    assert second.get(running.id).state == "queued"  # type: ignore[union-attr]
    second.start()
    assert ended(second, running).state == ended(second, waiting).state == "done"
    assert index.calls == ["a", "a", "b"]
    second.close()
