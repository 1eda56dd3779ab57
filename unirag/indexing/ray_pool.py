"""Document readers on a Ray cluster: Ray Data hands out tasks and returns their events.

The indexer uses this pool like the readers of one machine. Workers send labels and vectors to the
caches of the workspace before their events arrive. So the run finds every vector in its cache,
encodes nothing itself, and writes store and catalog as in a local run; the catalog is the
checkpoint of a cluster run too. Reading and encoding happen in one place, because a decoded picture
has 8 MB and its vector 2 KB: pixels never leave the machine that decoded them.

Ray Data restarts a worker that dies, and gives its task to another as often as necessary. The
number of workers that a unit may kill is limited here (`WorkspaceKeeper.begin`). A task is one row,
and its result one block, so it arrives complete or not at all.

Every machine needs unirag, its models and the documents, each under the same path. The run starts
on one of these machines. Only this file uses Ray, and imports it when a run starts.
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
from unirag.indexing.ray_worker import ClusterWorker, ModelLoader, split_into_tasks
from unirag.indexing.reading_plan import ReadingPlan
from unirag.settings.cluster import ClusterSettings
from unirag.workspace.embedding_cache import EmbeddingCache

__all__ = ["RayPool", "WorkspaceFiles"]

_MAX_DEATHS = 16  # in a row without a completed task: more than a bad document can cause
_POLL_SECONDS = 1.0
_CONNECT_SECONDS = 10.0  # time limit for the cluster to answer


@dataclass(frozen=True)
class WorkspaceFiles:
    """The files and the folder of the workspace that workers fill."""

    embeddings: Path
    labels: Path
    assets: Path


class WorkspaceKeeper:
    """Stores the results of workers in the workspace. Runs as a Ray actor on its machine."""

    def __init__(self, files: WorkspaceFiles) -> None:
        self._embeddings, self._labels = EmbeddingCache(files.embeddings), OcrCache(files.labels)
        self._assets = Assets(files.assets)
        self._unfinished: Counter[str] = Counter()
        self._deaths = 0

    def get_vectors(self, encoder: str, width: int, digests: list[str]) -> dict[str, Vector]:
        """Return vectors of the embedding cache."""
        return self._embeddings.get(encoder, width, digests)

    def put_vectors(self, encoder: str, vectors: dict[str, Vector]) -> None:
        """Store vectors in the embedding cache."""
        self._embeddings.put(encoder, vectors)

    def get_label(self, digest: str, stamp: str) -> str | None:
        """Return a label of the OCR cache."""
        return self._labels.get(digest, stamp)

    def put_label(self, digest: str, stamp: str, text: str) -> None:
        """Store a label in the OCR cache."""
        self._labels.put(digest, stamp, text)

    def store_picture(self, picture: bytes, thumbnail: bytes) -> None:
        """Store a picture in the assets."""
        self._assets.put_with_thumbnail(picture, thumbnail)

    def begin(self, key: str) -> int:
        """Record that a worker begins `key`. Return how often it was begun and never ended.

        Raise `UniragError` if many workers die in a row, whatever their task.
        """
        earlier = self._unfinished[key]
        self._unfinished[key] += 1
        self._deaths += earlier > 0
        if self._deaths >= _MAX_DEATHS:
            raise UniragError(
                f"{_MAX_DEATHS} workers of the Ray cluster died and none completed its task, "
                "perhaps for want of memory; give each more (cluster.cpus), or see Ray's logs"
            )
        return earlier

    def end(self, key: str) -> None:
        """Record that `key` was completed."""
        del self._unfinished[key]
        self._deaths = 0


class _RemoteCalls:
    """Calls methods of a `WorkspaceKeeper`, waits for them and raises their errors."""

    def __init__(self, keeper: Any) -> None:
        self._keeper = keeper

    def _call(self, method: str, *values: Any) -> Any:
        import ray

        try:
            return ray.get(getattr(self._keeper, method).remote(*values))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None


class _RemoteEmbeddings(_RemoteCalls):
    """An `EmbeddingStore` on the machine of the workspace."""

    def get(self, encoder: str, width: int, digests: Iterable[str]) -> dict[str, Vector]:
        vectors: dict[str, Vector] = self._call("get_vectors", encoder, width, list(digests))
        return vectors

    def put(self, encoder: str, vectors: Mapping[str, Vector]) -> None:
        self._call("put_vectors", encoder, dict(vectors))

    def trim(self, encoders: Sequence[str], max_vectors: int) -> None:
        raise NotImplementedError("only the run itself trims its cache")


class _RemoteLabels(_RemoteCalls):
    """A `LabelCache` on the machine of the workspace."""

    def get(self, digest: str, stamp: str) -> str | None:
        text: str | None = self._call("get_label", digest, stamp)
        return text

    def put(self, digest: str, stamp: str, text: str) -> None:
        self._call("put_label", digest, stamp, text)


class _RemoteWorkspace(_RemoteCalls):
    """A `WorkspaceLink` through a keeper."""

    def __init__(self, keeper: Any) -> None:
        super().__init__(keeper)
        self.embeddings, self.labels = _RemoteEmbeddings(keeper), _RemoteLabels(keeper)

    def store_picture(self, picture: bytes, thumbnail: bytes) -> None:
        self._call("store_picture", picture, thumbnail)

    def begin(self, key: str) -> int:
        earlier: int = self._call("begin", key)
        return earlier

    def end(self, key: str) -> None:
        self._call("end", key)


class _RayActor:
    """A worker in the form that Ray Data calls.

    It returns errors as outcomes, because Ray Data would repeat a task that raises one.
    """

    def __init__(
        self,
        keeper: Any,
        load_models: ModelLoader,
        new_readers: Any,
        corpus: str,
        plan: ReadingPlan,
    ) -> None:
        self._arguments = (_RemoteWorkspace(keeper), load_models, new_readers, corpus, plan)

    @cached_property
    def _worker(self) -> ClusterWorker:
        worker = ClusterWorker(*self._arguments)
        atexit.register(worker.close)
        return worker

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        (number,), (task,) = batch["number"], batch["task"]
        try:
            outcome: Any = self._worker.do(int(number), pickle.loads(task))  # noqa: S301 - our own
        except UniragError as error:
            outcome = type(error)(f"on the worker {socket.gethostname()}: {error}")
        except Exception as error:  # noqa: BLE001 - raised again by the run
            outcome = UniragError(f"on the worker {socket.gethostname()}: {error!r}")
        return {"outcome": [pickle.dumps(outcome)]}


class RayPool:
    """Document readers on a Ray cluster, which read labels and encode too. A context manager.

    Starts or joins Ray unless this process has done so. `load_models` and `new_readers` are sent to
    the workers. Raises `Missing` if Ray is not installed, `BadSetting` if there is no such cluster
    and `UniragError` if the workers cannot continue.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        files: WorkspaceFiles,
        load_models: ModelLoader,
        new_readers: Callable[[Path], ReaderPool],
    ) -> None:
        self._settings, self._files = settings, files
        self._load_models, self._new_readers = load_models, new_readers
        self._closed = threading.Event()
        self._started_ray = False

    def __enter__(self) -> RayPool:
        # After an interrupted run the thread that waits for rows must not start Ray again.
        os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
        try:
            import ray
            import ray.data
        except ImportError:
            raise Missing(
                "--engine ray needs the extra `ray`; run: pip install 'unirag[ray]'"
            ) from None
        if not ray.is_initialized():
            self._started_ray = True
            address = self._settings.address
            try:
                _check_reachable(address)
                ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
            except (OSError, ValueError, RuntimeError) as error:
                raise BadSetting(
                    f"setting cluster.address: no Ray cluster at {address or 'RAY_ADDRESS'!r} "
                    f"({error}); expected an address such as 10.0.0.1:6379, which "
                    "`ray start --head` prints"
                ) from None
        this_node = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        keeper = ray.remote(WorkspaceKeeper).options(
            num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=this_node
        )
        self._keeper: Any = keeper.remote(self._files)
        return self

    def __exit__(self, *error: object) -> None:
        import ray

        self._closed.set()
        if self._started_ray:
            ray.shutdown()
        else:
            ray.kill(self._keeper)

    def read(
        self,
        units: Sequence[Unit],
        corpus: str,
        select: Callable[[DocumentStart], bool],
        decode_again: Callable[[str], bool],
    ) -> Iterator[Event]:
        """Yield the events of each task, in the order in which tasks are completed.

        `select` must be a `ReadingPlan`; it is sent to the workers. `decode_again` is ignored:
        workers store no pictures, so they decode each one, and encode it unless the workspace has
        its vector.
        """
        assert isinstance(select, ReadingPlan)
        if not units:
            return
        outcomes: queue.Queue[Any] = queue.Queue(1)  # a full queue makes Ray Data wait
        reading = threading.Thread(
            target=self._collect,
            args=(outcomes, units, corpus, select),
            name="ray-data",
            daemon=True,
        )
        reading.start()
        while True:
            try:
                outcome = outcomes.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                yield Idle()
                continue
            if outcome is None:
                return
            if isinstance(outcome, Exception):
                raise outcome
            yield from outcome

    def _collect(
        self, outcomes: queue.Queue[Any], units: Sequence[Unit], corpus: str, plan: ReadingPlan
    ) -> None:
        """Put the events of each task into the queue. At the end put None, or the error."""
        import ray

        def put(outcome: Any) -> None:
            while not self._closed.is_set():
                with suppress(queue.Full):
                    return outcomes.put(outcome, timeout=_POLL_SECONDS)
            raise _PoolClosed

        try:
            for row in self._dataset(units, corpus, plan).iter_rows():
                put(pickle.loads(row["outcome"]))  # noqa: S301 - from our own worker
            put(None)
        except _PoolClosed:
            return
        except ray.exceptions.RayError as error:
            with suppress(_PoolClosed):
                put(UniragError(f"the Ray cluster failed: {error}; see Ray's logs"))
        except Exception as error:  # noqa: BLE001 - raised again by `read`
            with suppress(_PoolClosed):
                put(error)

    def _dataset(self, units: Sequence[Unit], corpus: str, plan: ReadingPlan) -> Any:
        import ray

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context.target_max_block_size = None  # never split the outcome of a task
        workers = self._settings.workers or self._max_workers()
        tasks = split_into_tasks(units, workers)
        rows = [{"number": n, "task": pickle.dumps(task)} for n, task in enumerate(tasks)]
        return ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _RayActor,
            batch_size=1,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(rows))),
            num_cpus=self._settings.cpus,
            num_gpus=self._settings.gpus or None,
            fn_constructor_args=(
                self._keeper,
                self._load_models,
                self._new_readers,
                corpus,
                plan,
            ),
        )

    def _max_workers(self) -> int:
        """Return how many workers fit on the cluster now. Raise `BadSetting` if none does."""
        import ray

        resources, settings = ray.cluster_resources(), self._settings
        workers = resources.get("CPU", 0) / settings.cpus
        if settings.gpus:
            workers = min(workers, resources.get("GPU", 0) / settings.gpus)
        if workers < 1:
            raise BadSetting(
                f"a worker takes {settings.cpus:g} CPUs and {settings.gpus:g} GPUs, and the Ray "
                f"cluster has {resources.get('CPU', 0):g} and {resources.get('GPU', 0):g}; lower "
                "cluster.cpus or cluster.gpus, or wait for its machines"
            )
        return int(workers)


def _check_reachable(address: str | None) -> None:
    """Raise `OSError` if nothing listens at HOST:PORT. Ray itself would try for two minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()


class _PoolClosed(Exception):
    """The pool is being closed."""
