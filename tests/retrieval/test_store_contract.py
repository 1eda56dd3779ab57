"""The suite of every store. Set UNIRAG_TEST_QDRANT_URL to run it on a real server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import qdrant_edge as qe
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse

from data.errors import BadInput, Mismatch, Missing, UniragError
from data.records import Item, item_id
from retrieval.bm25 import Bm25
from retrieval.qdrant_embedded import EdgeStore
from retrieval.qdrant_server import ServerStore
from retrieval.store import ChannelQuery, Point, Quantization, Stamp, VectorStore, Where

STAMP = Stamp("mini", "tower-1", "minilm", image_width=8, text_width=4)
BM25 = Bm25()
Opener = Callable[..., VectorStore]
NEW = replace(STAMP, encoder="tower-2", image_width=6)


@pytest.fixture(params=["edge", "server"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    if request.param == "edge":
        opened: list[EdgeStore] = []

        def open_edge(stamp: Stamp | None, replacement: bool = False) -> VectorStore:
            while opened and not replacement:
                opened.pop().close()
            opened.append(EdgeStore(tmp_path / "collection", stamp, replacement=replacement))
            return opened[-1]

        yield open_edge
        while opened:
            opened.pop().close()
        return
    url = os.environ.get("UNIRAG_TEST_QDRANT_URL")
    client = QdrantClient(url=url) if url else QdrantClient(":memory:")
    name = f"contract-{uuid.uuid4()}"
    yield lambda stamp, replacement=False: ServerStore(client, name, stamp, replacement=replacement)
    for found in client.get_collections().collections:
        if found.name.startswith(name):
            client.delete_collection(found.name)


@pytest.fixture
def store(open_store: Opener) -> VectorStore:
    return open_store(STAMP)


def unit(width: int, *hot: int) -> np.ndarray:
    vector = np.zeros(width, dtype=np.float32)
    vector[list(hot)] = 1.0
    return vector / np.linalg.norm(vector)


def point(
    name: str,
    text: str,
    *,
    corpus: str = "physics",
    source: str = "ch1",
    section: tuple[str, ...] = ("Book", "1 Motion"),
    image: np.ndarray | None = None,
    vector: np.ndarray | None = None,
) -> Point:
    locator = f"{source}#{name}"
    item = Item(
        id=item_id(corpus, locator),
        kind="figure" if image is not None else "passage",
        corpus=corpus,
        locator=locator,
        title=name,
        text=text,
        source=source,
        section=section,
        bbox=(0.0, 0.1, 0.5, 0.6) if image is not None else None,
        neighbours=("a", "b"),
    )
    return Point(item, image, vector, BM25.encode_document(text))


def fill(store: VectorStore) -> dict[str, Point]:
    points = {
        "arrow": point(
            "arrow", "an arrow flies along a parabola", image=unit(8, 0), vector=unit(4, 0)
        ),
        "lens": point(
            "lens", "a lens bends light rays", image=unit(8, 3), vector=unit(4, 1), source="ch2"
        ),
        "speed": point(
            "speed", "speed is distance over time", vector=unit(4, 2), section=("Book", "2 Speed")
        ),
        "cell": point("cell", "a cell divides by mitosis", corpus="biology", vector=unit(4, 3)),
    }
    store.upsert(list(points.values()))
    return points


def titles(hits: list) -> list[str]:
    return [h.item.title for h in hits]


def test_items_are_stored_completely(store: VectorStore) -> None:
    points = fill(store)
    ids = [points["lens"].item.id, str(uuid.uuid4()), points["arrow"].item.id]
    assert store.get(ids) == [points["lens"].item, points["arrow"].item]
    assert store.get([]) == []
    assert {i.id for i in store.scan()} == {p.item.id for p in points.values()}


def test_upsert_is_idempotent_and_replaces_items(store: VectorStore) -> None:
    points = fill(store)
    fill(store)
    assert store.count() == len(points)
    changed = point("speed", "velocity has a direction", vector=unit(4, 2))
    store.upsert([changed])
    assert store.count() == len(points)
    assert store.get([changed.item.id])[0].text == "velocity has a direction"
    assert titles(store.search([ChannelQuery("bm25", BM25.encode_query("distance"))], 5)) == []
    store.upsert([])


@pytest.mark.parametrize(
    ("query", "best"),
    [
        (ChannelQuery("image", unit(8, 3)), "lens"),
        (ChannelQuery("text", unit(4, 2)), "speed"),
        (ChannelQuery("bm25", BM25.encode_query("mitosis of cells")), "cell"),
    ],
)
def test_each_channel_ranks_by_its_own_vectors(
    store: VectorStore, query: ChannelQuery, best: str
) -> None:
    fill(store)
    hits = store.search([query], 3)
    assert hits[0].item.title == best
    assert hits[0].channels[query.channel] == pytest.approx(hits[0].score, rel=1e-5)
    if query.channel == "image":  # passages have no picture
        assert {h.item.kind for h in hits} == {"figure"}


def test_fusion_obeys_weights_and_returns_channel_scores(store: VectorStore) -> None:
    fill(store)
    picture = unit(8, 0)
    words = np.array([0.3, 0.2, 0.9, 0.1], dtype=np.float32)  # speed, arrow, lens, cell

    def search(picture_weight: float, text_weight: float) -> list:
        return store.search(
            [
                ChannelQuery("image", picture, picture_weight),
                ChannelQuery("text", words, text_weight),
            ],
            4,
        )

    assert search(1.0, 0.05)[0].item.title == "arrow"
    hits = search(0.05, 1.0)
    assert hits[0].item.title == "speed"
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    arrow = next(h for h in hits if h.item.title == "arrow")
    assert arrow.channels["image"] == pytest.approx(1.0, abs=1e-5)
    assert arrow.channels["text"] == pytest.approx(0.3 / np.linalg.norm(words), abs=1e-5)
    speed = next(h for h in hits if h.item.title == "speed")
    assert "image" not in speed.channels


def test_filters(store: VectorStore) -> None:
    fill(store)
    queries = [
        ChannelQuery("text", unit(4, 0, 1, 2, 3)),
        ChannelQuery("bm25", BM25.encode_query("a cell lens")),
    ]
    assert set(titles(store.search(queries, 9, Where(kinds=("figure",))))) == {"arrow", "lens"}
    assert titles(store.search(queries, 9, Where(corpora=("biology",)))) == ["cell"]
    assert titles(store.search(queries, 9, Where(sections=("2 Speed",)))) == ["speed"]
    assert titles(store.search(queries, 9, Where(corpora=("none",)))) == []
    assert store.count(Where(corpora=("physics",), sources=("ch1",))) == 2
    assert store.count_by("corpus") == {"physics": 3, "biology": 1}
    assert store.count_by("section", Where(kinds=("passage",))) == {
        "Book": 2,
        "1 Motion": 1,
        "2 Speed": 1,
    }


def test_best_scores_equal_those_of_single_searches(store: VectorStore) -> None:
    fill(store)
    queries = [
        ChannelQuery("image", unit(8, 3, 5)),
        ChannelQuery(
            "bm25", BM25.encode_query("the")
        ),  # only stop words: a sparse query without indices
        ChannelQuery("text", unit(4, 1, 2)),
        ChannelQuery("bm25", BM25.encode_query("mitosis")),
        ChannelQuery("bm25", BM25.encode_query("parabola")),
        ChannelQuery("bm25", BM25.encode_query("xylophone")),
    ]
    assert queries[1].is_empty
    for where in (Where(), Where(corpora=("biology",))):
        expected = []
        for query in queries:
            hits = [] if query.is_empty else store.search([query], 1, where)
            expected.append(hits[0].score if hits else 0.0)
        assert store.best_scores(queries, where) == pytest.approx(expected, rel=1e-5)
    assert store.best_scores(queries)[1] == store.best_scores(queries)[5] == 0.0
    assert store.best_scores(queries, Where(corpora=("none",))) == [0.0] * len(queries)
    assert store.best_scores(queries[1:2]) == [0.0]
    assert store.best_scores([]) == []


def test_best_scores_take_one_round_trip(
    store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    calls = []
    call = store._call  # type: ignore[attr-defined]
    monkeypatch.setattr(store, "_call", lambda action: calls.append(1) or call(action))
    store.best_scores(
        [ChannelQuery("bm25", BM25.encode_query(w)) for w in ("lens", "cell", "speed")]
    )
    assert len(calls) == 1


def test_items_are_found_by_the_digest_of_their_picture(store: VectorStore) -> None:
    lens = fill(store)["lens"]
    for corpus in ("optics", "atlas"):
        item = replace(lens.item, id=item_id(corpus, "a"), corpus=corpus, image="d1")
        store.upsert([replace(lens, item=item)])
    assert store.count(Where(images=("d1",))) == 2
    assert store.count(Where(images=("d1",), corpora=("atlas", "physics"))) == 1
    assert store.count(Where(images=("d2",))) == 0


def test_a_collection_that_lacks_an_index_gets_it_when_opened(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("qdrant_embedded", "qdrant_server"):
        monkeypatch.setattr(f"retrieval.{module}.PAYLOAD_INDEXES", ("kind", "corpus"))
    fill(open_store(STAMP))
    monkeypatch.undo()
    store = open_store(STAMP)
    assert store.count(Where(sources=("ch2",))) == 1
    assert store.count_by("source") == {"ch1": 3, "ch2": 1}  # the engine needs the index for this


def test_delete(store: VectorStore) -> None:
    points = fill(store)
    store.delete([points["cell"].item.id])
    assert store.count() == 3
    store.delete_where(Where(corpora=("physics",), sources=("ch1",)))
    assert {i.title for i in store.scan()} == {"lens"}
    with pytest.raises(BadInput, match="at least one condition"):
        store.delete_where(Where())
    assert store.count() == 1


def test_scan_pages_through_many(store: VectorStore) -> None:
    many = [point(f"p{n}", f"passage number {n}", vector=unit(4, n % 4)) for n in range(2503)]
    store.upsert(many)
    assert len({i.id for i in store.scan()}) == 2503


def test_points_are_stored_with_their_vectors(store: VectorStore) -> None:
    filled = fill(store)
    many = [point(f"p{n}", f"passage {n}", vector=unit(4, n % 4)) for n in range(450)]
    sparse_only = point("sparse", "only a sparse vector")
    store.upsert([*many, sparse_only])
    stored_points = {p.item.id: p for p in store.scan_points()}
    for sent in [*filled.values(), *many, sparse_only]:
        stored = stored_points.pop(sent.item.id)
        assert stored.item == sent.item
        assert dict(zip(stored.bm25.indices, stored.bm25.values, strict=True)) == pytest.approx(
            dict(zip(sent.bm25.indices, sent.bm25.values, strict=True))
        )
        for expected, actual in ((sent.image, stored.image), (sent.text, stored.text)):
            assert (expected is None) == (actual is None)
            if expected is not None:
                assert actual.dtype == np.float32  # type: ignore[union-attr]
                np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert not stored_points
    assert {p.item.title for p in store.scan_points(Where(corpora=("biology",)))} == {"cell"}


def test_a_store_opened_without_a_stamp_has_the_stored_one(open_store: Opener) -> None:
    with pytest.raises(Missing, match="run `unirag index PATH` first"):
        open_store(None)
    fill(open_store(STAMP))
    store = open_store(None)
    assert store.stamp == STAMP
    assert store.count() == 4


def test_a_replacement_is_filled_and_takes_the_place_of_the_collection(open_store: Opener) -> None:
    old = open_store(STAMP)
    points = fill(old)
    new = open_store(NEW, replacement=True)
    moved = replace(points["lens"], image=unit(6, 2))
    new.upsert([moved])
    new.delete([str(uuid.uuid4())])
    assert (old.count(), new.count()) == (4, 1)
    assert open_store(STAMP).count() == 4  # the replacement is not promoted yet
    old = open_store(None)
    again = open_store(NEW, replacement=True)
    assert again.count() == 0  # the earlier attempt is deleted
    again.upsert([moved])
    again.flush()
    again.promote()
    assert old.count() == 4
    store = open_store(NEW)
    store.delete_replaced()
    assert store.get([moved.item.id]) == [moved.item]
    assert titles(store.search([ChannelQuery("image", unit(6, 2))], 3)) == ["lens"]
    with pytest.raises(Mismatch, match=r"tower-2.*tower-1"):
        open_store(STAMP)
    with pytest.raises(UniragError, match="already"):
        open_store(NEW, replacement=True)
    back = open_store(STAMP, replacement=True)
    back.promote()
    assert open_store(STAMP).count() == 0


def test_a_replaced_collection_refuses_writes() -> None:
    client = QdrantClient(":memory:")
    old = ServerStore(client, "books", STAMP)
    points = fill(old)
    ServerStore(client, "books", NEW, replacement=True).promote()
    for write in (
        lambda: old.upsert(list(points.values())),
        lambda: old.delete([points["lens"].item.id]),
        lambda: old.delete_where(Where(corpora=("physics",))),
    ):
        with pytest.raises(Mismatch, match="re-embedded while this process ran"):
            write()
    assert old.count() == 4
    client.create_collection("books-of-another", vectors_config={})
    ServerStore(client, "books", NEW).delete_replaced()
    names = {c.name for c in client.get_collections().collections}
    assert names == {f"books-{NEW.digest}", "books-of-another"}


def test_a_collection_deleted_while_in_use_is_named() -> None:
    client = QdrantClient(":memory:")
    store = ServerStore(client, "books", STAMP)

    def count(*_: Any, **__: Any) -> None:  # as a server answers
        raise UnexpectedResponse(404, "Not Found", b"Collection doesn't exist", httpx.Headers())

    client.count = count  # type: ignore[method-assign]
    with pytest.raises(Mismatch, match=r"'books' is no longer on the Qdrant server.*start this"):
        store.count()


def test_a_lost_or_damaged_stamp_file_is_an_error(tmp_path: Path) -> None:
    EdgeStore(tmp_path, STAMP).close()
    store = EdgeStore(tmp_path, NEW, replacement=True)
    lens = point("lens", "a lens", image=unit(6, 1), vector=unit(4, 1))
    store.upsert([lens])
    store.promote()
    store.close()
    stamp_file = tmp_path / "stamp.json"
    content = stamp_file.read_text()
    stamp_file.unlink()
    with pytest.raises(UniragError, match=r"stamp\.json is missing; restore it"):
        EdgeStore(tmp_path, NEW)
    stamp_file.write_text(content.replace("shard-", "../shard-"))
    with pytest.raises(UniragError, match=r"stamp\.json is damaged; restore it"):
        EdgeStore(tmp_path, NEW)
    stamp_file.write_text(content)
    store = EdgeStore(tmp_path, NEW)
    assert store.count() == 1
    store.close()


def test_reopen_keeps_everything_and_checks_the_stamp(open_store: Opener) -> None:
    store = open_store(STAMP)
    fill(store)
    store.flush()
    again = open_store(STAMP)
    assert again.count() == 4
    with pytest.raises(Mismatch, match=r"tower-1.*tower-2.*--home"):
        open_store(Stamp("mini", "tower-2", "minilm", 8, 4))
    assert open_store(STAMP).count() == 4


def test_a_shard_is_created_again_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def killed(folder: str, _: object) -> None:
        (Path(folder) / "edge_config.json").write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(qe.EdgeShard, "create", killed)
        with pytest.raises(KeyboardInterrupt):
            EdgeStore(tmp_path, STAMP)
    store = EdgeStore(tmp_path, STAMP)
    points = fill(store)
    store.close()
    store = EdgeStore(tmp_path, STAMP)
    assert store.count() == len(points)
    store.close()
    assert {path.name for path in tmp_path.iterdir()} == {"shard", "stamp.json"}


def test_quantised_vectors_find_the_same_items_and_can_be_changed_back(tmp_path: Path) -> None:
    stamp = replace(STAMP, image_width=8, text_width=256)
    rng = np.random.default_rng(0)
    # Enough vectors for the engine to build an index, with few true dimensions: an HNSW graph
    # finds nothing among vectors without structure.
    vectors_ND = (rng.normal(size=(24_000, 16)) @ rng.normal(size=(16, 256))).astype(np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)

    def quantised_files(quantization: Quantization | None) -> set[str]:
        store = EdgeStore(tmp_path, stamp, quantization)
        if store.count() == 0:
            for start in range(0, len(vectors_ND), 2000):
                rows = enumerate(vectors_ND[start : start + 2000], start)
                store.upsert([point(f"p{n}", "w", vector=vector_D) for n, vector_D in rows])
        store.flush()
        for n in range(0, len(vectors_ND), 2400):
            query_D = vectors_ND[n] + 0.5 * vectors_ND[n - 1]
            query_D /= np.linalg.norm(query_D)
            scores_N = vectors_ND @ query_D
            best = np.argsort(-scores_N)[:3]
            hits = store.search([ChannelQuery("text", query_D)], 3)
            assert [hit.item.title for hit in hits] == [f"p{m}" for m in best]
            # whole vectors rank the items
            assert [hit.score for hit in hits] == pytest.approx(scores_N[best], abs=1e-4)
        store.close()
        return {path.suffix for path in tmp_path.rglob("quantized*data")}

    assert quantised_files("scalar")
    assert quantised_files(None)  # keeps the current quantisation
    assert quantised_files("binary")
    assert not quantised_files("none")


def test_bm25_prefers_rare_words_and_ignores_latex() -> None:
    assert BM25.encode_document(r"\(\frac{v}{t}\)").indices == BM25.encode_document("v t").indices
    assert BM25.encode_query("Accelerations").indices == BM25.encode_query("acceleration").indices


def test_a_server_that_does_not_answer_is_named_with_a_remedy() -> None:
    with pytest.raises(Missing, match=r"docker compose up -d qdrant.*UNIRAG_QDRANT_URL"):
        ServerStore.connect("http://127.0.0.1:9", None, "x", STAMP)


class RacingClient:
    """A client whose collection another process creates after the client has looked for it."""

    def __init__(self, client: QdrantClient, first: Stamp, status: int = 409) -> None:
        self._client, self._first, self._status = client, first, status

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def collection_exists(self, name: str) -> bool:
        ServerStore(self._client, name, self._first)
        return False

    def create_collection(self, *args: Any, **kwargs: Any) -> None:
        with pytest.raises(
            ValueError, match="already exists"
        ):  # the message of the in-memory client
            self._client.create_collection(*args, **kwargs)
        raise UnexpectedResponse(self._status, "", b"", httpx.Headers())


def test_a_collection_that_another_process_just_created_is_used() -> None:
    client = QdrantClient(":memory:")
    fill(ServerStore(RacingClient(client, STAMP), "raced", STAMP))  # type: ignore[arg-type]
    assert ServerStore(client, "raced", STAMP).count() == 4


def test_another_stamp_or_a_failed_creation_by_another_process_is_refused() -> None:
    client, other = QdrantClient(":memory:"), replace(STAMP, encoder="tower-2")
    with pytest.raises(Mismatch, match=r"tower-2.*tower-1"):
        ServerStore(RacingClient(client, other), "raced", STAMP)  # type: ignore[arg-type]
    with pytest.raises(UniragError, match="refused"):
        ServerStore(RacingClient(client, STAMP, status=500), "full", STAMP)  # type: ignore[arg-type]
