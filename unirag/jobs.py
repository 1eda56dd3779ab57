"""Index jobs: one at a time in a thread of their own, kept in a file, going on after a restart.

A job that was accepted is written down before the caller hears of it. Indexing skips what is
unchanged, so that a job that was cut off starts again and costs what was left of it.
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
from typing import Any, Literal, Protocol, get_args

from data.errors import UniragError
from unirag.database import Database
from unirag.indexing import Progress, Report

__all__ = ["Job", "Jobs", "State"]

State = Literal["queued", "running", "done", "partly", "failed", "cancelled"]
_LOG = logging.getLogger(__name__)
_OPEN = ("queued", "running")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, corpus TEXT NOT NULL, path TEXT NOT NULL,
    state TEXT NOT NULL, message TEXT NOT NULL, report TEXT, created REAL NOT NULL, ended REAL
);
"""


@dataclass(frozen=True, slots=True)
class Job:
    """`partly`: done, but for the dead letters in `report`. `message` says why it failed.

    `documents` of `total` have been read while it runs. `path` is the server's own, and is for
    nobody else.
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


class Index(Protocol):
    """`App.index`."""

    def __call__(
        self, paths: Sequence[Path], *, corpus: str, progress: Callable[[Progress], None]
    ) -> list[Report]: ...


class _Cancelled(Exception):
    pass


class Jobs:
    """`index` does the work. `close` stops the running job, which `start` takes up again."""

    def __init__(self, path: Path, index: Index) -> None:
        self._db = Database(path, _SCHEMA, "the list of index jobs", "index again")
        self._index = index
        self._wake = threading.Condition()
        self._closing = False
        self._cancelled: set[str] = set()
        self._running: tuple[str, Progress] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work; jobs that a kill cut off come first."""
        self._db.run("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
        self._thread = threading.Thread(target=self._work, name="index-jobs", daemon=True)
        self._thread.start()

    def submit(self, owner: str, corpus: str, path: Path) -> Job:
        made = secrets.token_urlsafe(12)
        self._db.run(
            "INSERT INTO jobs VALUES (?, ?, ?, ?, 'queued', '', NULL, ?, NULL)",
            made,
            owner,
            corpus,
            str(path),
            time.time(),
        )
        with self._wake:
            self._wake.notify()
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
        """Stop it after the document that it is reading; what it has stored stays."""
        with self._wake:
            if not self._db.run(
                "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'",
                time.time(),
                job,
            ):
                self._cancelled.add(job)

    def close(self) -> None:
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread:
            self._thread.join()
        self._db.close()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._closing and not (job := self._next()):
                    self._wake.wait()
                if self._closing:
                    return
            assert job is not None
            self._run(job)

    def _next(self) -> Job | None:
        return next(iter(self._jobs("WHERE state = 'queued' ORDER BY created LIMIT 1")), None)

    def _run(self, job: Job) -> None:
        self._cancelled.discard(job.id)
        self._db.run("UPDATE jobs SET state = 'running' WHERE id = ?", job.id)
        self._running = (job.id, Progress())

        def progress(state: Progress) -> None:
            self._running = (job.id, state)
            if self._closing or job.id in self._cancelled:
                raise _Cancelled

        try:
            (report,) = self._index([job.path], corpus=job.corpus, progress=progress)
        except _Cancelled:
            # cut off by `close`, it is queued again: that was not what somebody asked for
            cancelled = job.id in self._cancelled
            self._end(job, "cancelled" if cancelled else "queued", "", None)
        except UniragError as error:
            self._end(job, "failed", str(error).replace(str(job.path), job.corpus), None)
        except Exception:  # noqa: BLE001 - the jobs behind it still have their turn
            _LOG.exception("index job %s", job.id)
            self._end(job, "failed", "an error of the service; its log says more", None)
        else:
            self._end(job, "partly" if report.dead else "done", "", report.to_json())
        finally:
            self._running = None

    def _end(self, job: Job, state: State, message: str, report: dict[str, Any] | None) -> None:
        assert state in get_args(State)
        self._db.run(
            "UPDATE jobs SET state = ?, message = ?, report = ?, ended = ? WHERE id = ?",
            state,
            message,
            report and json.dumps(report),
            None if state in _OPEN else time.time(),
            job.id,
        )

    def _jobs(self, tail: str, *values: object) -> list[Job]:
        rows = self._db.rows(
            "SELECT id, owner, corpus, path, state, message, report, created, ended "  # noqa: S608
            f"FROM jobs {tail}",
            *values,
        )
        running, state = self._running or ("", Progress())
        return [
            Job(
                *(i, owner, corpus, Path(path), at, message, report and json.loads(report)),
                *(created, ended),
                *((state.documents, state.total) if i == running else (0, 0)),
            )
            for i, owner, corpus, path, at, message, report, created, ended in rows
        ]
