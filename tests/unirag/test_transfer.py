"""Export and import of a corpus: what arrives, and which files are refused."""

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
from tests.fakes import (
    MemoryQdrant,
    SmallThumbnailEncoder,
    ThumbnailEncoder,
    WordCountRetriever,
    fake_app,
)
from tests.unirag.books import same, write_book
from unirag.app import App
from unirag.app.components import Components
from unirag.app.corpora import Corpora
from unirag.transfer import corpus as transfer
from unirag.transfer.archive import CorpusArchive, ExportResult
from unirag.workspace.catalog import Catalog, Corpus, DocumentProblem


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return an exported file and the book it was made from."""
    root = tmp_path_factory.mktemp("exported")
    book = write_book(root / "book")
    (book / "broken.pdf").write_bytes(b"no PDF")
    with fake_app(root / "home") as app:
        app.corpora.add("optics", book, "CC-BY-4.0", "Ada")
        app.index([book], corpus="optics")
        app.index([write_book(root / "other", 1)])  # not exported
        app.corpora.export("optics", root / "optics.unirag")
    return root / "optics.unirag", book


@pytest.fixture
def file(exported: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copy(exported[0], tmp_path / "optics.unirag"))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[App]:
    with fake_app(tmp_path / "here") as app:
        yield app


def points(app: App, corpus: str = "optics") -> list[Any]:
    return list(app.components.store.scan_points(Where(corpora=(corpus,))))


def nothing_stored(app: App) -> bool:
    return (app.components.store.count(), app.corpora.list()) == (0, [])


def test_a_corpus_is_the_same_after_a_server_and_back(
    tmp_path: Path, exported: tuple[Path, Path]
) -> None:
    file, book = exported
    client = MemoryQdrant()
    with fake_app(tmp_path / "served", client=client) as served:
        header = served.corpora.import_file(file)
        assert (header.documents, header.items, header.pictures) == (5, 7, 3)
        back = served.corpora.export("optics", tmp_path / "back.unirag")
        assert back.header == header
        at_server = points(served)
        catalog = served.components.catalog.documents("optics")
    with (
        fake_app(tmp_path / "back") as app,
        CorpusArchive(file) as first,
        CorpusArchive(tmp_path / "back.unirag") as second,
    ):
        app.corpora.import_file(tmp_path / "back.unirag")
        assert same(list(first.points()), at_server)
        assert same(at_server, list(second.points()))
        assert same(at_server, points(app))
        assert app.components.catalog.corpus("optics") == Corpus(
            "optics", str(book), "CC-BY-4.0", "Ada"
        )
        assert app.components.catalog.documents("optics") == catalog == first.documents()
        assert [t.source for t in app.components.catalog.problems("optics")] == ["broken.pdf"]
        figures = [p for p in points(app) if p.item.kind == "figure"]
        assert len(figures) == 3
        for figure in figures:
            assert figure.image is not None
            stored_path = app.components.assets.path(figure.item.image)
            assert stored_path is not None
            assert stored_path.read_bytes() in {p.read_bytes() for p in book.glob("*.png")}
            assert app.components.assets.thumbnail(figure.item.image).is_file()


def test_an_imported_corpus_is_unchanged_for_indexing(
    here: App, file: Path, exported: tuple[Path, Path], tmp_path: Path
) -> None:
    here.corpora.import_file(file)
    moved = Path(shutil.copytree(exported[1], tmp_path / "moved"))
    with pytest.raises(BadInput, match="corpora add optics"):
        here.index([moved], corpus="optics")
    here.corpora.add("optics", moved)
    (report,) = here.index([moved], corpus="optics")
    assert (report.unchanged, report.new, report.changed) == (4, 0, 0)
    assert here.components.encoder.encoded == here.components.text.encoded == 0
    corpus = here.components.catalog.corpus("optics")
    assert corpus is not None
    assert (corpus.licence, corpus.attribution) == ("CC-BY-4.0", "Ada")
    (moved / "waves.md").write_text("# Waves\n\nSound needs matter.\n")
    assert here.index([moved], corpus="optics")[0].changed == 1


def test_an_existing_corpus_is_replaced_only_with_replace(
    here: App, file: Path, tmp_path: Path
) -> None:
    old = write_book(tmp_path / "old", 5)
    (old / "old.md").write_text("# Old\n\nAether.\n")
    here.index([old], corpus="optics")
    here.index([write_book(tmp_path / "kept", 1)], corpus="kept")
    before = points(here, "kept")
    with pytest.raises(BadInput, match="corpus 'optics' is here already; pass --replace"):
        here.corpora.import_file(file)
    old_pictures = {p.item.image for p in points(here)} - {""}
    progress_calls: list[tuple[int, int]] = []
    for _ in range(2):
        here.corpora.import_file(file, replace=True, progress=lambda *at: progress_calls.append(at))
        with CorpusArchive(file) as whole:
            assert same(points(here), list(whole.points()))
    assert progress_calls == [(7, 7)] * 2
    assert same(before, points(here, "kept"))
    shown = {p.item.image for p in points(here) + before}
    assert old_pictures - shown
    assert not [digest for digest in old_pictures - shown if here.components.assets.path(digest)]
    assert all(here.components.assets.path(digest) for digest in shown - {""})
    # the folder that is registered here stays
    assert here.components.catalog.corpus("optics").root == str(old)  # type: ignore[union-attr]


@pytest.mark.parametrize("step", ["picture", "upsert", "second upsert", "flush", "catalog"])
def test_a_killed_import_can_be_repeated(
    file: Path, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    monkeypatch.setattr(transfer, "_UPSERT_BATCH", 3)
    with fake_app(tmp_path / "home") as app, monkeypatch.context() as patched:
        target, name, at = {
            "picture": (app.components.assets, "put", 2),
            "upsert": (app.components.store, "upsert", 1),
            "second upsert": (app.components.store, "upsert", 2),
            "flush": (app.components.store, "flush", 1),
            "catalog": (app.components.catalog, "restore", 2),
        }[step]
        calls, whole = [0], getattr(target, name)

        def killed(*given: Any) -> Any:
            calls[0] += 1
            if calls[0] == at:
                raise Killed
            return whole(*given)

        patched.setattr(target, name, killed)
        with pytest.raises(Killed):
            app.corpora.import_file(file)
        assert sum(c["documents"] for c in app.corpora.list()) == 0
    with fake_app(tmp_path / "home") as app:
        app.corpora.import_file(file)
        with CorpusArchive(file) as sent:
            assert same(points(app), list(sent.points()))
            assert app.components.catalog.documents("optics") == sent.documents()


def test_indexing_completes_a_killed_import(
    file: Path, exported: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_app(tmp_path / "home") as app, monkeypatch.context() as patched:
        patched.setattr(app.components.store, "flush", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            app.corpora.import_file(file)
    with fake_app(tmp_path / "home") as app:
        (report,) = app.index([exported[1]], corpus="optics")
        assert (report.new, len(report.dead_letters)) == (4, 1)
        with CorpusArchive(file) as sent:
            assert same(points(app), list(sent.points()))


def test_a_corpus_of_another_encoder_is_refused_with_the_remedy(file: Path, tmp_path: Path) -> None:
    with fake_app(tmp_path / "home", SmallThumbnailEncoder) as app:
        with pytest.raises(Mismatch, match=r"'thumbnails'.*'smaller-thumbnails'.*unirag reembed"):
            app.corpora.import_file(file)
        assert nothing_stored(app)


def test_an_export_needs_no_model_and_reports_a_lost_picture(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_app(tmp_path / "home") as app:
        app.corpora.import_file(file)
        figure = next(p.item for p in points(app) if p.item.image)
        app.components.assets.remove(figure.image)
    with fake_app(tmp_path / "home") as app, monkeypatch.context() as patched:
        for name in ("encoder", "text"):
            patched.setattr(Components, name, property(lambda _: 1 / 0))
        written = app.corpora.export("optics", tmp_path / "again.unirag")
        assert [item.id for item in written.missing_pictures] == [figure.id]
        assert (written.header.items, written.header.pictures) == (7, 2)
    with fake_app(tmp_path / "third") as app:
        app.corpora.import_file(tmp_path / "again.unirag")
        assert app.components.store.count() == 7


def test_a_failed_export_leaves_the_old_file(
    here: App, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.corpora.import_file(file)
    before = file.read_bytes()
    monkeypatch.setattr("unirag.transfer.archive.ArchiveHeader", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        here.corpora.export("optics", file)
    assert file.read_bytes() == before
    assert not list(file.parent.glob("*.part"))
    with pytest.raises(BadInput, match="corpus 'optic' is not here; known corpora: optics"):
        here.corpora.export("optic", file)
    with pytest.raises(BadInput, match="expected the name of a file"):
        here.corpora.export("optics", file.parent)


def test_many_row_groups(here: App, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here.corpora.import_file(file)
    monkeypatch.setattr("unirag.transfer.parquet._GROUP_ROWS", 2)
    monkeypatch.setattr("unirag.transfer.parquet._BATCH_ROWS", 3)
    here.corpora.export("optics", file)
    with CorpusArchive(file) as sent:
        assert same(points(here), list(sent.points()))


def test_an_empty_corpus_can_be_exported(here: App, tmp_path: Path) -> None:
    with fake_app(tmp_path / "home") as app:
        app.index([write_book(tmp_path / "book", 1)], corpus="optics")
        app.corpora.add("empty", tmp_path)
        assert app.corpora.export("empty", tmp_path / "empty.unirag").header.items == 0
    here.corpora.import_file(tmp_path / "empty.unirag")
    assert [c["name"] for c in here.corpora.list()] == ["empty"]


def test_every_field_of_an_item_has_a_column(file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        archive.extract("items.parquet", tmp_path)
    table = pq.read_table(tmp_path / "items.parquet")
    assert set(Item.__dataclass_fields__) < set(table.column_names)


Change = Callable[[dict[str, bytes]], None]


def rewrite(file: Path, change: Change, compression: int = zipfile.ZIP_STORED) -> None:
    """Write the file again after `change` has edited its members."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def header_with(**changed: Any) -> Change:
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


