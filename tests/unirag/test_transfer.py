"""A corpus leaves its home in a file and enters another: what arrives, and what is refused."""

from __future__ import annotations

import json
import random
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data.errors import BadInput, Mismatch, Missing
from data.records import Item
from retrieval.store import Where
from tests.unirag.homes import FakeApp, Server, SmallerThumbnails, same, write_book
from unirag.app import App
from unirag.transfer import corpus as transfer
from unirag.transfer.archive import CorpusArchive, ExportResult
from unirag.workspace.catalog import Catalog, Corpus, DocumentProblem


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The file, and the book it was made of."""
    root = tmp_path_factory.mktemp("exported")
    book = write_book(root / "book")
    (book / "broken.pdf").write_bytes(b"no PDF")
    with FakeApp(root / "home") as app:
        app.add_corpus("optics", book, "CC-BY-4.0", "Ada")
        app.index([book], corpus="optics")
        app.index([write_book(root / "other", 1)])  # stays behind
        app.export_corpus("optics", root / "optics.unirag")
    return root / "optics.unirag", book


@pytest.fixture
def file(exported: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copy(exported[0], tmp_path / "optics.unirag"))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[FakeApp]:
    with FakeApp(tmp_path / "here") as app:
        yield app


def points(app: App, corpus: str = "optics") -> list[Any]:
    return list(app.store.scan_points(Where(corpora=(corpus,))))


def nothing_stored(app: App) -> bool:
    return (app.store.count(), app.corpora()) == (0, [])


def test_from_embedded_to_a_server_and_back_nothing_changes(
    tmp_path: Path, exported: tuple[Path, Path]
) -> None:
    file, book = exported
    client = Server()
    with FakeApp(tmp_path / "served", client=client) as served:
        header = served.import_corpus(file)
        assert (header.documents, header.items, header.pictures) == (5, 7, 3)
        back = served.export_corpus("optics", tmp_path / "back.unirag")
        assert back.header == header
        at_server = points(served)
        journal = served.catalog.documents("optics")
    with (
        FakeApp(tmp_path / "back") as app,
        CorpusArchive(file) as first,
        CorpusArchive(tmp_path / "back.unirag") as second,
    ):
        app.import_corpus(tmp_path / "back.unirag")
        assert same(list(first.points()), at_server)
        assert same(at_server, list(second.points()))
        assert same(at_server, points(app))
        assert app.catalog.corpus("optics") == Corpus("optics", str(book), "CC-BY-4.0", "Ada")
        assert app.catalog.documents("optics") == journal == first.documents()
        assert [t.source for t in app.catalog.problems("optics")] == ["broken.pdf"]
        figures = [p for p in points(app) if p.item.kind == "figure"]
        assert len(figures) == 3
        for figure in figures:
            assert figure.image is not None
            kept = app.assets.path(figure.item.image)
            assert kept is not None
            assert kept.read_bytes() in {p.read_bytes() for p in book.glob("*.png")}
            assert app.assets.thumbnail(figure.item.image).is_file()


def test_what_was_imported_need_not_be_indexed(
    here: FakeApp, file: Path, exported: tuple[Path, Path], tmp_path: Path
) -> None:
    here.import_corpus(file)
    moved = Path(shutil.copytree(exported[1], tmp_path / "moved"))
    with pytest.raises(BadInput, match="corpora add optics"):
        here.index([moved], corpus="optics")
    here.add_corpus("optics", moved)
    (report,) = here.index([moved], corpus="optics")
    assert (report.unchanged, report.new, report.changed) == (4, 0, 0)
    assert here.encoder.encoded == here.text.encoded == 0
    corpus = here.catalog.corpus("optics")
    assert corpus is not None
    assert (corpus.licence, corpus.attribution) == ("CC-BY-4.0", "Ada")
    (moved / "waves.md").write_text("# Waves\n\nSound needs matter.\n")
    assert here.index([moved], corpus="optics")[0].changed == 1


def test_one_that_is_here_is_replaced_only_when_asked(
    here: FakeApp, file: Path, tmp_path: Path
) -> None:
    old = write_book(tmp_path / "old", 5)
    (old / "old.md").write_text("# Old\n\nAether.\n")
    here.index([old], corpus="optics")
    here.index([write_book(tmp_path / "kept", 1)], corpus="kept")
    before = points(here, "kept")
    with pytest.raises(BadInput, match="corpus 'optics' is here already; pass --replace"):
        here.import_corpus(file)
    gone = {p.item.image for p in points(here)} - {""}
    done: list[tuple[int, int]] = []
    for _ in range(2):
        here.import_corpus(file, replace=True, progress=lambda *at: done.append(at))
        with CorpusArchive(file) as whole:
            assert same(points(here), list(whole.points()))
    assert done == [(7, 7)] * 2
    assert same(before, points(here, "kept"))
    shown = {p.item.image for p in points(here) + before}
    assert gone - shown
    assert not [digest for digest in gone - shown if here.assets.path(digest)]
    assert all(here.assets.path(digest) for digest in shown - {""})
    # where documents lie on this machine stays as it was said here
    assert here.catalog.corpus("optics").root == str(old)  # type: ignore[union-attr]


@pytest.mark.parametrize("step", ["picture", "upsert", "second upsert", "flush", "journal"])
def test_a_kill_in_an_import_is_mended_by_repeating_it(
    file: Path, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    monkeypatch.setattr(transfer, "_UPSERT_BATCH", 3)
    with FakeApp(tmp_path / "home") as app, monkeypatch.context() as patched:
        target, name, at = {
            "picture": (app.assets, "put", 2),
            "upsert": (app.store, "upsert", 1),
            "second upsert": (app.store, "upsert", 2),
            "flush": (app.store, "flush", 1),
            "journal": (app.catalog, "restore", 2),
        }[step]
        calls, whole = [0], getattr(target, name)

        def killed(*given: Any) -> Any:
            calls[0] += 1
            if calls[0] == at:
                raise Killed
            return whole(*given)

        patched.setattr(target, name, killed)
        with pytest.raises(Killed):
            app.import_corpus(file)
        assert sum(c["documents"] for c in app.corpora()) == 0
    with FakeApp(tmp_path / "home") as app:
        app.import_corpus(file)
        with CorpusArchive(file) as sent:
            assert same(points(app), list(sent.points()))
            assert app.catalog.documents("optics") == sent.documents()


def test_after_a_killed_import_indexing_mends_it_too(
    file: Path, exported: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeApp(tmp_path / "home") as app, monkeypatch.context() as patched:
        patched.setattr(app.store, "flush", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            app.import_corpus(file)
    with FakeApp(tmp_path / "home") as app:
        (report,) = app.index([exported[1]], corpus="optics")
        assert (report.new, len(report.dead_letters)) == (4, 1)
        with CorpusArchive(file) as sent:
            assert same(points(app), list(sent.points()))


def test_another_encoder_is_named_with_the_ways_out(file: Path, tmp_path: Path) -> None:
    with FakeApp(tmp_path / "home", SmallerThumbnails) as app:
        with pytest.raises(Mismatch, match=r"'thumbnails'.*'smaller-thumbnails'.*unirag reembed"):
            app.import_corpus(file)
        assert nothing_stored(app)


def test_an_export_needs_no_model_and_goes_on_without_a_lost_picture(
    tmp_path: Path, file: Path
) -> None:
    with FakeApp(tmp_path / "home") as app:
        app.import_corpus(file)
        figure = next(p.item for p in points(app) if p.item.image)
        app.assets.remove(figure.image)
    with FakeApp(tmp_path / "home") as app:
        app.encoder = app.text = None
        written = app.export_corpus("optics", tmp_path / "again.unirag")
        assert [item.id for item in written.missing_pictures] == [figure.id]
        assert (written.header.items, written.header.pictures) == (7, 2)
    with FakeApp(tmp_path / "third") as app:
        app.import_corpus(tmp_path / "again.unirag")
        assert app.store.count() == 7


def test_an_export_is_there_whole_or_as_it_was(
    here: FakeApp, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.import_corpus(file)
    before = file.read_bytes()
    monkeypatch.setattr("unirag.transfer.archive.ArchiveHeader", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        here.export_corpus("optics", file)
    assert file.read_bytes() == before
    assert not list(file.parent.glob("*.part"))
    with pytest.raises(BadInput, match="corpus 'optic' is not here; known corpora: optics"):
        here.export_corpus("optic", file)
    with pytest.raises(BadInput, match="expected the name of a file"):
        here.export_corpus("optics", file.parent)


def test_many_row_groups(here: FakeApp, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here.import_corpus(file)
    monkeypatch.setattr("unirag.transfer.parquet._GROUP_ROWS", 2)
    monkeypatch.setattr("unirag.transfer.parquet._BATCH_ROWS", 3)
    here.export_corpus("optics", file)
    with CorpusArchive(file) as sent:
        assert same(points(here), list(sent.points()))


def test_a_corpus_of_nothing_travels_too(here: FakeApp, tmp_path: Path) -> None:
    with FakeApp(tmp_path / "home") as app:
        app.index([write_book(tmp_path / "book", 1)], corpus="optics")
        app.add_corpus("empty", tmp_path)
        assert app.export_corpus("empty", tmp_path / "empty.unirag").header.items == 0
    here.import_corpus(tmp_path / "empty.unirag")
    assert [c["name"] for c in here.corpora()] == ["empty"]


def test_every_field_of_an_item_has_a_column(file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        archive.extract("items.parquet", tmp_path)
    table = pq.read_table(tmp_path / "items.parquet")
    assert set(Item.__dataclass_fields__) < set(table.column_names)


Change = Callable[[dict[str, bytes]], None]


def rewrite(file: Path, change: Change, compression: int = zipfile.ZIP_STORED) -> None:
    """The same members, but for what `change` makes of them; its keys may be names to add."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def head(**changed: Any) -> Change:
    def change(members: dict[str, bytes]) -> None:
        members["header.json"] = json.dumps(json.loads(members["header.json"]) | changed).encode()

    return change


