"""From a table in a document to an answer: label and value come from one row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data.chunking import ItemDraft, chunk
from data.documents import Block, Document
from data.tables import Table, markdown_table
from retrieval.store import Point
from tests.fakes import ScriptedChat, fake_app
from unirag.app import App
from unirag.indexing.pipeline import searchable_text

ROWS = (("Oxygen", "O", "90"), ("Bromine", "Br", "332"), ("Iodine", "I", "457"))
ELEMENTS = Table((("Element", "Symbol", "Boiling point (K)"), *ROWS), caption="Table 1. Elements")
MANY = Table(
    (("Star", "Distance (ly)"), *((f"Star{n}", f"{n}5") for n in range(200))), caption="Stars"
)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    blocks = [Block(markdown_table(table), ("Data",), "table") for table in (ELEMENTS, MANY)]
    document = Document("a.html", Path("a.html"), "0", "Data", lambda: iter(blocks))
    items = [draft.item for draft in chunk(document, "c") if isinstance(draft, ItemDraft)]
    chat = ScriptedChat()
    chat.script = "The boiling point of oxygen is 332 [1]."
    # The fake models are unsure of every answer; here only its words matter.
    settings = {
        "search": {"answerability": {"threshold": 0.0}},
        "answer": {"quotation": {"min_relevance": 0.0}},
    }
    with fake_app(tmp_path / "home", settings=settings, chat=chat) as opened:
        components = opened.components
        texts = [searchable_text(item) for item in items]
        vectors: Any = components.text.encode_passages(texts)
        components.store.upsert(
            [
                Point(item, None, vector_D, components.bm25.encode_document(text))
                for item, text, vector_D in zip(items, texts, vectors, strict=True)
            ]
        )
        yield opened


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("What is the boiling point of oxygen?", "Oxygen: Boiling point (K) 90."),
        ("boiling point of iodine", "Iodine: Boiling point (K) 457."),
        ("distance of the star star150", "Star150: Distance (ly) 1505."),
    ],
)
def test_an_answer_quotes_one_row_and_drops_the_other_value(
    app: App, question: str, quoted: str
) -> None:
    answer = app.ask(question)
    assert [s.text for s in answer.sentences] == [quoted]
    (cited,) = answer.references
    assert cited.item.role == "table"
    assert "332" not in answer.text


def test_the_piece_of_a_long_table_with_the_row_comes_first(app: App) -> None:
    item = app.search("star150").hits[0].item
    assert "| Star150 | 1505 |" in item.text
    assert item.text.startswith("Stars\n| Star | Distance (ly) |\n")
    assert "| Star0 |" not in item.text
