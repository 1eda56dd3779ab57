"""What the server store asks of a cluster, against a double that answers as Qdrant's REST does.

Not tried on a real cluster: none was to be had.
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
from retrieval import server
from retrieval.bm25 import Bm25
from retrieval.server import ServerStore
from retrieval.server_settings import ServerSettings
from retrieval.store import Point, Quantization, Stamp

STAMP = Stamp("mini", "tower-1", "minilm", image_width=8, text_width=4)
BULK = ServerSettings(
    shard_number=6, replication_factor=2, write_consistency_factor=1, bulk_points=3
)


class Server:
    """Remembers what it was asked; `statuses` are those of the collection, one after the other."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.threshold = 10_000
        self.statuses: list[str] = []
        self.there = False
        memory = QdrantClient(":memory:")
        ServerStore(memory, "x", STAMP)
        self._info = memory.get_collection("x").model_dump(mode="json")

    def store(self, quantization: Quantization | None = None) -> ServerStore:
        client = QdrantClient(
            url="http://double:6333",
            check_compatibility=False,
            transport=httpx.MockTransport(self._answer),
        )
        return ServerStore(client, "x", STAMP, BULK, quantization)

    def changes(self) -> list[int]:
        """The indexing thresholds that were set."""
        return [
            body["optimizers_config"]["indexing_threshold"]
            for method, _, body in self.asked
            if method == "PATCH" and body.get("optimizers_config")
        ]

    def quantised(self) -> list[Any]:
        """How vectors are kept, whenever that was said."""
        return [
            body["quantization_config"]
            for method, path, body in self.asked
            if path == "" and body and body.get("quantization_config")
        ]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        path = request.url.path.removeprefix("/collections/x")
        self.asked.append((request.method, path, body))
        result: Any = {"operation_id": 1, "status": "completed"}
        if (request.method, path) == ("GET", "/aliases"):
            result = {"aliases": []}
        elif (request.method, path) == ("GET", "/exists"):
            result = {"exists": self.there}
        elif (request.method, path) == ("PUT", ""):
            self.there, result = True, True
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
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(server, "_TICK", 0.0)
    return Server()


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


def test_a_collection_is_made_as_the_settings_say(double: Server) -> None:
    double.store()
    (body,) = [body for method, path, body in double.asked if (method, path) == ("PUT", "")]
    assert body["shard_number"] == 6
    assert body["replication_factor"] == 2
    assert body["write_consistency_factor"] == 1
    assert body["vectors"]["image"]["size"] == 8


def test_vectors_are_quantised_as_the_settings_say_and_a_change_is_told_once(
    double: Server,
) -> None:
    double.store("scalar").close()
    double.store("scalar").close()
    double.store().close()  # as it is
    (scalar,) = double.quantised()
    assert scalar["scalar"]["type"] == "int8"
    double.store("binary").close()
    double.store("binary").close()
    binary = double.quantised()[1:]
    assert [list(said) for said in binary] == [["binary"]]
    double.store("none").close()
    double.store("none").close()
    assert double.quantised()[2:] == ["Disabled"]


def test_a_small_run_leaves_indexing_alone(double: Server) -> None:
    store = double.store()
    store.upsert(points(3))
    store.flush()
    store.upsert(points(3))
    store.flush()
    assert double.changes() == []


def test_a_load_goes_without_indexing_and_waits_for_it_in_the_end(double: Server) -> None:
    store = double.store()
    for _ in range(4):
        store.upsert(points(2))
    assert double.changes() == [0]  # once
    double.statuses = ["yellow", "grey", "yellow", "green", "never asked"]
    store.flush()
    assert double.changes() == [0, 10_000]
    assert double.statuses == ["never asked"]
    store.flush()
    assert double.changes() == [0, 10_000]


def test_after_a_load_that_was_killed_the_next_process_switches_indexing_on(double: Server) -> None:
    double.store().upsert(points(4))
    assert double.threshold == 0
    double.store()
    assert double.changes() == [0, 10_000]


def test_a_load_that_is_broken_off_leaves_indexing_on(double: Server) -> None:
    store = double.store()
    store.upsert(points(4))
    double.statuses = ["yellow"]
    store.close()
    assert (double.changes(), double.statuses) == ([0, 10_000], ["yellow"])


def test_an_index_that_cannot_be_built_is_told(double: Server) -> None:
    store = double.store()
    store.upsert(points(4))
    double.statuses = ["yellow", "red"]
    with pytest.raises(UniragError, match="could not index 'x'"):
        store.flush()
