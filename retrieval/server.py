"""The server store: a Qdrant server or cluster through `qdrant-client`, for more than one machine.

Qdrant 1.17 or later (weighted fusion). Start one with `docker compose up -d qdrant`, or with
`docker run -p 127.0.0.1:6333:6333 qdrant/qdrant:v1.17.0`,
and set `UNIRAG_QDRANT_URL=http://127.0.0.1:6333`.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import httpx
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import (
    ApiException,
    ResponseHandlingException,
    UnexpectedResponse,
)

from data.errors import BadInput, BadSetting, Mismatch, Missing, UniragError
from data.records import Channel, Item
from retrieval.server_records import (
    EXACT,
    QUANTIZED,
    RESCORED,
    from_record,
    native,
    quantization_of,
    to_filter,
    to_point,
)
from retrieval.server_settings import ServerSettings
from retrieval.store import (
    PAYLOAD_INDEXES,
    RRF_K,
    ChannelQuery,
    Point,
    Quantization,
    ScoredItem,
    Stamp,
    Where,
)

__all__ = ["ServerStore"]

T = TypeVar("T")
_PAGE = 1000
_BATCH = 256  # points in one request: about 3 MB
_DEPTH = 100
_NO_INDEXING = 0  # kB: as Qdrant has it, vectors are not indexed at all
_TICK = 1.0  # seconds
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


class ServerStore:
    """A collection on a Qdrant server, made if it is not there.

    It is called `collection`, or, once it was re-embedded, whatever the alias
    `<collection>-current` points to. A store keeps to the collection that it found: its encoder
    belongs to that one. `client` is injected so that the contract suite can pass
    `QdrantClient(":memory:")`. Raises `Missing` where no server answers and `Mismatch` where the
    stamp differs.
    """

    def __init__(
        self,
        client: QdrantClient,
        collection: str,
        stamp: Stamp | None,
        settings: ServerSettings = ServerSettings(),
        quantization: Quantization | None = None,
        *,
        replacement: bool = False,
    ) -> None:
        self._client = client
        self._settings = settings
        self._quantization = quantization
        self._written = 0  # points since the last flush
        self._loading = False
        self._plain, self._alias = collection, f"{collection}-current"
        self._is_replacement = replacement
        self._collection = self._current()
        if replacement:
            assert stamp is not None
            self._new(stamp)
        elif not self._call(lambda: client.collection_exists(self._collection)):
            if stamp is None:
                raise Missing(
                    f"the Qdrant server holds no collection {collection!r}; run `unirag index "
                    "PATH` first"
                )
            self._call(lambda: self._create(stamp))
        stored = self._call(lambda: client.get_collection(self._collection))
        where = f"the collection {self._collection!r} on the Qdrant server"
        metadata = stored.config.metadata or {}
        if stamp is not None:
            stamp.check(metadata, where)
        self.stamp = Stamp.from_json(metadata, where)
        for name in PAYLOAD_INDEXES:
            if name not in stored.payload_schema:  # new, or made before there was this index
                self._call(lambda n=name: self._index_payload(n))  # type: ignore[misc]
        if quantization and quantization_of(stored.config) != quantization:
            self._call(self._quantize)
        if stored.config.optimizer_config.indexing_threshold == _NO_INDEXING:
            # A load was killed, or another process is at one: that one only becomes slower.
            self._index_from(settings.indexing_threshold)

    def _current(self) -> str:
        """The collection that opens now."""
        aliases = self._call(self._client.get_aliases).aliases
        found = (a.collection_name for a in aliases if a.alias_name == self._alias)
        return next(found, self._plain)

    def _new(self, stamp: Stamp) -> None:
        """Empty: what a run before this one left there may have changed meanwhile."""
        name = f"{self._plain}-{stamp.digest}"
        if name == self._collection:
            raise UniragError(f"the collection {name!r} has the stamp {stamp} already")
        self._collection = name
        self._call(lambda: self._client.delete_collection(name))
        self._call(lambda: self._create(stamp))

    @classmethod
    def connect(
        cls,
        url: str,
        api_key: str | None,
        collection: str,
        stamp: Stamp | None,
        settings: ServerSettings = ServerSettings(),
        quantization: Quantization | None = None,
        *,
        replacement: bool = False,
    ) -> ServerStore:
        if not url.startswith(("http://", "https://")):
            raise _no_address(url, "no http or https address")
        try:
            with warnings.catch_warnings():
                if httpx.URL(url).host in _THIS_MACHINE:  # where a key in clear text is no leak
                    warnings.simplefilter("ignore", UserWarning)
                client = QdrantClient(
                    url=url, api_key=api_key, timeout=30, check_compatibility=False
                )
        except (ValueError, httpx.InvalidURL) as error:
            raise _no_address(url, error) from None
        return cls(client, collection, stamp, settings, quantization, replacement=replacement)

    def _create(self, stamp: Stamp) -> None:
        def dense(width: int) -> models.VectorParams:
            return models.VectorParams(
                size=width,
                distance=models.Distance.COSINE,
                on_disk=self._quantization in ("scalar", "binary") or None,
            )

        bm25 = models.SparseVectorParams(modifier=models.Modifier.IDF)
        try:
            self._client.create_collection(
                self._collection,
                vectors_config={"image": dense(stamp.image_width), "text": dense(stamp.text_width)},
                sparse_vectors_config={"bm25": bm25},
                metadata=stamp.to_json(),
                quantization_config=QUANTIZED.get(self._quantization or "none"),
                shard_number=self._settings.shard_number,
                replication_factor=self._settings.replication_factor,
                write_consistency_factor=self._settings.write_consistency_factor,
            )
        except UnexpectedResponse as error:
            if error.status_code != httpx.codes.CONFLICT:  # else another process was quicker
                raise

    def _quantize(self) -> None:
        """The server builds its index anew, and answers from the old one meanwhile."""
        on_disk = self._quantization != "none"
        self._client.update_collection(
            self._collection,
            vectors_config={
                name: models.VectorParamsDiff(on_disk=on_disk) for name in ("image", "text")
            },
            quantization_config=QUANTIZED.get(self._quantization or "none")
            or models.Disabled.DISABLED,
        )

    def _index_payload(self, name: str) -> None:
        self._client.create_payload_index(self._collection, name, models.PayloadSchemaType.KEYWORD)

    def upsert(self, points: Sequence[Point]) -> None:
        self._check_current()
        for start in range(0, len(points), _BATCH):
            batch = [to_point(p) for p in points[start : start + _BATCH]]
            self._call(lambda b=batch: self._client.upsert(self._collection, b, wait=True))  # type: ignore[misc]
        self._written += len(points)
        if self._written > self._settings.bulk_points and not self._loading:
            self._loading = True
            self._index_from(_NO_INDEXING)

    def _index_from(self, kilobytes: int) -> None:
        config = models.OptimizersConfigDiff(indexing_threshold=kilobytes)
        self._call(
            lambda: self._client.update_collection(self._collection, optimizers_config=config)
        )

    def search(
        self, queries: Sequence[ChannelQuery], limit: int, where: Where = Where()
    ) -> list[ScoredItem]:
        if not queries:
            return []
        condition = to_filter(where)
        if len(queries) == 1:
            request: dict[str, Any] = {
                "query": native(queries[0].vector),
                "using": queries[0].channel,
                "query_filter": condition,
                "search_params": RESCORED,
            }
        else:
            depth = max(_DEPTH, limit)
            request = {
                "query": models.RrfQuery(
                    rrf=models.Rrf(k=RRF_K, weights=[q.weight for q in queries])
                ),
                "prefetch": [
                    models.Prefetch(
                        query=native(q.vector),
                        using=q.channel,
                        limit=depth,
                        filter=condition,
                        params=RESCORED,
                    )
                    for q in queries
                ],
            }
        found = self._call(
            lambda: self._client.query_points(
                self._collection, limit=limit, with_payload=True, **request
            )
        ).points
        if not found:
            return []
        scores = self._channel_scores(queries, [p.id for p in found])
        return [
            ScoredItem(Item.from_json(p.payload or {}), float(p.score), scores.get(str(p.id), {}))
            for p in found
        ]

    def best_scores(self, queries: Sequence[ChannelQuery], where: Where = Where()) -> list[float]:
        condition = to_filter(where)
        requests = [
            models.QueryRequest(
                query=native(q.vector),
                using=q.channel,
                filter=condition,
                limit=1,
                params=RESCORED,
            )
            for q in queries
            if not q.is_empty
        ]
        if not requests:
            return [0.0] * len(queries)
        answers = iter(
            self._call(lambda: self._client.query_batch_points(self._collection, requests))
        )
        return [
            max((float(p.score) for p in (() if q.is_empty else next(answers).points)), default=0.0)
            for q in queries
        ]

    def _channel_scores(
        self, queries: Sequence[ChannelQuery], ids: list[Any]
    ) -> dict[str, dict[Channel, float]]:
        among = models.Filter(must=[models.HasIdCondition(has_id=ids)])
        requests = [
            models.QueryRequest(
                query=native(q.vector),
                using=q.channel,
                filter=among,
                limit=len(ids),
                params=EXACT,
            )
            for q in queries
        ]
        scores: dict[str, dict[Channel, float]] = {}
        answers = self._call(lambda: self._client.query_batch_points(self._collection, requests))
        for query, answer in zip(queries, answers, strict=True):
            for point in answer.points:
                own = scores.setdefault(str(point.id), {})
                own[query.channel] = max(own.get(query.channel, -1.0), float(point.score))
        return scores

    def get(self, ids: Sequence[str]) -> list[Item]:
        if not ids:
            return []
        records = self._call(
            lambda: self._client.retrieve(self._collection, list(ids), with_payload=True)
        )
        found = {str(r.id): Item.from_json(r.payload or {}) for r in records}
        return [found[i] for i in ids if i in found]

    def scan(self, where: Where = Where()) -> Iterator[Item]:
        for record in self._records(where, _PAGE, with_vectors=False):
            yield Item.from_json(record.payload or {})

    def scan_points(self, where: Where = Where()) -> Iterator[Point]:
        for record in self._records(where, _BATCH, with_vectors=True):
            yield from_record(record)

    def _records(self, where: Where, page: int, with_vectors: bool) -> Iterator[models.Record]:
        offset: Any = None
        while True:
            records, offset = self._call(
                lambda o=offset: self._client.scroll(  # type: ignore[misc]
                    self._collection,
                    scroll_filter=to_filter(where),
                    limit=page,
                    offset=o,
                    with_payload=True,
                    with_vectors=with_vectors,
                )
            )
            yield from records
            if offset is None:
                return

    def count(self, where: Where = Where()) -> int:
        return self._call(
            lambda: self._client.count(self._collection, count_filter=to_filter(where))
        ).count

    def count_by(self, field: str, where: Where = Where()) -> dict[str, int]:
        answer = self._call(
            lambda: self._client.facet(
                self._collection, field, facet_filter=to_filter(where), limit=100_000, exact=True
            )
        )
        return {str(h.value): h.count for h in answer.hits}

    def delete(self, ids: Iterable[str]) -> None:
        gone = list(ids)
        if gone:
            self._check_current()
            selector = models.PointIdsList(points=list(gone))
            self._call(lambda: self._client.delete(self._collection, selector, wait=True))

    def delete_where(self, where: Where) -> None:
        condition = to_filter(where)
        if condition is None:
            raise BadInput("delete_where needs at least one condition; expected a corpus or source")
        self._check_current()
        selector = models.FilterSelector(filter=condition)
        self._call(lambda: self._client.delete(self._collection, selector, wait=True))

    def flush(self) -> None:
        """Ends a load: switches indexing on again and waits for it. Writes have been waited for."""
        self._written = 0
        if not self._loading:
            return
        self._index_from(self._settings.indexing_threshold)
        self._loading = False
        while (
            info := self._call(lambda: self._client.get_collection(self._collection))
        ).status in (
            models.CollectionStatus.YELLOW,
            models.CollectionStatus.GREY,
        ):
            time.sleep(_TICK)
        if info.status == models.CollectionStatus.RED:
            raise UniragError(
                f"the Qdrant server could not index {self._collection!r} "
                f"({info.optimizer_status}); see its log"
            )

    def promote(self) -> None:
        """By one change of the alias, which the server makes at once."""
        delete = models.DeleteAliasOperation(
            delete_alias=models.DeleteAlias(alias_name=self._alias)
        )
        create = models.CreateAliasOperation(
            create_alias=models.CreateAlias(
                collection_name=self._collection, alias_name=self._alias
            )
        )
        self._call(lambda: self._client.update_collection_aliases([delete, create]))
        self._is_replacement = False

    def delete_replaced(self) -> None:
        """A process that still has one of them open fails from now on, until it is restarted."""
        ours = re.compile(rf"{re.escape(self._plain)}(-[0-9a-f]{{8}})?")
        keep = {self._collection, self._current()}
        for found in self._call(self._client.get_collections).collections:
            if ours.fullmatch(found.name) and found.name not in keep:
                self._call(lambda name=found.name: self._client.delete_collection(name))  # type: ignore[misc]

    def _check_current(self) -> None:
        """Refuse to write where nobody will look for it."""
        if not self._is_replacement and self._current() != self._collection:
            raise Mismatch(
                f"the collection {self._plain!r} was re-embedded while this process ran; start it "
                "again with the settings that `unirag reembed` was run with"
            )

    def close(self) -> None:
        """A load that was broken off has its indexing switched on again, and not waited for."""
        try:
            if self._loading:
                self._index_from(self._settings.indexing_threshold)
        finally:
            self._client.close()

    def _call(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except ResponseHandlingException as error:
            raise Missing(
                f"no Qdrant server answers ({error}); start one with `docker compose up -d "
                "qdrant`, or unset UNIRAG_QDRANT_URL to use the embedded store"
            ) from None
        except (ApiException, httpx.HTTPError, ValueError) as error:
            if getattr(error, "status_code", None) == httpx.codes.NOT_FOUND:
                raise Mismatch(
                    f"the collection {self._collection!r} is no longer on the Qdrant server; where "
                    "it was re-embedded, start this process again with the new settings"
                ) from None
            raise UniragError(
                f"the Qdrant server refused: {error}; check its version and UNIRAG_QDRANT_URL"
            ) from error


def _no_address(url: str, reason: object) -> BadSetting:
    return BadSetting(
        f"setting qdrant_url: got {url!r} ({reason}); expected such as http://127.0.0.1:6333"
    )
