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

from data.documents import Problem
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
from tests.unirag.books import same_points, write_book
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
def target_app(tmp_path: Path) -> Iterator[App]:
    with fake_app(tmp_path / "here") as app:
        yield app


def points(app: App, corpus: str = "optics") -> list[Any]:
    return list(app.components.store.scan_points(Where(corpora=(corpus,))))


def nothing_stored(app: App) -> bool:
    return (app.components.store.count(), app.corpora.list()) == (0, [])


def test_a_corpus_is_unchanged_after_import_to_a_server_and_export_from_it(
    tmp_path: Path, exported: tuple[Path, Path]
) -> None:
    file, book = exported
    client = MemoryQdrant()
    with fake_app(tmp_path / "served", client=client) as server_app:
        header = server_app.corpora.import_file(file)
        assert (header.documents, header.items, header.pictures) == (5, 7, 3)
        export_result = server_app.corpora.export("optics", tmp_path / "back.unirag")
        assert export_result.header == header
        points_on_server = points(server_app)
        catalog = server_app.components.catalog.documents("optics")
    with (
        fake_app(tmp_path / "back") as app,
        CorpusArchive(file) as archive,
        CorpusArchive(tmp_path / "back.unirag") as archive_from_server,
    ):
        app.corpora.import_file(tmp_path / "back.unirag")
        assert same_points(list(archive.points()), points_on_server)
        assert same_points(points_on_server, list(archive_from_server.points()))
        assert same_points(points_on_server, points(app))
        assert app.components.catalog.corpus("optics") == Corpus(
            "optics", str(book), "CC-BY-4.0", "Ada"
        )
        assert app.components.catalog.documents("optics") == catalog == archive.documents()
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
    target_app: App, file: Path, exported: tuple[Path, Path], tmp_path: Path
) -> None:
    target_app.corpora.import_file(file)
    moved = Path(shutil.copytree(exported[1], tmp_path / "moved"))
    with pytest.raises(BadInput, match="corpora add optics"):
        target_app.index([moved], corpus="optics")
    target_app.corpora.add("optics", moved)
    (report,) = target_app.index([moved], corpus="optics")
    assert (report.unchanged, report.new, report.changed) == (4, 0, 0)
    assert target_app.components.encoder.encoded == target_app.components.text.encoded == 0
    corpus = target_app.components.catalog.corpus("optics")
    assert corpus is not None
    assert (corpus.licence, corpus.attribution) == ("CC-BY-4.0", "Ada")
    (moved / "waves.md").write_text("# Waves\n\nSound needs matter.\n")
    assert target_app.index([moved], corpus="optics")[0].changed == 1


