"""Re-embedding: no document is read again, and the old collection serves until it is replaced."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from data.errors import Busy, Mismatch, Missing
from data.records import Query, QueryImage
from retrieval.store import Point
from tests.fakes import (
    MemoryQdrant,
    SmallThumbnailEncoder,
    ThumbnailEncoder,
    WordCountRetriever,
    fake_app,
)
from tests.unirag.books import same_points, write_book
from unirag.app import App
from unirag.app.corpora import Corpora
from unirag.indexing import reembed as reembedding

ROOT = Path(__file__).resolve().parents[2]


class Killed(BaseException):
    pass


@dataclass(frozen=True)
class IndexedBook:
    """A book with its workspace, and the points that each of two encoders makes of it."""

    root: Path
    before: list[Point]
    expected: list[Point]


def stored_points(app: App) -> list[Point]:
    return list(app.components.store.scan_points())


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> IndexedBook:
    root = tmp_path_factory.mktemp("indexed")
    book = write_book(root / "book", 5)
    points: list[list[Point]] = []
    for name, encoder in (("home", ThumbnailEncoder), ("fresh", SmallThumbnailEncoder)):
        with fake_app(root / name, encoder) as app:
            app.index([book], corpus="optics")
            points.append(stored_points(app))
    return IndexedBook(root, *points)


class ReembedWorkspace:
    """A copy of the workspace; its book has moved. `open` it as often as you like."""

    def __init__(self, root: Path, indexed: IndexedBook, client: Any) -> None:
        self.root, self.client = root, client
        self.before, self.expected = indexed.before, indexed.expected
        self.books = Path(shutil.copytree(indexed.root / "book", root / "books-on-a-shelf"))
        shutil.copytree(indexed.root / "home", root / "home")
        if client:
            shutil.rmtree(root / "home" / "collection")
            with self.open(ThumbnailEncoder) as app:
                app.components.store.upsert(self.before)

    def open(self, encoder: type[Any] = SmallThumbnailEncoder) -> App:
        return fake_app(self.root / "home", encoder, self.client)

    def index(self, app: App) -> Any:
        app.corpora.add("optics", self.books)
        return app.index([self.books], corpus="optics")[0]


@pytest.fixture(params=["edge", "server"])
def workspace(
    request: pytest.FixtureRequest,
    indexed: IndexedBook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ReembedWorkspace:
    monkeypatch.setattr(reembedding, "_ITEM_BATCH", 4)
    monkeypatch.setattr(reembedding, "_PICTURE_BATCH", 2)
    return ReembedWorkspace(
        tmp_path, indexed, MemoryQdrant() if request.param == "server" else None
    )


@pytest.fixture
def embedded(indexed: IndexedBook, tmp_path: Path) -> ReembedWorkspace:
    return ReembedWorkspace(tmp_path, indexed, None)


def test_reembedding_stores_what_indexing_would_store(workspace: ReembedWorkspace) -> None:
    with workspace.open() as app, pytest.raises(Mismatch, match="run `unirag reembed`"):
        _ = app.components.store
    with workspace.open() as app:
        progress: list[tuple[int, int]] = []
        report = app.corpora.reembed(lambda *counts: progress.append(counts))
        assert (report.items, report.missing_pictures) == (11, [])
        assert progress == [(4, 11), (8, 11), (11, 11)]
        assert same_points(stored_points(app), workspace.expected)
        assert app.search(Query(images=[QueryImage.from_file(workspace.books / "1.png")])).hits
        entries = app.components.catalog.entries("optics").values()
        assert [entry.state for entry in entries] == ["stored"] * 6
        assert app.components.text.encoded == 0  # the same retriever encoded the texts before
        assert app.components.encoder.encoded == 6  # five figures and the question
    with workspace.open() as app:
        assert app.corpora.reembed().items == 0
        assert app.components.encoder.encoded == 0
        assert workspace.index(app).unchanged == 6


class SmallEncoderWithOldName(SmallThumbnailEncoder):
    """Another model under the name of the one that indexed."""

    name = ThumbnailEncoder.name


def test_a_model_of_another_width_under_the_same_name_is_refused(
    workspace: ReembedWorkspace,
) -> None:
    with workspace.open(SmallEncoderWithOldName) as app:
        with pytest.raises(Mismatch, match=r"image_width 192.*run `unirag reembed`"):
            app.search("light")
        (workspace.books / "more.md").write_text("# More\n\nLight is refracted.\n")
        with pytest.raises(Mismatch, match="image_width"):
            workspace.index(app)
    with workspace.open(SmallEncoderWithOldName) as app:
        assert app.corpora.reembed().items == 11
    with workspace.open(SmallEncoderWithOldName) as app:
        assert workspace.index(app).new == 1
        assert app.search("light").hits


def test_reembedding_can_be_reversed(workspace: ReembedWorkspace) -> None:
    for _ in range(2):
        with workspace.open() as app:
            app.corpora.reembed()
            assert same_points(stored_points(app), workspace.expected)
        with workspace.open(ThumbnailEncoder) as app:
            app.corpora.reembed()
            assert app.components.encoder.encoded == 0
            assert same_points(stored_points(app), workspace.before)


@pytest.mark.parametrize("step", ["encoding", "first upsert", "last upsert", "flush", "promote"])
def test_after_a_kill_the_old_collection_serves_and_the_next_run_continues(
    workspace: ReembedWorkspace, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, at = {
        "encoding": ("encode_image", 2),
        "first upsert": ("upsert", 1),
        "last upsert": ("upsert", 3),
        "flush": ("flush", 1),
        "promote": ("promote", 1),
    }[step]
    call_count = [0]
    with workspace.open() as app:
        open_store = app.components.open_store

        def kill_at_step(target: Any) -> Any:
            original = getattr(target, name)

            def counted_call(*args: Any) -> Any:
                call_count[0] += 1
                if call_count[0] == at:
                    raise Killed
                return original(*args)

            monkeypatch.setattr(target, name, counted_call)
            return target

        if step == "encoding":
            kill_at_step(app.components.encoder)
        else:
            monkeypatch.setattr(
                app.components,
                "open_store",
                lambda stamp, replacement=False: (
                    kill_at_step(open_store(stamp, replacement=True))
                    if replacement
                    else open_store(stamp)
                ),
            )
        with pytest.raises(Killed):
            app.corpora.reembed()
        encoded = app.components.encoder.encoded
        assert encoded > 0
    with workspace.open(ThumbnailEncoder) as app:
        assert same_points(stored_points(app), workspace.before)
        assert app.search("light").hits
    with workspace.open() as app:
        assert app.corpora.reembed().items == 11
        assert app.components.encoder.encoded + encoded == 5  # each picture once
        assert same_points(stored_points(app), workspace.expected)


def test_items_deleted_between_two_runs_stay_deleted(
    workspace: ReembedWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workspace.open() as app, monkeypatch.context() as patched:
        patched.setattr("unirag.app.corpora.closing", lambda store: StopsBeforePromote(store))
        with pytest.raises(Killed):
            app.corpora.reembed()
    deleted = next(p.item for p in workspace.before if p.item.source == "waves.md")
    with workspace.open(ThumbnailEncoder) as app:
        app.components.store.delete([deleted.id])
    with workspace.open() as app:
        app.corpora.reembed()
        assert same_points(
            stored_points(app),
            [p for p in workspace.expected if p.item.id != deleted.id],
        )


class StopsBeforePromote:
    """Like `closing`, but the new store raises when it is to replace the old one."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def __enter__(self) -> Any:
        def promote() -> None:
            raise Killed

        self.store.promote = promote
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


