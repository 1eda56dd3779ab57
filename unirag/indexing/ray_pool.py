"""Reading on a cluster: Ray Data hands tasks to workers and their events to the run.

To the run (unirag/indexing/indexer.py) this is a pool of readers like the local one. What its workers
encode lies in the home's caches before their events come, so the run finds every label and vector
there, encodes nothing itself, and writes store and journal as it always does: the journal is the
checkpoint of a cluster too. One stage does it all, for a decoded picture is 8 MB and its vector
2 KB: pixels never leave the machine that decoded them.

Ray Data restarts a worker that dies and gives its task to another, as often as it takes; how often
a unit may kill its worker is counted here (`Keeper.begin`). A task is one row and one block of one
task, so it is there whole or not at all.

Every machine needs unirag, its models and the documents, each under the same path, and the run is
started on one of them. Only this file knows Ray; nothing here imports it before a run.
"""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import queue
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data.errors import BadSetting, Missing, UniragError
from data.ocr import OcrCache
from data.pictures import Assets
from data.readers.scan import Unit
from data.reading_events import DocumentStart, Event, Idle
from data.reading_pool import ReaderPool
from retrieval.store import Vector
from unirag.indexing.indexer import Wanted
from unirag.indexing.ray_worker import Models, Worker, share_out
from unirag.settings.cluster import ClusterSettings
from unirag.workspace.embedding_cache import EmbeddingCache

__all__ = ["RayPool", "WorkspaceFiles"]

_LOST = 16  # deaths of workers without one task done: it is not the documents
_TICK = 1.0  # seconds
_PATIENCE = 10.0  # seconds for a cluster to answer


@dataclass(frozen=True)
class WorkspaceFiles:
    """Where the home keeps what workers make."""

    vectors: Path
    labels: Path
    assets: Path


class Keeper:
    """The home's caches and pictures, for workers elsewhere; lives on the machine of the home."""

    def __init__(self, home: WorkspaceFiles) -> None:
        self._vectors, self._labels = EmbeddingCache(home.vectors), OcrCache(home.labels)
        self._assets = Assets(home.assets)
        self._begun: Counter[str] = Counter()
        self._lost = 0

    def get_vectors(self, stamp: str, width: int, digests: list[str]) -> dict[str, Vector]:
        return self._vectors.get(stamp, width, digests)

    def put_vectors(self, stamp: str, vectors: dict[str, Vector]) -> None:
        self._vectors.put(stamp, vectors)

    def get_label(self, digest: str, stamp: str) -> str | None:
        return self._labels.get(digest, stamp)

    def put_label(self, digest: str, stamp: str, text: str) -> None:
        self._labels.put(digest, stamp, text)

    def keep(self, picture: bytes, thumbnail: bytes) -> None:
        self._assets.take(picture, thumbnail)

    def begin(self, key: str) -> int:
        before = self._begun[key]
        self._begun[key] += 1
        self._lost += before > 0
        if self._lost >= _LOST:
            raise UniragError(
                f"{_LOST} workers of the Ray cluster died and none did its task, perhaps for want "
                "of memory; give each more (cluster.cpus), or see Ray's logs"
            )
        return before

    def end(self, key: str) -> None:
        del self._begun[key]
        self._lost = 0


class _Asked:
    """Calls of a `Keeper`, waited for; its errors are those of the method."""

    def __init__(self, keeper: Any) -> None:
        self._keeper = keeper

    def _ask(self, method: str, *values: Any) -> Any:
        import ray

        try:
            return ray.get(getattr(self._keeper, method).remote(*values))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None