def test_an_existing_corpus_is_replaced_only_with_replace(
    target_app: App, file: Path, tmp_path: Path
) -> None:
    old = write_book(tmp_path / "old", 5)
    (old / "old.md").write_text("# Old\n\nAether.\n")
    target_app.index([old], corpus="optics")
    target_app.index([write_book(tmp_path / "kept", 1)], corpus="kept")
    before = points(target_app, "kept")
    with pytest.raises(BadInput, match="corpus 'optics' is here already; pass --replace"):
        target_app.corpora.import_file(file)
    old_pictures = {p.item.image for p in points(target_app)} - {""}
    progress_calls: list[tuple[int, int]] = []
    for _ in range(2):
        target_app.corpora.import_file(
            file, replace=True, progress=lambda *at: progress_calls.append(at)
        )
        with CorpusArchive(file) as archive:
            assert same_points(points(target_app), list(archive.points()))
    assert progress_calls == [(7, 7)] * 2
    assert same_points(before, points(target_app, "kept"))
    current_pictures = {p.item.image for p in points(target_app) + before}
    assert old_pictures - current_pictures
    assert not [
        digest
        for digest in old_pictures - current_pictures
        if target_app.components.assets.path(digest)
    ]
    assert all(target_app.components.assets.path(digest) for digest in current_pictures - {""})
    # the folder that is registered here stays
    assert target_app.components.catalog.corpus("optics").root == str(old)  # type: ignore[union-attr]


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
        calls, original = [0], getattr(target, name)

        def call_and_kill(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] == at:
                raise Killed
            return original(*arguments)

        patched.setattr(target, name, call_and_kill)
        with pytest.raises(Killed):
            app.corpora.import_file(file)
        assert sum(c["documents"] for c in app.corpora.list()) == 0
    with fake_app(tmp_path / "home") as app:
        app.corpora.import_file(file)
        with CorpusArchive(file) as archive:
            assert same_points(points(app), list(archive.points()))
            assert app.components.catalog.documents("optics") == archive.documents()


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
        with CorpusArchive(file) as archive:
            assert same_points(points(app), list(archive.points()))


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
    target_app: App, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target_app.corpora.import_file(file)
    before = file.read_bytes()
    monkeypatch.setattr("unirag.transfer.archive.ArchiveHeader", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        target_app.corpora.export("optics", file)
    assert file.read_bytes() == before
    assert not list(file.parent.glob("*.part"))
    with pytest.raises(BadInput, match="corpus 'optic' is not here; known corpora: optics"):
        target_app.corpora.export("optic", file)
    with pytest.raises(BadInput, match="expected the name of a file"):
        target_app.corpora.export("optics", file.parent)


def test_a_corpus_of_many_row_groups_is_exported_completely(
    target_app: App, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target_app.corpora.import_file(file)
    monkeypatch.setattr("unirag.transfer.parquet._GROUP_ROWS", 2)
    monkeypatch.setattr("unirag.transfer.parquet._BATCH_ROWS", 3)
    target_app.corpora.export("optics", file)
    with CorpusArchive(file) as archive:
        assert same_points(points(target_app), list(archive.points()))


def test_an_empty_corpus_can_be_exported(target_app: App, tmp_path: Path) -> None:
    with fake_app(tmp_path / "home") as app:
        app.index([write_book(tmp_path / "book", 1)], corpus="optics")
        app.corpora.add("empty", tmp_path)
        assert app.corpora.export("empty", tmp_path / "empty.unirag").header.items == 0
    target_app.corpora.import_file(tmp_path / "empty.unirag")
    assert [c["name"] for c in target_app.corpora.list()] == ["empty"]


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
    "version": (header_with(version=1), "version 1, expected 2; update unirag"),
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
    target_app: App, file: Path, case: str, tmp_path: Path
) -> None:
    change, message = REFUSED[case]
    rewrite(file, change)
    with pytest.raises(BadInput, match=message):
        target_app.corpora.import_file(file)
    assert nothing_stored(target_app)
    assert not (tmp_path.parent / "x").exists()


def test_compressed_and_repeated_members_are_refused(target_app: App, file: Path) -> None:
    duplicate = file.with_name("twice.unirag")
    shutil.copy(file, duplicate)
    with zipfile.ZipFile(duplicate, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("header.json", b"{}")
    with pytest.raises(BadInput, match="a member is there twice"):
        target_app.corpora.import_file(duplicate)
    rewrite(file, lambda members: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(BadInput, match="is compressed"):
        target_app.corpora.import_file(file)


def test_members_that_claim_too_many_bytes_are_refused(target_app: App, file: Path) -> None:
    data = bytearray(file.read_bytes())
    at = data.rfind(b"PK\x01\x02")  # the last member's entry in the directory
    data[at + 20 : at + 28] = (2**31).to_bytes(4, "little") * 2
    file.write_bytes(data)
    with pytest.raises(BadInput, match="claim"):
        target_app.corpora.import_file(file)


def test_damaged_bytes_give_one_clear_error(target_app: App, file: Path) -> None:
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
            target_app.corpora.import_file(file)
    for _ in range(150):
        data = bytearray(original)
        for at in rng.sample(range(len(data)), 3):
            data[at] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
        try:
            target_app.corpora.import_file(file, replace=True)
        except (BadInput, Mismatch):
            continue
        # only metadata of the zip has no checksum, such as the time of a member
        file.write_bytes(original)
        with CorpusArchive(file) as archive:
            assert same_points(points(target_app), list(archive.points()))


def test_a_missing_or_unrelated_file_is_refused(target_app: App, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        target_app.corpora.import_file(tmp_path / "none.unirag")
    (tmp_path / "words.unirag").write_text("words")
    with pytest.raises(BadInput, match="not an exported corpus"):
        target_app.corpora.import_file(tmp_path / "words.unirag")


def test_without_pyarrow_the_error_names_the_extra(
    target_app: App, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target_app.corpora.import_file(file)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for action in (
        target_app.corpora.import_file,
        lambda path: target_app.corpora.export("optics", path),
    ):
        with pytest.raises(Missing, match=r"pip install 'unirag\[parquet\]'"):
            action(file)  # type: ignore[operator]


def test_problems_of_documents_are_exported(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.db")
    with fake_app(tmp_path / "home") as app:
        app.index([write_book(tmp_path / "book", 1)], corpus="optics")
        rows = app.components.catalog.documents("optics")
    problem = DocumentProblem("waves.md", "p3", "not read", False, kind="formula", page=7)
    rows[-1] = type(rows[-1])(
        **{n: getattr(rows[-1], n) for n in rows[-1].__dataclass_fields__}
        | {"problems": (Problem("p3", "not read", "formula", 7),)}
    )
    catalog.restore(Corpus("optics", "/books"), rows)
    assert catalog.documents("optics") == rows
    assert catalog.problems("optics") == [problem]
    catalog.close()


def test_the_command_line_exports_and_imports(
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
    with CorpusArchive(file) as archive:
        return archive.header


def app_item(home: Path, like: App) -> Item:
    with fake_app(home) as app:
        return next(iter(app.components.store.scan()))
