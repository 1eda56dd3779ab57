"""Requests of the server store to a cluster, against a fake of Qdrant's REST interface.

Not tested on a real cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from qdrant_client import QdrantClient

from data.errors import UniragError
from data.records import Item
from retrieval import qdrant_server as server
from retrieval.bm25 import Bm25
from retrieval.qdrant_server import ServerStore
from retrieval.qdrant_settings import ServerSettings
from retrieval.store import Point, Quantization, Stamp

STAMP = Stamp("mini", "tower-1", "minilm", image_width=8, text_width=4)
BULK = ServerSettings(
    shard_number=6, replication_factor=2, write_consistency_factor=1, bulk_points=3
)


class FakeServer:
    """Records requests. `statuses` are the statuses of the collection that it answers in turn."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.threshold = 10_000
        self.statuses: list[str] = []
        self.exists = False
        memory = QdrantClient(":memory:")
        ServerStore(memory, "x", STAMP)
        self._info = memory.get_collection("x").model_dump(mode="json")

    def store(self, quantization: Quantization | None = None) -> ServerStore:
        client = QdrantClient(
            url="http://fake:6333",
            check_compatibility=False,
            transport=httpx.MockTransport(self._answer),
        )
        return ServerStore(client, "x", STAMP, BULK, quantization)

    def indexing_thresholds(self) -> list[int]:
        """Return the indexing thresholds that were set, in order."""
        return [
            body["optimizers_config"]["indexing_threshold"]
            for method, _, body in self.requests
            if method == "PATCH" and body.get("optimizers_config")
        ]

    def quantization_configs(self) -> list[Any]:
        """Return the quantisation configs that were set, in order."""
        return [
            body["quantization_config"]
            for method, path, body in self.requests
            if path == "" and body and body.get("quantization_config")
        ]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        path = request.url.path.removeprefix("/collections/x")
        self.requests.append((request.method, path, body))
        result: Any = {"operation_id": 1, "status": "completed"}
        if (request.method, path) == ("GET", "/aliases"):
            result = {"aliases": []}
        elif (request.method, path) == ("GET", "/exists"):
            result = {"exists": self.exists}
        elif (request.method, path) == ("PUT", ""):
            self.exists, result = True, True
            self._info["config"]["quantization_config"] = body.get("quantization_config")
        elif (request.method, path) == ("PATCH", ""):
            result = True
            if change := body.get("optimizers_config"):
                self.threshold = change["indexing_threshold"]
            if (change := body.get("quantization_config")) is not None:
                self._info["config"]["quantization_config"] = (
                    None if change == "Disabled" else change
                )
        elif (request.method, path) == ("GET", ""):
            result = dict(self._info, status=self.statuses.pop(0) if self.statuses else "green")
            result["config"]["optimizer_config"]["indexing_threshold"] = self.threshold
        return httpx.Response(200, json={"result": result, "status": "ok", "time": 0.001})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setattr(server, "_POLL_SECONDS", 0.0)
    return FakeServer()


def points(count: int) -> list[Point]:
    def item(n: int) -> Item:
        return Item(
            id=f"00000000-0000-0000-0000-{n:012}",
            kind="passage",
            corpus="c",
            locator=f"a#{n}",
            title="t",
            text="x",
            source="a",
        )

    return [Point(item(n), None, None, Bm25().encode_document("light bends")) for n in range(count)]


def test_a_collection_is_created_with_the_settings(fake: FakeServer) -> None:
    fake.store()
    (body,) = [body for method, path, body in fake.requests if (method, path) == ("PUT", "")]
    assert body["shard_number"] == 6
    assert body["replication_factor"] == 2
    assert body["write_consistency_factor"] == 1
    assert body["vectors"]["image"]["size"] == 8


def test_quantisation_follows_the_settings_and_a_change_is_sent_once(
    fake: FakeServer,
) -> None:
    fake.store("scalar").close()
    fake.store("scalar").close()
    fake.store().close()  # keeps the current quantisation
    (scalar,) = fake.quantization_configs()
    assert scalar["scalar"]["type"] == "int8"
    fake.store("binary").close()
    fake.store("binary").close()
    binary = fake.quantization_configs()[1:]
    assert [list(config) for config in binary] == [["binary"]]
    fake.store("none").close()
    fake.store("none").close()
    assert fake.quantization_configs()[2:] == ["Disabled"]


def test_a_small_run_does_not_stop_indexing(fake: FakeServer) -> None:
    store = fake.store()
    store.upsert(points(3))
    store.flush()
    store.upsert(points(3))
    store.flush()
    assert fake.indexing_thresholds() == []


def test_a_large_load_stops_indexing_and_flush_waits_for_it(fake: FakeServer) -> None:
    store = fake.store()
    for _ in range(4):
        store.upsert(points(2))
    assert fake.indexing_thresholds() == [0]  # once
    fake.statuses = ["yellow", "grey", "yellow", "green", "not requested"]
    store.flush()
    assert fake.indexing_thresholds() == [0, 10_000]
    assert fake.statuses == ["not requested"]
    store.flush()
    assert fake.indexing_thresholds() == [0, 10_000]


def test_the_next_process_starts_indexing_after_a_killed_load(fake: FakeServer) -> None:
    fake.store().upsert(points(4))
    assert fake.threshold == 0
    fake.store()
    assert fake.indexing_thresholds() == [0, 10_000]


def test_closing_during_a_load_starts_indexing(fake: FakeServer) -> None:
    store = fake.store()
    store.upsert(points(4))
    fake.statuses = ["yellow"]
    store.close()
    assert (fake.indexing_thresholds(), fake.statuses) == ([0, 10_000], ["yellow"])


def test_a_failed_index_is_reported(fake: FakeServer) -> None:
    store = fake.store()
    store.upsert(points(4))
    fake.statuses = ["yellow", "red"]
    with pytest.raises(UniragError, match="could not index 'x'"):
        store.flush()
