"""Index jobs: one at a time in a thread of their own, kept in a file, going on after a restart.

A job that was accepted is written down before the caller hears of it. Indexing skips what is
unchanged, so that a job that was cut off starts again and costs what was left of it.

Processes that share a home share the file: any of them takes jobs, tells how far they are and
cancels them. The one that holds the lock works; when it dies another takes its jobs up.
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
from unirag.indexing.indexer import Progress, Report
from unirag.workspace.database import Database
from unirag.workspace.lock import Lock

__all__ = ["Job", "Jobs", "State"]

State = Literal["queued", "running", "done", "partly", "failed", "cancelled"]
_LOG = logging.getLogger(__name__)
_OPEN = ("queued", "running")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, corpus TEXT NOT NULL, path TEXT NOT NULL,
    state TEXT NOT NULL, message TEXT NOT NULL, report TEXT, created REAL NOT NULL, ended REAL,
    documents INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    items INTEGER NOT NULL DEFAULT 0, figures INTEGER NOT NULL DEFAULT 0,
    pages INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
    rate REAL NOT NULL DEFAULT 0, seconds_left REAL,
    cancel INTEGER NOT NULL DEFAULT 0, retry INTEGER NOT NULL DEFAULT 0
);
"""
_POLL = 1.0  # seconds until a job that another process took, or left behind, is seen


@dataclass(frozen=True, slots=True)
class Job:
    """`partly`: done, but for the dead letters in `report`. `message` says why it failed.

    `documents` of `total` are done with, `failed` of them dead letters. `items`, of which `figures`
    are some, and `pages` have been read, `rate` items a second; `seconds_left` is None where
    nothing can be said yet. `retry`: dead letters are read again. `path` is the server's own, and
    is for nobody else.
    """

    id: str
    owner: str
    corpus: str
    path: Path
    state: State
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
    rate: float = 0.0
    seconds_left: float | None = None
    retry: int = 0


class Index(Protocol):
    """`App.index`."""

    def __call__(
        self,
        paths: Sequence[Path],
        *,
        corpus: str,
        retry_failed: bool,
        progress: Callable[[Progress], None],
    ) -> list[Report]: ...


class _Cancelled(Exception):
    pass


class Jobs:
    """`index` does the work, under `lock`. `close` stops the job that runs here.

    A job that was stopped so, or by a kill, is taken up again: here after `start`, or by another
    process.
    """

    def __init__(self, path: Path, index: Index, lock: Lock, poll: float = _POLL) -> None:
        self._db = Database(path, _SCHEMA, "the list of index jobs", "index again")
        self._index, self._lock, self._poll = index, lock, poll
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work; jobs that were cut off come first."""
        self._thread = threading.Thread(target=self._work, name="index-jobs", daemon=True)
        self._thread.start()

    def submit(self, owner: str, corpus: str, path: Path, retry: bool = False) -> Job:
        made = secrets.token_urlsafe(12)
        self._db.run(
            "INSERT INTO jobs (id, owner, corpus, path, state, message, created, retry) "
            "VALUES (?, ?, ?, ?, 'queued', '', ?, ?)",
            made,
            owner,
            corpus,
            str(path),
            time.time(),
            retry,
        )
        self._wake.set()
        job = self.get(made)
        assert job is not None
        return job

    def get(self, job: str) -> Job | None:
        return next(iter(self._jobs("WHERE id = ?", job)), None)

    def latest(self, limit: int = 100) -> list[Job]:
        """The newest first."""
        return self._jobs("ORDER BY created DESC LIMIT ?", limit)

    def waiting(self) -> int:
        rows = self._db.rows("SELECT COUNT(*) FROM jobs WHERE state IN (?, ?)", *_OPEN)
        return int(rows[0][0])

    def cancel(self, job: str) -> None:
        """Stop it within seconds; what it has stored stays."""
        self._db.run(
            "UPDATE jobs SET cancel = 1, "
            "ended = CASE state WHEN 'queued' THEN ? END, "
            "state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END "
            "WHERE id = ? AND state IN (?, ?)",
            time.time(),
            job,
            *_OPEN,
        )

    def close(self) -> None:
        self._closing = True
        self._wake.set()
        if self._thread:
            self._thread.join()
        self._db.close()

    def _work(self) -> None:
        while not self._closing:
            try:
                if self.waiting() and self._lock.take():
                    try:
                        self._run_all()
                    finally:
                        self._lock.give()
            except (UniragError, OSError):  # a full disk may have room again later
                _LOG.exception("index jobs")
            self._wake.wait(self._poll)
            self._wake.clear()

    def _run_all(self) -> None:
        """Under the lock: a job that is said to run is one that a dead process left behind."""
        self._put_back()
        while not self._closing and (job := self._next()):
            self._run(job)

    def _put_back(self) -> None:
        """What runs is queued again, unless somebody asked for its end."""
        self._db.run(
            "UPDATE jobs SET documents = 0, total = 0, items = 0, figures = 0, pages = 0, "
            "failed = 0, rate = 0, seconds_left = NULL, ended = CASE cancel WHEN 1 THEN ? END, "
            "state = CASE cancel WHEN 1 THEN 'cancelled' ELSE 'queued' END WHERE state = 'running'",
            time.time(),
        )

    def _next(self) -> Job | None:
        rows = self._db.rows(
            "UPDATE jobs SET state = 'running' WHERE id = "
            "(SELECT id FROM jobs WHERE state = 'queued' ORDER BY created LIMIT 1) RETURNING id"
        )
        return self.get(rows[0][0]) if rows else None

    def _run(self, job: Job) -> None:
        def progress(state: Progress) -> None:
            rows = self._db.rows(
                "UPDATE jobs SET documents = ?, total = ?, items = ?, figures = ?, pages = ?, "
                "failed = ?, rate = ?, seconds_left = ? WHERE id = ? RETURNING cancel",
                state.documents,
                state.total,
                state.items,
                state.pictures,
                state.pages,
                state.failed,
                round(state.rate, 1),
                None if state.left is None else round(state.left),
                job.id,
            )
            if self._closing or rows[0][0]:
                raise _Cancelled

        try:
            (report,) = self._index(
                [job.path], corpus=job.corpus, retry_failed=bool(job.retry), progress=progress
            )
        except _Cancelled:
            self._put_back()
        except UniragError as error:
            self._end(job, "failed", str(error).replace(str(job.path), job.corpus), None)
        except Exception:  # noqa: BLE001 - the jobs behind it still have their turn
            _LOG.exception("index job %s", job.id)
            self._end(job, "failed", "an error of the service; its log says more", None)
        else:
            self._end(job, "partly" if report.dead else "done", "", report.to_json())

    def _end(self, job: Job, state: State, message: str, report: dict[str, Any] | None) -> None:
        self._db.run(
            "UPDATE jobs SET state = ?, message = ?, report = ?, ended = ? WHERE id = ?",
            state,
            message,
            report and json.dumps(report),
            time.time(),
            job.id,
        )

    def _jobs(self, tail: str, *values: object) -> list[Job]:
        rows = self._db.rows(
            "SELECT id, owner, corpus, path, state, message, report, created, ended, "  # noqa: S608
            "documents, total, items, figures, pages, failed, rate, seconds_left, retry "
            f"FROM jobs {tail}",
            *values,
        )
        return [_job(row) for row in rows]


def _job(row: tuple[Any, ...]) -> Job:
    i, owner, corpus, path, state, message, report, *rest = row
    return Job(i, owner, corpus, Path(path), state, message, report and json.loads(report), *rest)
