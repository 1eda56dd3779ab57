"""Another encoder for what is indexed: nothing is read again, and the old one serves meanwhile."""

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
from tests.unirag.books import same, write_book
from unirag.app import App
from unirag.app.corpora import Corpora
from unirag.indexing import reembed as reembedding

ROOT = Path(__file__).resolve().parents[2]


class Killed(BaseException):
    pass


@dataclass(frozen=True)
class Indexed:
    """A book, its home, and its points by either encoder."""

    root: Path
    before: list[Point]
    wanted: list[Point]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    root = tmp_path_factory.mktemp("indexed")
    book, made = write_book(root / "book", 5), []
    for name, encoder in (("home", ThumbnailEncoder), ("fresh", SmallThumbnailEncoder)):
        with fake_app(root / name, encoder) as app:
            app.index([book], corpus="optics")
            made.append(list(app.components.store.scan_points()))
    return Indexed(root, *made)


class Place:
    """A copy of the home, whose books are elsewhere; `open` it as often as you like."""

    def __init__(self, root: Path, indexed: Indexed, client: Any) -> None:
        self.root, self.client = root, client
        self.before, self.wanted = indexed.before, indexed.wanted
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
def place(
    request: pytest.FixtureRequest,
    indexed: Indexed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    monkeypatch.setattr(reembedding, "_ITEM_BATCH", 4)
    monkeypatch.setattr(reembedding, "_PICTURE_BATCH", 2)
    return Place(tmp_path, indexed, MemoryQdrant() if request.param == "server" else None)


@pytest.fixture
def embedded(indexed: Indexed, tmp_path: Path) -> Place:
    return Place(tmp_path, indexed, None)


def test_what_comes_out_is_what_indexing_would_have_made(place: Place) -> None:
    with place.open() as app, pytest.raises(Mismatch, match="run `unirag reembed`"):
        _ = app.components.store
    with place.open() as app:
        done: list[tuple[int, int]] = []
        report = app.corpora.reembed(lambda *at: done.append(at))
        assert (report.items, report.missing_pictures) == (11, [])
        assert done == [(4, 11), (8, 11), (11, 11)]
        assert same(list(app.components.store.scan_points()), place.wanted)
        assert app.search(Query(images=[QueryImage.from_file(place.books / "1.png")])).hits
        assert [e.state for e in app.components.catalog.entries("optics").values()] == [
            "stored"
        ] * 6
        assert (
            app.components.text.encoded == 0
        )  # the words were encoded before, by the same retriever
        assert app.components.encoder.encoded == 6  # five figures and the question
    with place.open() as app:
        assert app.corpora.reembed().items == 0
        assert app.components.encoder.encoded == 0
        assert place.index(app).unchanged == 6


class Renamed(SmallThumbnailEncoder):
    """Other files under the name of those that indexed."""

    name = ThumbnailEncoder.name


def test_a_model_of_another_width_under_the_same_name_is_refused(place: Place) -> None:
    with place.open(Renamed) as app:
        with pytest.raises(Mismatch, match=r"image_width 192.*run `unirag reembed`"):
            app.search("light")
        (place.books / "more.md").write_text("# More\n\nLight is refracted.\n")
        with pytest.raises(Mismatch, match="image_width"):
            place.index(app)
    with place.open(Renamed) as app:
        assert app.corpora.reembed().items == 11
    with place.open(Renamed) as app:
        assert place.index(app).new == 1
        assert app.search("light").hits


def test_and_back_again(place: Place) -> None:
    for _ in range(2):
        with place.open() as app:
            app.corpora.reembed()
            assert same(list(app.components.store.scan_points()), place.wanted)
        with place.open(ThumbnailEncoder) as app:
            app.corpora.reembed()
            assert app.components.encoder.encoded == 0
            assert same(list(app.components.store.scan_points()), place.before)


@pytest.mark.parametrize("step", ["encoding", "first upsert", "last upsert", "flush", "promote"])
def test_a_kill_leaves_the_old_one_serving_and_the_next_run_goes_on(
    place: Place, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, at = {
        "encoding": ("encode_image", 2),
        "first upsert": ("upsert", 1),
        "last upsert": ("upsert", 3),
        "flush": ("flush", 1),
        "promote": ("promote", 1),
    }[step]
    calls = [0]
    with place.open() as app:
        opened = app.components.open_store

        def disturb(target: Any) -> Any:
            whole = getattr(target, name)

            def killed(*given: Any) -> Any:
                calls[0] += 1
                if calls[0] == at:
                    raise Killed
                return whole(*given)

            monkeypatch.setattr(target, name, killed)
            return target

        if step == "encoding":
            disturb(app.components.encoder)
        else:
            monkeypatch.setattr(
                app.components,
                "open_store",
                lambda stamp, replacement=False: (
                    disturb(opened(stamp, replacement=True)) if replacement else opened(stamp)
                ),
            )
        with pytest.raises(Killed):
            app.corpora.reembed()
        encoded = app.components.encoder.encoded
        assert encoded > 0
    with place.open(ThumbnailEncoder) as app:
        assert same(list(app.components.store.scan_points()), place.before)
        assert app.search("light").hits
    with place.open() as app:
        assert app.corpora.reembed().items == 11
        assert app.components.encoder.encoded + encoded == 5  # each picture once
        assert same(list(app.components.store.scan_points()), place.wanted)


def test_items_that_left_between_two_runs_do_not_come_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.open() as app, monkeypatch.context() as patched:
        patched.setattr("unirag.app.corpora.closing", lambda store: Stops(store))
        with pytest.raises(Killed):
            app.corpora.reembed()
    gone = next(p.item for p in place.before if p.item.source == "waves.md")
    with place.open(ThumbnailEncoder) as app:
        app.components.store.delete([gone.id])
    with place.open() as app:
        app.corpora.reembed()
        assert same(
            list(app.components.store.scan_points()),
            [p for p in place.wanted if p.item.id != gone.id],
        )


class Stops:
    """`closing`, but the store that is filled cannot be put in the place of the other."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def __enter__(self) -> Any:
        def promote() -> None:
            raise Killed

        self.store.promote = promote
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


def test_lost_pictures_are_listed_and_their_documents_read_again(place: Place) -> None:
    figures = [p.item for p in place.before if p.item.image]
    with place.open() as app:
        app.components.assets.remove(figures[0].image)
        broken = app.components.assets.path(figures[1].image)
        assert broken is not None
        broken.write_bytes(b"\x89PNG")
        report = app.corpora.reembed()
        assert {i.id: "is not in" in why for i, why in report.missing_pictures} == {
            figures[0].id: True,
            figures[1].id: False,
        }
        stored = {p.item.id: p for p in app.components.store.scan_points()}
        assert len(stored) == 11
        for lost in figures[:2]:
            assert stored[lost.id].image is None
            assert stored[lost.id].text is not None
        again = place.index(app)
        assert (again.changed, again.unchanged) == (2, 4)
        assert same(list(app.components.store.scan_points()), place.wanted)


def test_on_a_server_the_old_one_serves_through_the_switch_until_it_is_tidied(
    tmp_path: Path, indexed: Indexed
) -> None:
    client = MemoryQdrant()
    place = Place(tmp_path, indexed, client)
    with place.open(ThumbnailEncoder) as service, place.open() as admin:
        _ = service.components.store
        answers: list[bool] = []

        def served(*_: int) -> None:
            assert same(list(service.components.store.scan_points()), place.before)
            answers.append(bool(service.search("light").hits))
            with pytest.raises(Busy, match="is being indexed"):
                App.open(service.settings).index([place.books])

        admin.corpora.reembed(served)
        assert answers == [True]
        # the alias has moved on; the service keeps to the collection of its own encoder
        assert service.search(Query(images=[QueryImage.from_file(place.books / "1.png")])).hits
        assert same(list(service.components.store.scan_points()), place.before)
        with pytest.raises(Mismatch, match=r"was re-embedded while this process ran"):
            service.index([place.books], corpus="more")
        with pytest.raises(Mismatch, match="re-embedded"):
            service.components.store.delete([place.before[0].item.id])
        names = {c.name for c in client.get_collections().collections}
        assert names == {"unirag", f"unirag-{admin.components.stamp.digest}"}
    with place.open() as admin:
        admin.corpora.reembed()
        names = {c.name for c in client.get_collections().collections}
        assert names == {f"unirag-{admin.components.stamp.digest}"}
        assert same(list(admin.components.store.scan_points()), place.wanted)


def test_an_embedded_home_keeps_one_shard(tmp_path: Path, embedded: Place) -> None:
    with embedded.open() as app:
        app.corpora.reembed()
        name = f"shard-{app.components.stamp.digest}"
        _ = app.components.store
    assert {p.name for p in (tmp_path / "home" / "collection").iterdir()} == {name, "stamp.json"}
    assert (
        json.loads((tmp_path / "home" / "collection" / "stamp.json").read_text())["shard"] == name
    )


def test_a_home_without_a_collection_says_so(tmp_path: Path) -> None:
    for client in (None, MemoryQdrant()):
        with (
            fake_app(tmp_path / "home", client=client) as app,
            pytest.raises(Missing, match="run `unirag index PATH` first"),
        ):
            app.corpora.reembed()


# A home is re-embedded by a process that is slow enough to be killed on its way.
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


def test_sigkill_in_the_middle(tmp_path: Path, embedded: Place) -> None:
    place = embedded
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
        with place.open(ThumbnailEncoder) as app:
            assert same(list(app.components.store.scan_points()), place.before)
    with place.open() as app:
        app.corpora.reembed()
        assert app.components.encoder.encoded < 5
        assert same(list(app.components.store.scan_points()), place.wanted)


def test_the_command_line(
    unirag: Any,
    tmp_path: Path,
    embedded: Place,
    monkeypatch: pytest.MonkeyPatch,
    injected: dict[str, Any],
) -> None:
    home = tmp_path / "home"
    injected.update(encoder=SmallThumbnailEncoder(), text=WordCountRetriever())
    monkeypatch.setenv("UNIRAG_OCR", "false")
    assert "unirag reembed" in unirag(f"search light --home {home}").err
    copy = Path(shutil.copytree(home, tmp_path / "copy"))
    shutil.rmtree(copy / "assets")
    said = unirag(f"reembed --home {home}")
    assert (said.code, said.err) == (0, "")
    assert "11 items encoded again" in said.out
    assert unirag(f"search light --home {home}").code == 0
    assert "Nothing to encode" in unirag(f"reembed --home {home}").out
    (copy / "embeddings.db").unlink()
    said = unirag(f"reembed --home {copy}")
    assert said.code == 4
    assert said.out.count("found by its words only") == 5

    def interrupted(self: Corpora, progress: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Corpora, "reembed", interrupted)
    said = unirag(f"reembed --home {home}")
    assert said.code == 130
    assert "what was there is as it was, and the same command goes on from there" in said.err