def first_document(**changed: Any) -> Change:
    def change(members: dict[str, bytes]) -> None:
        first, *rest = members["documents.jsonl"].splitlines()
        line = json.dumps(json.loads(first) | changed).encode()
        members["documents.jsonl"] = b"\n".join([line, *rest])

    return change


def other_corpus(members: dict[str, bytes]) -> None:
    header = json.loads(members["header.json"])
    header["corpus"]["name"] = "biology"
    members["header.json"] = json.dumps(header).encode()


def bad_name(members: dict[str, bytes]) -> None:
    header = json.loads(members["header.json"])
    header["corpus"]["name"] = "../../etc"
    members["header.json"] = json.dumps(header).encode()


REFUSED: dict[str, tuple[Change, str]] = {
    "escape": (added("pictures/../../x"), "does not belong in one"),
    "absolute": (added("/etc/cron.d/x"), "does not belong in one"),
    "stranger": (added("readme.txt"), "does not belong in one"),
    "no-head": (without("header.json"), r"header\.json is missing"),
    "no-items": (without("items.parquet"), r"items\.parquet is missing"),
    "head-is-no-json": (lambda m: m.update({"header.json": b"{"}), "Invalid JSON"),
    "head-of-something": (header_with(format="x"), "format"),
    "version": (header_with(version=2), "version 2, expected 1; update unirag"),
    "more-items": (header_with(items=10**9), "claims 1,000,000,000 items and holds 7"),
    "fewer-items": (header_with(items=6), "claims 6 items and holds 7"),
    "pictures": (header_with(pictures=2), "claims 2 pictures and holds 3"),
    "documents": (header_with(documents=9), "claims 9 documents and holds 5"),
    "stamp": (header_with(stamp={}), "stamp.profile"),
    "items": (lambda m: m.update({"items.parquet": b"PAR1" * 9}), "not an exported corpus"),
    "picture": (other_picture, "has other bytes"),
    "state": (first_document(state="eaten"), "state"),
    "twice": (first_document(source="waves.md"), "a document is there twice"),
    "corpus": (other_corpus, "does not belong to corpus 'biology'"),
    "name": (bad_name, "corpus name '../../etc': expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_is_refused_and_nothing_is_stored(
    here: App, file: Path, case: str, tmp_path: Path
) -> None:
    change, says = REFUSED[case]
    rewrite(file, change)
    with pytest.raises(BadInput, match=says):
        here.corpora.import_file(file)
    assert nothing_stored(here)
    assert not (tmp_path.parent / "x").exists()


def test_compressed_and_repeated_members_are_refused(here: App, file: Path) -> None:
    twice = file.with_name("twice.unirag")
    shutil.copy(file, twice)
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("header.json", b"{}")
    with pytest.raises(BadInput, match="a member is there twice"):
        here.corpora.import_file(twice)
    rewrite(file, lambda members: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(BadInput, match="is compressed"):
        here.corpora.import_file(file)


def test_members_that_claim_too_many_bytes_are_refused(here: App, file: Path) -> None:
    data = bytearray(file.read_bytes())
    at = data.rfind(b"PK\x01\x02")  # the last member's entry in the directory
    data[at + 20 : at + 28] = (2**31).to_bytes(4, "little") * 2
    file.write_bytes(data)
    with pytest.raises(BadInput, match="claim"):
        here.corpora.import_file(file)


def test_damaged_bytes_give_one_clear_error(here: App, file: Path) -> None:
    original, rng = file.read_bytes(), random.Random(5)
    for length in [
        0,
        3,
        21,
        22,
        *(rng.randrange(len(original)) for _ in range(20)),
        len(original) - 1,
    ]:
        file.write_bytes(original[:length])
        with pytest.raises(BadInput, match=r"optics\.unirag"):
            here.corpora.import_file(file)
    for _ in range(150):
        data = bytearray(original)
        for at in rng.sample(range(len(data)), 3):
            data[at] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
        try:
            here.corpora.import_file(file, replace=True)
        except (BadInput, Mismatch):
            continue
        # only metadata of the zip has no checksum, such as the time of a member
        file.write_bytes(original)
        with CorpusArchive(file) as sent:
            assert same(points(here), list(sent.points()))


def test_another_file_or_none_is_refused(here: App, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        here.corpora.import_file(tmp_path / "none.unirag")
    (tmp_path / "words.unirag").write_text("words")
    with pytest.raises(BadInput, match="not an exported corpus"):
        here.corpora.import_file(tmp_path / "words.unirag")


def test_without_pyarrow_the_extra_is_named(
    here: App, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.corpora.import_file(file)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for action in (here.corpora.import_file, lambda path: here.corpora.export("optics", path)):
        with pytest.raises(Missing, match=r"pip install 'unirag\[parquet\]'"):
            action(file)  # type: ignore[operator]


def test_problems_of_documents_are_exported(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    with fake_app(tmp_path / "home") as app:
        app.index([write_book(tmp_path / "book", 1)], corpus="optics")
        rows = app.components.catalog.documents("optics")
    problem = DocumentProblem("waves.md", "p3", "a formula", is_dead_letter=False)
    rows[-1] = type(rows[-1])(
        **{n: getattr(rows[-1], n) for n in rows[-1].__dataclass_fields__}
        | {"problems": (("p3", "a formula"),)}
    )
    catalog.restore(Corpus("optics", "/books"), rows)
    assert catalog.documents("optics") == rows
    assert catalog.problems("optics") == [problem]
    catalog.close()


def test_the_command_line(
    unirag: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, injected: dict[str, Any]
) -> None:
    book = write_book(tmp_path / "book", 1)
    with fake_app(tmp_path / "one") as app:
        app.index([book], corpus="optics")
    injected.update(encoder=ThumbnailEncoder(), text=WordCountRetriever())
    monkeypatch.setenv("UNIRAG_OCR", "false")
    file = tmp_path / "optics.unirag"
    result = unirag(f"corpora export optics {file} --home {tmp_path / 'one'} --json")
    assert (result.code, result.json["items"], result.json["missing_pictures"]) == (0, 3, [])
    result = unirag(f"corpora import {file} --home {tmp_path / 'two'}")
    assert (result.code, result.err) == (0, "")
    assert "3 items and 1 pictures of 2 documents" in result.out
    assert "unirag corpora add optics FOLDER" in result.out
    result = unirag(f"corpora import {file} --home {tmp_path / 'two'}")
    assert result.code == 2
    assert "--replace" in result.err
    result = unirag(f"corpora import {file} --home {tmp_path / 'two'} --replace --json")
    assert result.json == {"name": "optics", "documents": 2, "items": 3, "pictures": 1}

    incomplete = ExportResult(read_header(file), (app_item(tmp_path / "two", app),))
    monkeypatch.setattr(Corpora, "export", lambda *_: incomplete)
    result = unirag(f"corpora export optics {file} --home {tmp_path / 'two'}")
    assert result.code == 4
    assert "without its picture" in result.out


def read_header(file: Path) -> Any:
    with CorpusArchive(file) as sent:
        return sent.header


def app_item(home: Path, like: App) -> Item:
    with fake_app(home) as app:
        return next(iter(app.components.store.scan()))
