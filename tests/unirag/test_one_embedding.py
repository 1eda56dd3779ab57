"""A question is embedded once with each encoder, and a search asks the store at most twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.records import Query, QueryImage
from retrieval.store import VectorStore
from tests.fakes import ScriptedChat, fake_app
from tests.unirag.books import write_book
from unirag.app import App

QUESTION = "How many times does light bend?"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    chat = ScriptedChat()
    chat.script = "Light bends 2 times, as the figure shows. [1] A wave carries energy. [2]"
    answer_always = {
        "search": {"answerability": {"threshold": 0.0}},
        "answer": {"quotation": {"min_relevance": 0.0}},
    }
    with fake_app(tmp_path / "home", settings=answer_always, chat=chat) as app:
        app.index([write_book(tmp_path / "book")], corpus="optics")
        components = app.components
        components.text.encoded_queries.clear()  # type: ignore[attr-defined]
        components.text.encoded_passages.clear()  # type: ignore[attr-defined]
        components.encoder.encoded_texts.clear()  # type: ignore[attr-defined]
        components.encoder.encoded = 0  # type: ignore[attr-defined]
        yield app


def test_ask_embeds_the_question_once_with_each_encoder(app: App) -> None:
    answer = app.ask(QUESTION)
    assert answer.sentences
    encoder: Any = app.components.encoder
    retriever: Any = app.components.text
    assert retriever.encoded_queries == [QUESTION]
    assert encoder.encoded_texts == [QUESTION]
    assert QUESTION not in retriever.encoded_passages
    # the sentences of the evidence and those of the model, each once
    assert len(retriever.encoded_passages) == len(set(retriever.encoded_passages))


def test_a_query_picture_is_decoded_and_encoded_once(app: App, tmp_path: Path) -> None:
    image = QueryImage.from_file(tmp_path / "book" / "1.png")
    result = app.search(Query(images=[image]))
    assert [picture.size for picture in result.pictures] == [(60, 40)]
    encoder: Any = app.components.encoder
    assert encoder.encoded == 1


class CountingStore:
    """Counts the calls that a search makes."""

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._store, name)


def test_a_search_of_four_words_calls_the_store_twice(app: App) -> None:
    searcher = app.components.searcher()
    store = CountingStore(searcher.store)
    searcher.store = store  # type: ignore[assignment]
    result = searcher.search(Query("lens bends light energy"))
    assert len(result.rarity) == 4
    assert store.calls == ["best_scores", "search"]
