"""The queue of index jobs: one job at a time, in a thread of its own, stored in a file.

A job is written to the file before the caller hears that it was accepted. A job that was
interrupted starts again; indexing skips unchanged documents, so that costs only the rest.

Processes that share a workspace share the file. Each of them accepts, reports and cancels jobs. The
process that holds the lock runs them; when it dies, another process takes over.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from data.errors import UniragError
from data.sqlite import Database
from unirag.indexing.progress import IndexProgress, IndexReport
from unirag.workspace.lock import Lock

__all__ = ["Job", "JobQueue", "JobState"]

JobState = Literal["queued", "running", "done", "partly", "failed", "cancelled"]
_LOG = logging.getLogger(__name__)
_OPEN_STATES = ("queued", "running")
_COLUMNS = (
    "id, owner, corpus, path, state, message, report, created, ended, documents, total, items, "
    "figures, pages, failed, items_per_second, seconds_left, retry_failed"
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, corpus TEXT NOT NULL, path TEXT NOT NULL,
    state TEXT NOT NULL, message TEXT NOT NULL, report TEXT, created REAL NOT NULL, ended REAL,
    documents INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    items INTEGER NOT NULL DEFAULT 0, figures INTEGER NOT NULL DEFAULT 0,
    pages INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
    items_per_second REAL NOT NULL DEFAULT 0, seconds_left REAL,
    is_cancelled INTEGER NOT NULL DEFAULT 0, retry_failed INTEGER NOT NULL
);
"""
_POLL_SECONDS = 1.0  # between checks for jobs that other processes queued


@dataclass(frozen=True, slots=True)
class Job:
    """An index job and its progress.

    A job in state `partly` is done, except for the dead letters in `report`. `message` says why a
    job failed. `documents` of `total` are finished; `failed` of them became dead letters. `items`,
    `figures` and `pages` count what was read; `items` includes the figures. `seconds_left` is None
    until it can be estimated. `created` and `ended` are in seconds since 1970. `retry_failed` reads
    dead letters again. `path` is a path of the server; do not show it to clients.
    """

    id: str
    owner: str
    corpus: str
    path: Path
    state: JobState
    message: str
    report: dict[str, Any] | None
    created: float
    ended: float | None
    documents: int = 0
    total: int = 0
    items: int = 0
    figures: int = 0
    pages: int = 0
    failed: int = 0
    items_per_second: float = 0.0
    seconds_left: float | None = None
    retry_failed: bool = False


class IndexFunction(Protocol):
    """Indexes folders, as `App.index` does."""

    def __call__(
        self,
        paths: Sequence[Path],
        *,
        corpus: str,
        retry_failed: bool,
        progress: Callable[[IndexProgress], None],
    ) -> list[IndexReport]: ...


class _Interrupted(Exception):
    """The running job was cancelled, or the queue is closing."""