def without(name: str) -> Change:
    return lambda members: members.pop(name) and None


def added(name: str) -> Change:
    return lambda members: members.update({name: b"x"})


def other_picture(members: dict[str, bytes]) -> None:
    name = next(n for n in members if n.startswith("pictures/"))
    members[name] += b"."


def a_line(**changed: Any) -> Change:
    def change(members: dict[str, bytes]) -> None:
        first, *rest = members["documents.jsonl"].splitlines()
        line = json.dumps(json.loads(first) | changed).encode()
        members["documents.jsonl"] = b"\n".join([line, *rest])

    return change


def of_another_corpus(members: dict[str, bytes]) -> None:
    said = json.loads(members["header.json"])
    said["corpus"]["name"] = "biology"
    members["header.json"] = json.dumps(said).encode()


def bad_name(members: dict[str, bytes]) -> None:
    said = json.loads(members["header.json"])
    said["corpus"]["name"] = "../../etc"
    members["header.json"] = json.dumps(said).encode()


REFUSED: dict[str, tuple[Change, str]] = {
    "escape": (added("pictures/../../x"), "does not belong in one"),
    "absolute": (added("/etc/cron.d/x"), "does not belong in one"),
    "stranger": (added("readme.txt"), "does not belong in one"),
    "no-head": (without("header.json"), r"header\.json is missing"),
    "no-items": (without("items.parquet"), r"items\.parquet is missing"),
    "head-is-no-json": (lambda m: m.update({"header.json": b"{"}), "Invalid JSON"),
    "head-of-something": (head(format="x"), "format"),
    "version": (head(version=2), "version 2, expected 1; update unirag"),
    "more-items": (head(items=10**9), "claims 1,000,000,000 items and holds 7"),
    "fewer-items": (head(items=6), "claims 6 items and holds 7"),
    "pictures": (head(pictures=2), "claims 2 pictures and holds 3"),
    "documents": (head(documents=9), "claims 9 documents and holds 5"),
    "stamp": (head(stamp={}), "stamp.profile"),
    "items": (lambda m: m.update({"items.parquet": b"PAR1" * 9}), "not an exported corpus"),
    "picture": (other_picture, "has other bytes"),
    "state": (a_line(state="eaten"), "state"),
    "twice": (a_line(source="waves.md"), "a document is there twice"),
    "corpus": (of_another_corpus, "does not belong to corpus 'biology'"),
    "name": (bad_name, "corpus name '../../etc': expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_is_refused_and_nothing_is_stored(
    here: FakeApp, file: Path, case: str, tmp_path: Path
) -> None:
    change, says = REFUSED[case]
    rewrite(file, change)
    with pytest.raises(BadInput, match=says):
        here.import_corpus(file)
    assert nothing_stored(here)
    assert not (tmp_path.parent / "x").exists()


def test_a_packed_one_and_one_with_members_twice_are_refused(here: FakeApp, file: Path) -> None:
    twice = file.with_name("twice.unirag")
    shutil.copy(file, twice)
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("header.json", b"{}")
    with pytest.raises(BadInput, match="a member is there twice"):
        here.import_corpus(twice)
    rewrite(file, lambda members: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(BadInput, match="is compressed"):
        here.import_corpus(file)


def test_members_that_claim_more_than_there_is_are_refused(here: FakeApp, file: Path) -> None:
    data = bytearray(file.read_bytes())
    at = data.rfind(b"PK\x01\x02")  # the last member's entry in the directory
    data[at + 20 : at + 28] = (2**31).to_bytes(4, "little") * 2
    file.write_bytes(data)
    with pytest.raises(BadInput, match="claim"):
        here.import_corpus(file)


def test_whatever_happens_to_its_bytes_there_is_one_clear_error(here: FakeApp, file: Path) -> None:
    whole, rng = file.read_bytes(), random.Random(5)
    for kept in [0, 3, 21, 22, *(rng.randrange(len(whole)) for _ in range(20)), len(whole) - 1]:
        file.write_bytes(whole[:kept])
        with pytest.raises(BadInput, match=r"optics\.unirag"):
            here.import_corpus(file)
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.sample(range(len(data)), 3):
            data[at] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
        try:
            here.import_corpus(file, replace=True)
        except (BadInput, Mismatch):
            continue
        # what has no checksum is the zip's own, such as the time of a member
        file.write_bytes(whole)
        with CorpusArchive(file) as sent:
            assert same(points(here), list(sent.points()))


def test_what_is_no_file_is_refused(here: FakeApp, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        here.import_corpus(tmp_path / "none.unirag")
    (tmp_path / "words.unirag").write_text("words")
    with pytest.raises(BadInput, match="not an exported corpus"):
        here.import_corpus(tmp_path / "words.unirag")


def test_without_pyarrow_the_extra_is_named(
    here: FakeApp, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.import_corpus(file)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for action in (here.import_corpus, lambda path: here.export_corpus("optics", path)):
        with pytest.raises(Missing, match=r"pip install 'unirag\[parquet\]'"):
            action(file)  # type: ignore[operator]


def test_what_was_left_out_of_a_document_travels(tmp_path: Path) -> None:
    journal = Catalog(tmp_path / "catalog.db")
    with FakeApp(tmp_path / "home") as app:
        app.index([write_book(tmp_path / "book", 1)], corpus="optics")
        rows = app.catalog.documents("optics")
    left = DocumentProblem("waves.md", "p3", "a formula", is_dead_letter=False)
    rows[-1] = type(rows[-1])(
        **{n: getattr(rows[-1], n) for n in rows[-1].__dataclass_fields__}
        | {"problems": (("p3", "a formula"),)}
    )
    journal.restore(Corpus("optics", "/books"), rows)
    assert journal.documents("optics") == rows
    assert journal.problems("optics") == [left]
    journal.close()


def test_the_command_line(unirag: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = write_book(tmp_path / "book", 1)
    with FakeApp(tmp_path / "one") as app:
        app.index([book], corpus="optics")
    for name in ("encoder", "text", "names"):
        monkeypatch.setattr(App, name, getattr(app, name))
    monkeypatch.setenv("UNIRAG_OCR", "false")
    file = tmp_path / "optics.unirag"
    said = unirag(f"corpora export optics {file} --home {tmp_path / 'one'} --json")
    assert (said.code, said.json["items"], said.json["missing_pictures"]) == (0, 3, [])
    said = unirag(f"corpora import {file} --home {tmp_path / 'two'}")
    assert (said.code, said.err) == (0, "")
    assert "3 items and 1 pictures of 2 documents" in said.out
    assert "unirag corpora add optics FOLDER" in said.out
    said = unirag(f"corpora import {file} --home {tmp_path / 'two'}")
    assert said.code == 2
    assert "--replace" in said.err
    said = unirag(f"corpora import {file} --home {tmp_path / 'two'} --replace --json")
    assert said.json == {"name": "optics", "documents": 2, "items": 3, "pictures": 1}

    lacking = ExportResult(said_head(file), (app_item(tmp_path / "two", app),))
    monkeypatch.setattr(App, "export_corpus", lambda *_: lacking)
    said = unirag(f"corpora export optics {file} --home {tmp_path / 'two'}")
    assert said.code == 4
    assert "without its picture" in said.out


def said_head(file: Path) -> Any:
    with CorpusArchive(file) as sent:
        return sent.header


def app_item(home: Path, like: FakeApp) -> Item:
    with FakeApp(home) as app:
        return next(iter(app.store.scan()))
