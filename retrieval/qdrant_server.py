"""The server store: a Qdrant server or cluster through `qdrant-client`, for more than one machine.

Needs Qdrant 1.17 or later for weighted fusion. Start one with `docker compose up -d qdrant`, or
with `docker run -p 127.0.0.1:6333:6333 qdrant/qdrant:v1.17.0`, and set
`UNIRAG_QDRANT_URL=http://127.0.0.1:6333`.
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
from data.records import Item
from retrieval.qdrant_results import best_score_of_each, scores_by_channel, to_scored_items
from retrieval.qdrant_server_records import (
    QUANTIZATION_CONFIGS,
    best_score_requests,
    exact_requests,
    from_record,
    quantization_of,
    search_arguments,
    to_filter,
    to_point,
    vectors_config,
)
from retrieval.qdrant_settings import ServerSettings
from retrieval.store import (
    PAYLOAD_INDEXES,
    ChannelQuery,
    Point,
    Quantization,
    ScoredItem,
    Stamp,
    Where,
)

__all__ = ["ServerStore"]

T = TypeVar("T")
_ITEMS_PER_PAGE = 1000
_POINTS_PER_REQUEST = 256  # about 3 MB
_MAX_VALUES = 100_000  # distinct values that `count_by` returns
_NO_INDEXING = 0  # the indexing threshold with which Qdrant builds no vector index
_POLL_SECONDS = 1.0  # between checks whether indexing has finished
_TIMEOUT_SECONDS = 30
_LOCAL_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


class ServerStore:
    """A `VectorStore` on a Qdrant server; creates the collection if it does not exist.

    Its name is `collection`, or, after a re-embedding, the target of the alias
    `<collection>-current`. The store keeps using this collection even if the alias moves, because
    its encoder fits only this one. `client` is injected so that the contract suite can pass
    `QdrantClient(":memory:")`. Raises `Missing` if no server answers and `Mismatch` if another
    stamp wrote the collection.
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
        self._points_since_flush = 0
        self._indexing_stopped = False
        self._base_name, self._alias = collection, f"{collection}-current"
        self._is_replacement = replacement
        self._collection = self._current_collection()
        if replacement:
            assert stamp is not None
            self._create_replacement(stamp)
        elif not self._call(lambda: client.collection_exists(self._collection)):
            if stamp is None:
                raise Missing(
                    f"the Qdrant server holds no collection {collection!r}; run `unirag index "
                    "PATH` first"
                )
            self._call(lambda: self._create_collection(stamp))
        self._open_collection(stamp)

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
        """Open a collection of the server at `url`. Raises `BadSetting` for an invalid address."""
        if not url.startswith(("http://", "https://")):
            raise _invalid_address(url, "not an http or https address")
        try:
            with warnings.catch_warnings():
                if httpx.URL(url).host in _LOCAL_HOSTS:  # the key does not leave this machine
                    warnings.simplefilter("ignore", UserWarning)
                client = QdrantClient(
                    url=url, api_key=api_key, timeout=_TIMEOUT_SECONDS, check_compatibility=False
                )
        except (ValueError, httpx.InvalidURL) as error:
            raise _invalid_address(url, error) from None
        return cls(client, collection, stamp, settings, quantization, replacement=replacement)

    def _current_collection(self) -> str:
        aliases = self._call(self._client.get_aliases).aliases
        targets = (a.collection_name for a in aliases if a.alias_name == self._alias)
        return next(targets, self._base_name)

    def _create_replacement(self, stamp: Stamp) -> None:
        """Create an empty collection. An earlier attempt is deleted: its items may be outdated."""
        name = f"{self._base_name}-{stamp.digest}"
        if name == self._collection:
            raise UniragError(f"the collection {name!r} has the stamp {stamp} already")
        self._collection = name
        self._call(lambda: self._client.delete_collection(name))
        self._call(lambda: self._create_collection(stamp))

    def _create_collection(self, stamp: Stamp) -> None:
        bm25 = models.SparseVectorParams(modifier=models.Modifier.IDF)
        try:
            self._client.create_collection(
                self._collection,
                vectors_config=vectors_config(stamp, self._quantization),
                sparse_vectors_config={"bm25": bm25},
                metadata=stamp.to_json(),
                quantization_config=QUANTIZATION_CONFIGS.get(self._quantization or "none"),
                shard_number=self._settings.shard_number,
                replication_factor=self._settings.replication_factor,
                write_consistency_factor=self._settings.write_consistency_factor,
            )
        except UnexpectedResponse as error:
            # A conflict means that another process created the collection first: use that one.
            if error.status_code != httpx.codes.CONFLICT:
                raise

    def _open_collection(self, stamp: Stamp | None) -> None:
        """Check the stamp, then create missing indexes and change the quantisation if needed."""
        info = self._call(lambda: self._client.get_collection(self._collection))
        location = f"the collection {self._collection!r} on the Qdrant server"
        metadata = info.config.metadata or {}
        if stamp is not None:
            stamp.check(metadata, location)
        self.stamp = Stamp.from_json(metadata, location)
        for name in PAYLOAD_INDEXES:
            # A new collection has no index, and one whose creation was interrupted lacks some.
            if name not in info.payload_schema:
                self._call(lambda n=name: self._create_payload_index(n))  # type: ignore[misc]
        if self._quantization and quantization_of(info.config) != self._quantization:
            self._call(self._change_quantization)
        if info.config.optimizer_config.indexing_threshold == _NO_INDEXING:
            # An interrupted load left indexing off. This only slows a load that is still running.
            self._set_indexing_threshold(self._settings.indexing_threshold)

    def _change_quantization(self) -> None:
        """Change the config. The server answers from the old index until the new one is built."""
        on_disk = self._quantization != "none"
        self._client.update_collection(
            self._collection,
            vectors_config={
                name: models.VectorParamsDiff(on_disk=on_disk) for name in ("image", "text")
            },
            quantization_config=QUANTIZATION_CONFIGS.get(self._quantization or "none")
            or models.Disabled.DISABLED,
        )

    def _create_payload_index(self, name: str) -> None:
        self._client.create_payload_index(self._collection, name, models.PayloadSchemaType.KEYWORD)

    def _set_indexing_threshold(self, kilobytes: int) -> None:
        config = models.OptimizersConfigDiff(indexing_threshold=kilobytes)
        self._call(
            lambda: self._client.update_collection(self._collection, optimizers_config=config)
        )

    def upsert(self, points: Sequence[Point]) -> None:
        self._check_current()
        for start in range(0, len(points), _POINTS_PER_REQUEST):
            batch = [to_point(p) for p in points[start : start + _POINTS_PER_REQUEST]]
            self._call(lambda b=batch: self._client.upsert(self._collection, b, wait=True))  # type: ignore[misc]
        self._points_since_flush += len(points)
        if self._points_since_flush > self._settings.bulk_points and not self._indexing_stopped:
            self._indexing_stopped = True
            self._set_indexing_threshold(_NO_INDEXING)

    def search(
        self, queries: Sequence[ChannelQuery], limit: int, where: Where = Where()
    ) -> list[ScoredItem]:
        if not queries:
            return []
        arguments = search_arguments(queries, limit, where)
        points = self._call(
            lambda: self._client.query_points(
                self._collection, limit=limit, with_payload=True, **arguments
            )
        ).points
        if not points:
            return []
        # Score all hits in all channels: the fusion sees only the top hits of each channel.
        results = self._query_batch(exact_requests(queries, [p.id for p in points]))
        return to_scored_items(points, scores_by_channel(queries, results))

    def best_scores(self, queries: Sequence[ChannelQuery], where: Where = Where()) -> list[float]:
        return best_score_of_each(queries, self._query_batch(best_score_requests(queries, where)))

    def _query_batch(self, requests: list[models.QueryRequest]) -> list[list[models.ScoredPoint]]:
        if not requests:
            return []
        responses = self._call(lambda: self._client.query_batch_points(self._collection, requests))
        return [response.points for response in responses]

    def get(self, ids: Sequence[str]) -> list[Item]:
        if not ids:
            return []
        records = self._call(
            lambda: self._client.retrieve(self._collection, list(ids), with_payload=True)
        )
        items = {str(r.id): Item.from_json(r.payload or {}) for r in records}
        return [items[i] for i in ids if i in items]

    def scan(self, where: Where = Where()) -> Iterator[Item]:
        for record in self._scroll(where, _ITEMS_PER_PAGE, with_vectors=False):
            yield Item.from_json(record.payload or {})

    def scan_points(self, where: Where = Where()) -> Iterator[Point]:
        for record in self._scroll(where, _POINTS_PER_REQUEST, with_vectors=True):
            yield from_record(record)

    def _scroll(self, where: Where, page_size: int, with_vectors: bool) -> Iterator[models.Record]:
        offset: Any = None
        while True:
            records, offset = self._call(
                lambda o=offset: self._client.scroll(  # type: ignore[misc]
                    self._collection,
                    scroll_filter=to_filter(where),
                    limit=page_size,
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
        response = self._call(
            lambda: self._client.facet(
                self._collection,
                field,
                facet_filter=to_filter(where),
                limit=_MAX_VALUES,
                exact=True,
            )
        )
        return {str(h.value): h.count for h in response.hits}

    def delete(self, ids: Iterable[str]) -> None:
        point_ids = list(ids)
        if point_ids:
            self._check_current()
            selector = models.PointIdsList(points=list(point_ids))
            self._call(lambda: self._client.delete(self._collection, selector, wait=True))

    def delete_where(self, where: Where) -> None:
        condition = to_filter(where)
        if condition is None:
            raise BadInput("delete_where needs at least one condition; expected a corpus or source")
        self._check_current()
        selector = models.FilterSelector(filter=condition)
        self._call(lambda: self._client.delete(self._collection, selector, wait=True))

    def flush(self) -> None:
        """Restart indexing after a large load and wait for it. Writes are already complete."""
        self._points_since_flush = 0
        if not self._indexing_stopped:
            return
        self._set_indexing_threshold(self._settings.indexing_threshold)
        self._indexing_stopped = False
        while (
            info := self._call(lambda: self._client.get_collection(self._collection))
        ).status in (
            models.CollectionStatus.YELLOW,
            models.CollectionStatus.GREY,
        ):
            time.sleep(_POLL_SECONDS)
        if info.status == models.CollectionStatus.RED:
            raise UniragError(
                f"the Qdrant server could not index {self._collection!r} "
                f"({info.optimizer_status}); see its log"
            )

    def promote(self) -> None:
        """Move the alias, which the server does in one atomic step."""
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
        """Delete other collections. A process that has one of them open fails until its restart."""
        own_names = re.compile(rf"{re.escape(self._base_name)}(-[0-9a-f]{{8}})?")
        in_use = {self._collection, self._current_collection()}
        for collection in self._call(self._client.get_collections).collections:
            if own_names.fullmatch(collection.name) and collection.name not in in_use:
                self._call(lambda name=collection.name: self._client.delete_collection(name))  # type: ignore[misc]

    def _check_current(self) -> None:
        """Refuse to write to a collection that was replaced."""
        if not self._is_replacement and self._current_collection() != self._collection:
            raise Mismatch(
                f"the collection {self._base_name!r} was re-embedded while this process ran; start "
                "it again with the settings that `unirag reembed` was run with"
            )

    def close(self) -> None:
        """Close the connection. After an interrupted load, start indexing without waiting."""
        try:
            if self._indexing_stopped:
                self._set_indexing_threshold(self._settings.indexing_threshold)
        finally:
            self._client.close()

    def _call(self, action: Callable[[], T]) -> T:
        """Run a call of the client and turn its errors into ours."""
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
                    f"the collection {self._collection!r} is no longer on the Qdrant server; if it "
                    "was re-embedded, start this process again with the new settings"
                ) from None
            raise UniragError(
                f"the Qdrant server refused: {error}; check its version and UNIRAG_QDRANT_URL"
            ) from error


def _invalid_address(url: str, reason: object) -> BadSetting:
    return BadSetting(
        f"setting qdrant_url: got {url!r} ({reason}); expected an address such as "
        "http://127.0.0.1:6333"
    )
