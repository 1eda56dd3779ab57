"""Indexing and search with small fakes for the models: what is stored, kept and replaced."""

from __future__ import annotations

import shutil
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from data.documents import Problem
from data.errors import BadInput, UniragError
from data.reading_pool import ReaderPool
from data.reading_settings import ReadingSettings
from data.records import Item, Query, QueryAudio, QueryImage
from data.tables import Table, markdown_table
from retrieval.store import Where
from tests.fakes import FixedOcr, IndexingBench
from unirag.indexing import indexer
from unirag.indexing.indexer import default_corpus_name
from unirag.indexing.pipeline import searchable_text
from unirag.search.searcher import check_query
from unirag.workspace.embedding_cache import EmbeddingCache


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[IndexingBench]:
    bench = IndexingBench(tmp_path / "home")
    yield bench
    bench.close()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    root = tmp_path / "Optics & Waves"
    (root / "figures").mkdir(parents=True)
    picture = Image.new("RGB", (120, 90), "white")
    ImageDraw.Draw(picture).ellipse((40, 10, 80, 80), outline="blue", width=4)
    picture.save(root / "figures" / "lens.png")
    (root / "lens.md").write_text(
        "# Lenses\n\nA lens bends light. Figure 1 shows how.\n\n"
        '![Rays through glass](figures/lens.png "Figure 1. A converging lens.")\n'
    )
    (root / "waves.md").write_text("# Waves\n\nA wave carries energy.\n")
    return root


def test_the_first_run_indexes_everything(bench: IndexingBench, book: Path) -> None:
    report = bench.indexer.index(book, "optics")
    assert (report.new, report.figures, report.passages, report.dead_letters) == (2, 1, 2, [])
    figure = next(i for i in bench.store.scan() if i.kind == "figure")
    assert figure.labels == "focal point"
    assert "A converging lens." in figure.text
    assert (
        bench.assets.path(figure.image).read_bytes()
        == (  # type: ignore[union-attr]
            book / "figures" / "lens.png"
        ).read_bytes()
    )
    assert bench.assets.thumbnail(figure.image).is_file()
    passage = next(i for i in bench.store.scan() if "bends" in i.text)
    assert passage.neighbours == (figure.id,)
    assert figure.neighbours == (passage.id,)


def test_the_second_run_reads_nothing(bench: IndexingBench, book: Path) -> None:
    bench.indexer.index(book, "optics")
    before = bench.ids()
    calls = bench.ocr.calls
    report = bench.indexer.index(book, "optics")
    assert (report.unchanged, report.new, report.changed) == (2, 0, 0)
    assert bench.ocr.calls == calls
    assert bench.ids() == before


def test_a_changed_document_is_replaced(bench: IndexingBench, book: Path) -> None:
    bench.indexer.index(book, "optics")
    (book / "waves.md").write_text(
        "# Waves\n\nSound needs matter.\n\n## Light\n\nLight does not.\n"
    )
    report = bench.indexer.index(book, "optics")
    assert (report.changed, report.unchanged) == (1, 1)
    assert not [t for t in bench.ids().values() if "carries energy" in t]
    assert bench.store.count(Where(sources=("waves.md",))) == 2


def test_a_changed_picture_changes_its_document(bench: IndexingBench, book: Path) -> None:
    bench.indexer.index(book, "optics")
    Image.new("RGB", (120, 90), "red").save(book / "figures" / "lens.png")
    assert bench.indexer.index(book, "optics").changed == 1


def test_missing_documents_are_removed_only_with_prune(bench: IndexingBench, book: Path) -> None:
    bench.indexer.index(book, "optics")
    (book / "waves.md").unlink()
    report = bench.indexer.index(book, "optics")
    assert report.missing == ["waves.md"]
    assert bench.store.count(Where(sources=("waves.md",))) == 1
    report = bench.indexer.index(book, "optics", prune=True)
    assert report.removed == 1
    assert bench.store.count(Where(sources=("waves.md",))) == 0