class JobQueue:
    """Runs jobs with `index` while this process holds `lock`.

    `close` interrupts the job that runs here. An interrupted job runs again when this process
    starts the next time, or in another process.
    """

    def __init__(
        self, path: Path, index: IndexFunction, lock: Lock, poll_seconds: float = _POLL_SECONDS
    ) -> None:
        self._db = Database(path, _SCHEMA, "the list of index jobs", "index again")
        self._index, self._lock, self._poll_seconds = index, lock, poll_seconds
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread that runs jobs, interrupted ones first."""
        self._thread = threading.Thread(target=self._work, name="index-jobs", daemon=True)
        self._thread.start()

    def submit(self, owner: str, corpus: str, path: Path, retry_failed: bool = False) -> Job:
        """Add a job to the queue and return it."""
        job_id = secrets.token_urlsafe(12)
        self._db.execute(
            "INSERT INTO jobs (id, owner, corpus, path, state, message, created, retry_failed) "
            "VALUES (?, ?, ?, ?, 'queued', '', ?, ?)",
            job_id,
            owner,
            corpus,
            str(path),
            time.time(),
            retry_failed,
        )
        self._wake.set()
        job = self.get(job_id)
        assert job is not None
        return job

    def get(self, job_id: str) -> Job | None:
        """Return the job of this id, or None."""
        return next(iter(self._select("WHERE id = ?", job_id)), None)

    def latest(self, limit: int = 100) -> list[Job]:
        """Return jobs, newest first."""
        return self._select("ORDER BY created DESC LIMIT ?", limit)

    def open_jobs(self) -> int:
        """Return the number of jobs that are queued or running."""
        rows = self._db.rows("SELECT COUNT(*) FROM jobs WHERE state IN (?, ?)", *_OPEN_STATES)
        return int(rows[0][0])

    def cancel(self, job_id: str) -> None:
        """Cancel a job. A running job ends within seconds; documents it has stored stay."""
        self._db.execute(
            "UPDATE jobs SET is_cancelled = 1, "
            "ended = CASE state WHEN 'queued' THEN ? END, "
            "state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END "
            "WHERE id = ? AND state IN (?, ?)",
            time.time(),
            job_id,
            *_OPEN_STATES,
        )

    def close(self) -> None:
        """Interrupt the job that runs here, end the thread and close the file."""
        self._closing = True
        self._wake.set()
        if self._thread:
            self._thread.join()
        self._db.close()

    def _work(self) -> None:
        while not self._closing:
            try:
                if self.open_jobs() and self._lock.acquire():
                    try:
                        self._run_all()
                    finally:
                        self._lock.release()
            except (UniragError, OSError):  # try again later: a full disk may have room then
                _LOG.exception("index jobs")
            self._wake.wait(self._poll_seconds)
            self._wake.clear()

    def _run_all(self) -> None:
        """Run all queued jobs, under the lock. A job still `running` belongs to a dead process."""
        self._requeue_running()
        while not self._closing and (job := self._take_next()):
            self._run(job)

    def _requeue_running(self) -> None:
        """Queue the running job again, or end it if it was cancelled."""
        self._db.execute(
            "UPDATE jobs SET documents = 0, total = 0, items = 0, figures = 0, pages = 0, "
            "failed = 0, items_per_second = 0, seconds_left = NULL, "
            "ended = CASE is_cancelled WHEN 1 THEN ? END, "
            "state = CASE is_cancelled WHEN 1 THEN 'cancelled' ELSE 'queued' END "
            "WHERE state = 'running'",
            time.time(),
        )

    def _take_next(self) -> Job | None:
        rows = self._db.rows(
            "UPDATE jobs SET state = 'running' WHERE id = "
            "(SELECT id FROM jobs WHERE state = 'queued' ORDER BY created LIMIT 1) RETURNING id"
        )
        return self.get(rows[0][0]) if rows else None

    def _run(self, job: Job) -> None:
        def save_progress(progress: IndexProgress) -> None:
            is_cancelled = self._save_progress(job, progress)
            if self._closing or is_cancelled:
                raise _Interrupted

        try:
            (report,) = self._index(
                [job.path],
                corpus=job.corpus,
                retry_failed=job.retry_failed,
                progress=save_progress,
            )
        except _Interrupted:
            self._requeue_running()
        except UniragError as error:
            self._end(job, "failed", str(error).replace(str(job.path), job.corpus), None)
        except Exception:  # noqa: BLE001 - the next jobs must still run
            _LOG.exception("index job %s", job.id)
            self._end(job, "failed", "an internal error of the service; see its log", None)
        else:
            self._end(job, "partly" if report.dead_letters else "done", "", report.to_json())

    def _save_progress(self, job: Job, progress: IndexProgress) -> bool:
        """Store the progress of a job. Return whether the job was cancelled."""
        left = progress.seconds_left
        rows = self._db.rows(
            "UPDATE jobs SET documents = ?, total = ?, items = ?, figures = ?, pages = ?, "
            "failed = ?, items_per_second = ?, seconds_left = ? WHERE id = ? "
            "RETURNING is_cancelled",
            progress.documents,
            progress.total,
            progress.items,
            progress.pictures,
            progress.pages,
            progress.failed,
            round(progress.items_per_second, 1),
            None if left is None else round(left),
            job.id,
        )
        return bool(rows[0][0])

    def _end(self, job: Job, state: JobState, message: str, report: dict[str, Any] | None) -> None:
        self._db.execute(
            "UPDATE jobs SET state = ?, message = ?, report = ?, ended = ? WHERE id = ?",
            state,
            message,
            report and json.dumps(report),
            time.time(),
            job.id,
        )

    def _select(self, clauses: str, *values: object) -> list[Job]:
        rows = self._db.rows(f"SELECT {_COLUMNS} FROM jobs {clauses}", *values)  # noqa: S608 - constants
        return [_job(row) for row in rows]


def _job(row: tuple[Any, ...]) -> Job:
    job_id, owner, corpus, path, state, message, report, *times_and_counts, retry_failed = row
    times_and_counts.append(bool(retry_failed))
    report = report and json.loads(report)
    return Job(job_id, owner, corpus, Path(path), state, message, report, *times_and_counts)
