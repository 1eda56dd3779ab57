"""The reranker sorts the first hits of a search; hits behind them keep their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from data.records import Hit, Item, Query, QueryImage
from data.tables import Table, markdown_table
from tests.fakes import fake_app
from tests.unirag.books import write_book
from unirag.app import App
from unirag.search.reranking import rerank

SCORES = {"water": 0.9, "glass": 0.7, "light": 0.2}


def hit(word: str) -> Hit:
    return Hit(Item(word, "passage", "c", f"s#{word}", word.title(), f"About {word}."), 1.0)


def relevance(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    return np.array([next(s for w, s in SCORES.items() if w in text) for _, text in pairs])


def test_the_ranks_before_and_by_relevance_are_fused() -> None:
    hits = [hit("light"), hit("glass"), hit("water"), hit("glass")]
    ranked = rerank("what?", hits, relevance, candidates=3)
    # Ranks before are 1, 2, 3, by relevance 3, 2, 1: 1/1 + 1/3 is more than 1/2 + 1/2.
    assert [(h.item.id, h.relevance) for h in ranked] == [
        ("light", 0.2), ("water", 0.9), ("glass", 0.7), ("glass", None)
    ]  # fmt: skip
    assert rerank("what?", [], relevance, candidates=2) == []


def test_hits_that_are_equally_relevant_keep_their_order() -> None:
    hits = [hit("light"), hit("water"), hit("light")]
    ranked = rerank("what?", hits, relevance, candidates=3, rank_constant=8)
    assert [h.item.id for h in ranked] == ["light", "water", "light"]


def test_the_definition_of_the_topic_has_the_relevance_1() -> None:
    entry = Item("t", "passage", "c", "s#t", "light", "light: what eyes see", role="term")
    ranked = rerank("What is light?", [hit("water"), Hit(entry, 1.0)], relevance, candidates=2)
    assert {h.item.id: h.relevance for h in ranked} == {"water": 0.9, "t": 1.0}


def test_the_reranker_reads_title_text_and_labels() -> None:
    read: list[tuple[str, str]] = []

    def keep(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        read.extend(pairs)
        return np.ones(len(pairs), np.float32)

    figure = Item("f", "figure", "c", "s#f", "Lens", "A lens.\nIt bends light.", labels="focus")
    rerank("why?", [Hit(figure, 1.0)], keep, candidates=1)
    assert read == [("why?", "Lens: A lens. It bends light. focus")]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with fake_app(tmp_path / "home") as app:
        app.index([write_book(tmp_path / "book")], corpus="optics")
        yield app


def test_a_question_in_words_is_reranked_and_a_picture_is_not(app: App, tmp_path: Path) -> None:
    in_words = app.search("How many times does light bend?", limit=2)
    assert len(in_words.hits) == 2
    scores = [h.relevance for h in in_words.hits]
    assert all(score is not None for score in scores)
    picture = Query(images=[QueryImage.from_file(tmp_path / "book" / "1.png")])
    assert all(h.relevance is None for h in app.search(picture).hits)


def test_the_reranker_reads_the_rows_of_a_table_that_the_question_asks_for() -> None:
    read: list[tuple[str, str]] = []

    def keep(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        read.extend(pairs)
        return np.ones(len(pairs), np.float32)

    text = markdown_table(Table((("Gas", "K"), ("Neon", "27"), ("Argon", "87"))))
    table = Item("t", "passage", "c", "s#t", "Gases", text, role="table")
    for question in ("argon", "why?"):
        rerank(question, [Hit(table, 1.0)], keep, candidates=1)
    assert [text for _, text in read] == ["Gases: Argon: K 87.", "Gases: Neon: K 27. Argon: K 87."]