def test_lost_pictures_are_listed_and_their_documents_read_again(
    workspace: ReembedWorkspace,
) -> None:
    figures = [p.item for p in workspace.before if p.item.image]
    with workspace.open() as app:
        app.components.assets.remove(figures[0].image)
        broken = app.components.assets.path(figures[1].image)
        assert broken is not None
        broken.write_bytes(b"\x89PNG")
        report = app.corpora.reembed()
        assert {i.id: "is not in" in reason for i, reason in report.missing_pictures} == {
            figures[0].id: True,
            figures[1].id: False,
        }
        stored = {p.item.id: p for p in app.components.store.scan_points()}
        assert len(stored) == 11
        for lost in figures[:2]:
            assert stored[lost.id].image is None
            assert stored[lost.id].text is not None
        again = workspace.index(app)
        assert (again.changed, again.unchanged) == (2, 4)
        assert same_points(stored_points(app), workspace.expected)


def test_on_a_server_the_old_collection_serves_until_it_is_deleted(
    tmp_path: Path, indexed: IndexedBook
) -> None:
    client = MemoryQdrant()
    workspace = ReembedWorkspace(tmp_path, indexed, client)
    with workspace.open(ThumbnailEncoder) as service, workspace.open() as admin:
        _ = service.components.store
        answers: list[bool] = []

        def search_meanwhile(*_: int) -> None:
            assert same_points(stored_points(service), workspace.before)
            answers.append(bool(service.search("light").hits))
            with pytest.raises(Busy, match="is being indexed"):
                App.open(service.settings).index([workspace.books])

        admin.corpora.reembed(search_meanwhile)
        assert answers == [True]
        # the alias points to the new collection; the service keeps the one of its own encoder
        assert service.search(Query(images=[QueryImage.from_file(workspace.books / "1.png")])).hits
        assert same_points(stored_points(service), workspace.before)
        with pytest.raises(Mismatch, match=r"was re-embedded while this process ran"):
            service.index([workspace.books], corpus="more")
        with pytest.raises(Mismatch, match="re-embedded"):
            service.components.store.delete([workspace.before[0].item.id])
        names = {c.name for c in client.get_collections().collections}
        assert names == {"unirag", f"unirag-{admin.components.stamp.digest}"}
    with workspace.open() as admin:
        admin.corpora.reembed()
        names = {c.name for c in client.get_collections().collections}
        assert names == {f"unirag-{admin.components.stamp.digest}"}
        assert same_points(stored_points(admin), workspace.expected)