class _Vectors(_Asked):
    def get(self, stamp: str, width: int, digests: Iterable[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = self._ask("get_vectors", stamp, width, list(digests))
        return found

    def put(self, stamp: str, vectors: Mapping[str, Vector]) -> None:
        self._ask("put_vectors", stamp, dict(vectors))

    def trim(self, stamps: Sequence[str], most: int) -> None:
        raise NotImplementedError("the run trims its own cache")


class _Labels(_Asked):
    def get(self, digest: str, stamp: str) -> str | None:
        text: str | None = self._ask("get_label", digest, stamp)
        return text

    def put(self, digest: str, stamp: str, text: str) -> None:
        self._ask("put_label", digest, stamp, text)


class _Home(_Asked):
    def __init__(self, keeper: Any) -> None:
        super().__init__(keeper)
        self.vectors, self.labels = _Vectors(keeper), _Labels(keeper)

    def keep(self, picture: bytes, thumbnail: bytes) -> None:
        self._ask("keep", picture, thumbnail)

    def begin(self, key: str) -> int:
        before: int = self._ask("begin", key)
        return before

    def end(self, key: str) -> None:
        self._ask("end", key)


class _Actor:
    """A worker as Ray Data calls it. An error is an outcome: raised, it would be tried again."""

    def __init__(self, keeper: Any, models: Models, readers: Any, corpus: str, wanted: Any) -> None:
        self._given = (_Home(keeper), models, readers, corpus, wanted)

    @cached_property
    def _worker(self) -> Worker:
        worker = Worker(*self._given)
        atexit.register(worker.close)
        return worker

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        (number,), (task,) = batch["number"], batch["task"]
        try:
            outcome: Any = self._worker.do(int(number), pickle.loads(task))  # noqa: S301 - our own
        except UniragError as error:
            outcome = type(error)(f"on the worker {socket.gethostname()}: {error}")
        except Exception as error:  # noqa: BLE001 - raised again where the run is
            outcome = UniragError(f"on the worker {socket.gethostname()}: {error!r}")
        return {"outcome": [pickle.dumps(outcome)]}


class RayPool:
    """A pool of readers on a Ray cluster that label and encode too.

    A context manager. Starts or joins Ray unless this process has it already. `models` and
    `readers` go to the workers. Raises `Missing` without Ray and `UniragError` where workers cannot
    go on.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        home: WorkspaceFiles,
        models: Models,
        readers: Callable[[Path], ReaderPool],
    ) -> None:
        self._settings, self._home, self._models = settings, home, models
        self._readers = readers
        self._closed = threading.Event()
        self._started = False

    def __enter__(self) -> RayPool:
        # else the thread that waits for rows starts Ray anew where a run is broken off
        os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
        try:
            import ray
            import ray.data
        except ImportError:
            raise Missing(
                "--engine ray needs the extra `ray`; run: pip install 'unirag[ray]'"
            ) from None
        if not ray.is_initialized():
            self._started = True
            address = self._settings.address
            try:
                _knock(address)
                ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
            except (OSError, ValueError, RuntimeError) as error:
                raise BadSetting(
                    f"setting cluster.address: no Ray cluster at {address or 'RAY_ADDRESS'!r} "
                    f"({error}); expected such as 10.0.0.1:6379, which `ray start --head` names"
                ) from None
        self._keeper: Any = (
            ray.remote(Keeper)
            .options(
                num_cpus=0,
                max_restarts=-1,
                max_task_retries=-1,
                scheduling_strategy=ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                    ray.get_runtime_context().get_node_id(), soft=False
                ),
            )
            .remote(self._home)
        )
        return self

    def __exit__(self, *error: object) -> None:
        import ray

        self._closed.set()
        if self._started:
            ray.shutdown()
        else:
            ray.kill(self._keeper)

    def read(
        self,
        units: Sequence[Unit],
        corpus: str,
        wanted: Callable[[DocumentStart], bool],
        lacking: Callable[[str], bool],
    ) -> Iterator[Event]:
        """Task by task, in the order in which they are done.

        `wanted` goes to the workers. `lacking` is not asked, for they keep no picture: each is
        decoded, and encoded only where the home lacks its vector.
        """
        assert isinstance(wanted, Wanted)
        if not units:
            return
        rows: queue.Queue[Any] = queue.Queue(1)  # so Ray Data, and in turn its workers, wait for us
        reading = threading.Thread(
            target=self._fill, args=(rows, units, corpus, wanted), name="ray-data", daemon=True
        )
        reading.start()
        while True:
            try:
                outcome = rows.get(timeout=_TICK)
            except queue.Empty:
                yield Idle()
                continue
            if outcome is None:
                return
            if isinstance(outcome, Exception):
                raise outcome
            yield from outcome

    def _fill(
        self, rows: queue.Queue[Any], units: Sequence[Unit], corpus: str, wanted: Wanted
    ) -> None:
        import ray

        def put(outcome: Any) -> None:
            while not self._closed.is_set():
                with suppress(queue.Full):
                    return rows.put(outcome, timeout=_TICK)
            raise _Closed

        try:
            for row in self._dataset(units, corpus, wanted).iter_rows():
                put(pickle.loads(row["outcome"]))  # noqa: S301 - our own worker's
            put(None)
        except _Closed:
            return
        except ray.exceptions.RayError as error:
            with suppress(_Closed):
                put(UniragError(f"the Ray cluster failed: {error}; see Ray's logs"))
        except Exception as error:  # noqa: BLE001 - raised again where the events are taken
            with suppress(_Closed):
                put(error)

    def _dataset(self, units: Sequence[Unit], corpus: str, wanted: Wanted) -> Any:
        import ray

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context.target_max_block_size = None  # what a task gives is one block, however large
        workers = self._settings.workers or self._room()
        tasks = share_out(units, workers)
        rows = [{"number": n, "task": pickle.dumps(task)} for n, task in enumerate(tasks)]
        return ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            batch_size=1,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(rows))),
            num_cpus=self._settings.cpus,
            num_gpus=self._settings.gpus or None,
            fn_constructor_args=(self._keeper, self._models, self._readers, corpus, wanted),
        )

    def _room(self) -> int:
        """How many workers the cluster has room for now."""
        import ray

        there, asked = ray.cluster_resources(), self._settings
        room = there.get("CPU", 0) / asked.cpus
        if asked.gpus:
            room = min(room, there.get("GPU", 0) / asked.gpus)
        if room < 1:
            raise BadSetting(
                f"a worker takes {asked.cpus:g} CPUs and {asked.gpus:g} GPUs, and the Ray cluster "
                f"has {there.get('CPU', 0):g} and {there.get('GPU', 0):g}; lower cluster.cpus or "
                "cluster.gpus, or wait for its machines"
            )
        return int(room)


def _knock(address: str | None) -> None:
    """Raises `OSError` where nothing listens at HOST:PORT; Ray itself would try for two minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


class _Closed(Exception):
    """The pool is being closed."""
