"""Slips in a question are corrected with the words of the corpus; long questions are refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.errors import BadInput
from retrieval.store import Where
from tests.fakes import fake_app
from ui.render import partial_answer
from unirag.app import App
from unirag.serialization import correction_line, search_out

CARDS = {
    "plants.md": "# Plants\n\n## Leaves\n\nPhotosynthesis makes sugar.\n\n## Seeds\n\nThey rest.\n",
    "water.md": "# Water\n\nThe formula of water is H₂O. Bosons are not in it, nor alkanes.\n",
}
FIRST = Where(corpora=("book",))


@pytest.fixture
def book(tmp_path: Path) -> Path:
    folder = tmp_path / "book"
    folder.mkdir()
    for name, text in CARDS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def app(tmp_path: Path, book: Path) -> Iterator[App]:
    with fake_app(tmp_path / "home") as opened:
        opened.index([book], corpus="book")
        yield opened


@pytest.mark.parametrize("slip", ["photosyntesis", "Photosinthesis", "photosynhtesis"])
def test_a_slip_is_corrected(app: App, slip: str) -> None:
    result = app.search(f"What does {slip} make?")
    assert result.question == "What does photosynthesis make?"
    assert result.corrections == {slip.lower(): "photosynthesis"}
    assert result.hits[0].item.title == "Leaves"
    assert "bm25" in result.hits[0].channels


def test_every_interface_says_what_was_searched_for_instead(app: App) -> None:
    wire = search_out(app.search("photosyntesis"), str)
    line = "Searched for “photosynthesis” instead of “photosyntesis”."
    assert correction_line(wire) == line
    turn: Any = wire.model_copy()
    assert f"<p>{line}</p>" in partial_answer(turn, []).replace(' class="quiet"', "")
    assert correction_line(search_out(app.search("photosynthesis"), str)) == ""


@pytest.mark.parametrize(
    "question",
    [
        "What is boron?",  # an English word, although the corpus has only bosons
        "What is an alkene?",
        "What is a ceed?",  # too short
        "What is fotosintesis?",  # two slips
    ],
)
def test_other_words_are_left_alone(app: App, question: str) -> None:
    result = app.search(question)
    assert (result.question, result.corrections) == (question, {})


def test_only_words_of_the_searched_corpus_correct_a_slip(app: App, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "cells.md").write_text("# Cells\n\nMitochondria burn sugar.\n")
    app.index([other], corpus="other")
    assert app.search("mitochondira", where=FIRST).corrections == {}
    assert app.search("mitochondira").corrections == {"mitochondira": "mitochondria"}
    app.corpora.remove("other")
    assert app.components.catalog.words_like("mitochondira") == []


def test_an_imported_corpus_corrects_slips_too(app: App, tmp_path: Path) -> None:
    app.corpora.export("book", tmp_path / "book.unirag")
    with fake_app(tmp_path / "second-home") as second:
        second.corpora.import_file(tmp_path / "book.unirag")
        assert second.search("photosyntesis").corrections == {"photosyntesis": "photosynthesis"}


@pytest.mark.parametrize("formula", ["H2O", "H₂O", "H_2O"])
def test_every_way_to_write_a_formula_gives_the_same_result(app: App, formula: str) -> None:
    result, other = app.search(formula), app.search("H2O")
    assert result.hits[0].item.source == "water.md"
    assert result.hits[0].channels["bm25"] > 0
    assert (result.confidence, result.no_good_match) == (other.confidence, other.no_good_match)


def test_a_long_question_takes_linear_time(app: App) -> None:
    words = [f"{CARDS['water.md']} word{n} leaves{n % 7}" for n in range(80)]
    app.search("warm up")

    def seconds(text: str) -> float:
        start = time.perf_counter()
        app.search(text)
        return time.perf_counter() - start

    short, long = " ".join(words[:16]), " ".join(words)
    assert min(seconds(long) for _ in range(3)) < 15 * min(seconds(short) for _ in range(3)) + 0.1


def test_a_question_that_is_too_long_is_refused_with_the_limit(app: App) -> None:
    app.search("water " * 3_000)
    with pytest.raises(BadInput, match=r"query has 24,000 characters; expected 20,000 at most"):
        app.search("water " * 4_000)
    with pytest.raises(BadInput, match="shorten it"):
        app.ask("water " * 4_000)