def test_an_embedded_workspace_keeps_one_shard(tmp_path: Path, embedded: ReembedWorkspace) -> None:
    with embedded.open() as app:
        app.corpora.reembed()
        name = f"shard-{app.components.stamp.digest}"
        _ = app.components.store
    assert {p.name for p in (tmp_path / "home" / "collection").iterdir()} == {name, "stamp.json"}
    assert (
        json.loads((tmp_path / "home" / "collection" / "stamp.json").read_text())["shard"] == name
    )


def test_a_workspace_without_a_collection_is_refused(tmp_path: Path) -> None:
    for client in (None, MemoryQdrant()):
        with (
            fake_app(tmp_path / "home", client=client) as app,
            pytest.raises(Missing, match="run `unirag index PATH` first"),
        ):
            app.corpora.reembed()


# a process that re-embeds a workspace slowly enough to be killed meanwhile
SCRIPT = """
import sys, time
from pathlib import Path
from tests.fakes import ThumbnailEncoder
from unirag.indexing import reembed as reembedding
from tests.fakes import SmallThumbnailEncoder, fake_app
reembedding._ITEM_BATCH, reembedding._PICTURE_BATCH = 2, 1
class Slow(SmallThumbnailEncoder):
    def encode_image(self, images, style="auto"):
        time.sleep(0.2)
        return super().encode_image(images, style)
with fake_app(Path(sys.argv[1]), Slow) as app:
    app.corpora.reembed(lambda done, total: print(done, flush=True))
"""


def test_a_process_killed_while_encoding_leaves_the_old_collection_intact(
    tmp_path: Path, embedded: ReembedWorkspace
) -> None:
    workspace = embedded
    for wait in ("2", "6"):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "home")],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        until = time.monotonic() + 60
        while process.stdout.readline().strip() != wait and time.monotonic() < until:
            pass
        process.kill()
        process.wait()
        process.stdout.close()
        with workspace.open(ThumbnailEncoder) as app:
            assert same_points(stored_points(app), workspace.before)
    with workspace.open() as app:
        app.corpora.reembed()
        assert app.components.encoder.encoded < 5
        assert same_points(stored_points(app), workspace.expected)


def test_the_command_line_reembeds_and_reports_lost_pictures(
    unirag: Any,
    tmp_path: Path,
    embedded: ReembedWorkspace,
    monkeypatch: pytest.MonkeyPatch,
    injected: dict[str, Any],
) -> None:
    home = tmp_path / "home"
    injected.update(encoder=SmallThumbnailEncoder(), text=WordCountRetriever())
    monkeypatch.setenv("UNIRAG_OCR", "false")
    assert "unirag reembed" in unirag(f"search light --home {home}").err
    copy = Path(shutil.copytree(home, tmp_path / "copy"))
    shutil.rmtree(copy / "assets")
    result = unirag(f"reembed --home {home}")
    assert (result.code, result.err) == (0, "")
    assert "11 items encoded again" in result.out
    assert unirag(f"search light --home {home}").code == 0
    assert "Nothing to encode" in unirag(f"reembed --home {home}").out
    (copy / "embeddings.db").unlink()
    result = unirag(f"reembed --home {copy}")
    assert result.code == 4
    assert result.out.count("found by its words only") == 5

    def interrupted(self: Corpora, progress: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Corpora, "reembed", interrupted)
    result = unirag(f"reembed --home {home}")
    assert result.code == 130
    assert "the stored corpora are unchanged" in result.err