def test_a_document_that_becomes_unreadable_keeps_its_stored_items(
    bench: IndexingBench, book: Path
) -> None:
    bench.indexer.index(book, "optics")
    before = bench.ids()
    (book / "waves.md").write_bytes(b"# Waves\x00\xff\xfe\n")
    report = bench.indexer.index(book, "optics")
    assert [t.source for t in report.dead_letters] == ["waves.md"]
    assert bench.ids() == before
    assert bench.catalog.problems("optics") == report.dead_letters


def test_a_broken_picture_is_reported_and_its_caption_stored(
    bench: IndexingBench, book: Path
) -> None:
    (book / "figures" / "lens.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    report = bench.indexer.index(book, "optics")
    assert report.dead_letters == []
    assert "lens.png" in report.problems[0].message
    figure = next(i for i in bench.store.scan() if i.kind == "figure")
    assert figure.image == ""
    assert "A converging lens." in figure.text


def test_after_a_kill_between_store_and_catalog_one_document_is_read_again(
    bench: IndexingBench, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bench.catalog, "save_documents", killed)
        with pytest.raises(KeyboardInterrupt):
            bench.indexer.index(book, "optics")
    bench.encoded()
    report = bench.indexer.index(book, "optics")
    assert report.new == 2
    assert len(bench.ids()) == 3
    assert bench.encoded() == (0, 0)


def test_moved_and_shared_content_is_encoded_once(
    bench: IndexingBench, book: Path, tmp_path: Path
) -> None:
    bench.indexer.index(book, "optics")
    assert bench.encoded() == (1, 3)
    (book / "later").mkdir()
    (book / "waves.md").rename(book / "later" / "sound.md")
    report = bench.indexer.index(book, "optics", prune=True)
    assert (report.new, report.removed) == (1, 1)
    shutil.copytree(book, tmp_path / "again")
    assert bench.indexer.index(tmp_path / "again", "again").new == 2
    assert bench.encoded() == (0, 0)
    figures = [i for i in bench.store.scan() if i.kind == "figure"]
    assert len({i.image for i in figures}) == 1
    assert len(figures) == 2


def test_pictures_of_many_documents_are_encoded_in_batches(
    bench: IndexingBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "_MAX_WAIT_SECONDS", 600.0)  # however slow the machine is
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(70):
        Image.new("RGB", (16, 16), (n, n, n)).save(folder / f"{n:02}.png")
    Image.new("RGB", (16, 16), (7, 7, 7)).save(folder / "again.png")
    batches: list[int] = []
    encode = bench.encoder.encode_image

    def encode_and_count(images: Sequence[Image.Image], style: str = "auto") -> np.ndarray:
        batches.append(len(images))
        return encode(images, style)

    bench.encoder.encode_image = encode_and_count  # type: ignore[method-assign]
    progress: list[tuple[int, int]] = []
    report = bench.indexer.index(
        folder, "photos", progress=lambda p: progress.append((p.documents, p.total))
    )
    assert (report.new, report.figures) == (71, 71)
    assert batches == [32, 32, 6]  # the copy has the same vector
    assert progress[-1] == (71, 71)
    assert all(documents <= total for documents, total in progress)
    states = {entry.state for entry in bench.catalog.entries("photos").values()}
    assert states == {"stored"}


def test_a_file_that_hangs_its_reader_is_one_dead_letter_and_read_once(
    bench: IndexingBench, book: Path, tmp_path: Path
) -> None:
    (book / "read-hang.txt").write_text("A word.\n\nAnother.\n")
    (book / "find-crash.txt").write_text("A word.\n")
    hostile = (sys.executable, str(Path(__file__).parents[1] / "data" / "hostile_reader.py"))
    limits = ReadingSettings(workers=1, stall_seconds=6)
    bench.indexer.readers = partial(ReaderPool, limits, tmp_path / "home" / "assets", hostile)
    report = bench.indexer.index(book, "optics")
    messages = {t.source: t.message for t in report.dead_letters}
    assert "made no progress for 6 s" in messages["read-hang.txt"]
    assert "ended suddenly" in messages["find-crash.txt"]
    assert (report.new, len(bench.ids())) == (2, 3)
    started_at = time.monotonic()
    second_report = bench.indexer.index(book, "optics", prune=True)
    assert {t.source: t.message for t in second_report.dead_letters} == messages
    assert (second_report.unchanged, second_report.missing) == (2, [])
    bench.indexer.readers = partial(ReaderPool, ReadingSettings(), tmp_path / "home" / "assets")
    repaired = bench.indexer.index(book, "optics", retry_failed=True)
    assert (repaired.new, repaired.dead_letters, repaired.unchanged) == (2, [], 2)
    assert time.monotonic() - started_at < 100


def test_documents_of_an_unreadable_archive_are_not_pruned(
    bench: IndexingBench, book: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(book / "notes.zip", "w") as archive:
        archive.writestr("find-crash.txt", "A word.\n")
    bench.indexer.index(book, "optics")
    before = bench.ids()
    assert len(before) == 4
    hostile = (sys.executable, str(Path(__file__).parents[1] / "data" / "hostile_reader.py"))
    limits = ReadingSettings(workers=1)
    bench.indexer.readers = partial(ReaderPool, limits, tmp_path / "home" / "assets", hostile)
    report = bench.indexer.index(book, "optics", prune=True)
    assert [t.source for t in report.dead_letters] == ["notes.zip"]
    assert (report.missing, report.removed) == ([], 0)
    assert bench.ids() == before


def test_an_error_of_the_store_ends_the_run_and_the_next_run_continues(
    bench: IndexingBench, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(points: object) -> None:
        raise UniragError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "upsert", full)
        with pytest.raises(UniragError, match="the disk is full"):
            bench.indexer.index(book, "optics")
    assert {e.state for e in bench.catalog.entries("optics").values()} == {"encoded"}
    bench.encoded()
    assert bench.indexer.index(book, "optics").new == 2
    assert bench.encoded() == (0, 0)


def test_vectors_of_other_encoders_and_the_oldest_are_trimmed(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "embeddings.db")
    vector = np.ones(4, np.float32)
    cache.put("old", {"a": vector})
    cache.put("new", {str(n): n * vector for n in range(600)})
    assert cache.get("new", 4, ["7", "a"]).keys() == {"7"}
    assert cache.get("new", 3, ["7"]) == {}  # of another width
    assert len(cache.get("new", 4, map(str, range(600)))) == 600
    cache.trim(["new"], max_vectors=10)
    assert cache.get("old", 4, ["a"]) == {}
    cached = cache.get("new", 4, map(str, range(600)))
    assert list(cached) == [str(n) for n in range(590, 600)]
    assert cached["599"].tolist() == [599.0] * 4
    cache.close()


def test_a_dead_letter_is_read_again_when_it_changes_or_on_request(
    bench: IndexingBench, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (book / "waves.md").write_bytes(b"# Waves\x00\xff\xfe\n")
    first = bench.indexer.index(book, "optics")
    (dead_letter,) = first.dead_letters
    entry = bench.catalog.entries("optics")["waves.md"]
    assert (entry.state, entry.stored_fingerprint, entry.reason) == (
        "failed",
        "",
        dead_letter.message,
    )
    second_report = bench.indexer.index(book, "optics")
    assert second_report.dead_letters == [dead_letter]
    assert bench.catalog.entries("optics")["waves.md"] == entry  # not read again
    bench.indexer.index(book, "optics", retry_failed=True)
    assert bench.catalog.entries("optics")["waves.md"].changed_at > entry.changed_at
    (book / "waves.md").write_text("# Waves\n\nA wave carries energy.\n")
    assert bench.indexer.index(book, "optics").dead_letters == []
    (book / "waves.md").write_bytes(b"\x00")
    bench.indexer.index(book, "optics")
    (book / "waves.md").write_text("# Waves\n\nA wave carries energy.\n")
    report = bench.indexer.index(book, "optics")  # back to what is stored
    assert (report.unchanged, bench.catalog.problems("optics")) == (2, [])
    (book / "bad.md").write_bytes(b"\x00")
    bench.indexer.index(book, "optics")
    (book / "bad.md").unlink()
    assert bench.indexer.index(book, "optics").missing == []
    assert bench.catalog.problems("optics") == []


def test_a_corpus_belongs_to_one_folder(bench: IndexingBench, book: Path, tmp_path: Path) -> None:
    bench.indexer.index(book, "optics")
    with pytest.raises(BadInput, match=r"belongs to .*Optics.*--corpus OTHER-NAME"):
        bench.indexer.index(tmp_path, "optics")


@pytest.mark.parametrize(
    ("path", "name"),
    [("Optics & Waves", "optics-waves"), ("openstax-physics", "openstax-physics"), ("§", "corpus")],
)
def test_a_corpus_is_named_after_its_folder(path: str, name: str) -> None:
    assert default_corpus_name(Path(path)) == name


def test_search_mixes_words_pictures_and_speech(
    bench: IndexingBench, book: Path, tmp_path: Path
) -> None:
    bench.indexer.index(book, "optics")
    words = bench.searcher.search(Query("wave carries energy"))
    assert words.hits[0].item.title == "Waves"
    assert set(words.hits[0].channels) == {"text", "bm25"}
    picture = bench.searcher.search(
        Query(images=(QueryImage.from_file(book / "figures" / "lens.png"),))
    )
    assert picture.hits[0].item.kind == "figure"
    assert picture.hits[0].channels["image"] == pytest.approx(1, abs=1e-4)
    assert picture.question == "focal point"
    assert {"decode", "ocr", "encode", "search", "total"} <= set(picture.timings_ms)
    only = bench.searcher.search(Query("lens"), where=Where(kinds=("passage",)))
    assert {h.item.kind for h in only.hits} == {"passage"}


@pytest.mark.parametrize("look_alike", [False, True])
def test_a_clearly_recognised_figure_comes_before_the_best_match_of_the_words(
    bench: IndexingBench, tmp_path: Path, look_alike: bool
) -> None:
    """If another figure looks alike, the words decide between the two."""
    root = tmp_path / "book"
    root.mkdir()
    for name, corner in (("ball", 20), ("box", 22 if look_alike else 70)):
        picture = Image.new("RGB", (120, 90), "white")
        ImageDraw.Draw(picture).rectangle((corner, 10, corner + 30, 40), fill="black")
        picture.save(root / f"{name}.png")
    (root / "toys.md").write_text("# Toys\n\n![A ball rolls](ball.png)\n\n![A box](box.png)\n")
    bench.indexer.index(root, "toys")
    bench.searcher.ocr = None
    pictures = (QueryImage.from_file(root / "box.png", 0.3),)
    result = bench.searcher.search(Query("a ball rolls", images=pictures), limit=2)
    first_text, second_text = (h.item.text for h in result.hits)
    assert (first_text, second_text) == (
        ("A ball rolls", "A box") if look_alike else ("A box", "A ball rolls")
    )
    assert result.hits[0].score >= result.hits[1].score


def test_speech_is_transcribed_again_with_the_terms_of_the_first_hits(
    bench: IndexingBench, book: Path, tmp_path: Path
) -> None:
    bench.indexer.index(book, "optics")
    (tmp_path / "q.wav").touch()
    term_lists: list[list[str]] = []

    def transcribe(recording: bytes, terms: Sequence[str] = (), name: str = "") -> str:
        term_lists.append(list(terms))
        return "a lens" if terms else "a bends"

    bench.searcher.transcribe = transcribe
    spoken = Query(audio=(QueryAudio.from_file(tmp_path / "q.wav"),))
    assert bench.searcher.search(spoken).question == "a lens"
    assert term_lists[0] == []
    assert "bends" in term_lists[1][:6]  # the passage that was found leads
    assert {"figure", "lens", "light"} <= set(term_lists[1])


def test_the_first_transcript_is_kept_if_the_second_is_empty(
    bench: IndexingBench, book: Path, tmp_path: Path
) -> None:
    bench.indexer.index(book, "optics")
    (tmp_path / "q.wav").touch()

    def transcribe(recording: bytes, terms: Sequence[str] = (), name: str = "") -> str:
        if terms:
            raise BadInput("q.wav: no speech found")
        return "a lens"

    bench.searcher.transcribe = transcribe
    result = bench.searcher.search(Query(audio=(QueryAudio.from_file(tmp_path / "q.wav"),)))
    assert result.question == "a lens"


def test_hits_carry_the_styles_of_the_query_pictures(bench: IndexingBench, book: Path) -> None:
    bench.indexer.index(book, "optics")
    lens = QueryImage.from_file(book / "figures" / "lens.png")
    result = bench.searcher.search(Query("lens", images=(lens, lens)))
    assert result.styles == {"sketch": 1.0}
    assert result.experts == (0.25, 0.75)
    assert all(h.styles == result.styles for h in result.hits)
    assert bench.searcher.search(Query("lens")).styles == {}


def test_a_photographed_page_that_is_too_long_is_refused_by_name(
    bench: IndexingBench, book: Path
) -> None:
    bench.indexer.index(book, "optics")
    bench.searcher.ocr = FixedOcr("a long page of words " * 1_000)
    page = Query("why?", images=(QueryImage.from_file(book / "figures" / "lens.png"),))
    message = r"the page in .*lens.png has 21,000 characters; expected 20,000 at most; crop it"
    with pytest.raises(BadInput, match=message):
        bench.searcher.search(page)


def test_a_problem_keeps_its_place_kind_and_page_up_to_the_catalog(
    bench: IndexingBench, tmp_path: Path
) -> None:
    root = tmp_path / "slides"
    root.mkdir()
    (root / "problem.txt").write_text("A slide with a chart.\n")
    (root / "a.md").write_text("# Lenses\n\nA lens.\n\n![A ray](ray.png)\n")
    (root / "ray.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    hostile = (sys.executable, str(Path(__file__).parents[1] / "data" / "hostile_reader.py"))
    assets = tmp_path / "home" / "assets"
    bench.indexer.readers = partial(ReaderPool, ReadingSettings(workers=1), assets, hostile)
    report = bench.indexer.index(root, "slides")
    picture, chart = sorted(report.to_json()["problems"], key=lambda row: row["source"])
    assert (picture["source"], picture["kind"], picture["page"]) == ("a.md", "picture", None)
    assert chart == {
        "source": "problem.txt",
        "anchor": "p7",
        "message": "a chart without its data",
        "kind": "chart",
        "page": 7,
    }
    stored = {d.source: d.problems for d in bench.catalog.coverage("slides", 9)}
    assert stored["problem.txt"] == (Problem("p7", "a chart without its data", "chart", 7),)
    assert {p.kind for p in bench.catalog.problems("slides")} == {"chart", "picture"}


def test_the_searchable_text_of_a_table_names_the_columns_in_every_row() -> None:
    table = Table((("Gas", "K"), ("Neon", "27"), ("Argon", "87")), caption="Table 1 Gases")
    item = Item("t", "passage", "c", "s#t", table.caption, markdown_table(table), role="table")
    assert searchable_text(item) == "Table 1 Gases\nNeon: K 27.\nArgon: K 87."


def test_labels_belong_to_the_searchable_text_of_a_figure(bench: IndexingBench, book: Path) -> None:
    bench.indexer.index(book, "optics")
    hit = bench.searcher.search(Query("focal point")).hits[0]
    assert hit.item.kind == "figure"
    assert searchable_text(hit.item).endswith("focal point")


@pytest.mark.parametrize(
    ("query", "limit", "message"),
    [
        (Query("  "), 5, "the query is empty"),
        (Query("x"), 0, "limit"),
        (Query(images=[QueryImage(b"", weight=0.0)]), 5, "picture: got weight 0.0"),
    ],
)
def test_a_query_that_cannot_be_searched_for_is_refused(
    query: Query, limit: int, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        check_query(query, limit)


def test_a_missing_query_file_is_reported_by_name(tmp_path: Path) -> None:
    for kind in (QueryImage, QueryAudio):
        with pytest.raises(BadInput, match=r"none\.png: no such file"):
            kind.from_file(tmp_path / "none.png")
        with pytest.raises(BadInput, match="cannot be read"):
            kind.from_file(tmp_path)
