"""Test how blocks become items: joining, splitting, titles and neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.chunking import MAX_CHARS, ItemDraft, chunk, link_neighbours, split_text
from data.documents import Block, Document, Figure, Problem
from data.sentences import split_sentences
from data.tables import Table, markdown_table, parse_table

BOOK = ("Book", "1 Motion")


def document(*events: Block | Figure | Problem) -> Document:
    return Document("a.md", Path("a.md"), "0", "Book", lambda: iter(events), licence="CC BY 4.0")


def drafts(*events: Block | Figure | Problem) -> list[ItemDraft]:
    return [d for d in chunk(document(*events), "c") if isinstance(d, ItemDraft)]


def texts(item_drafts: Sequence[ItemDraft]) -> list[str]:
    return [d.item.text for d in item_drafts]


def test_paragraphs_of_a_section_are_joined_and_headings_separate_them() -> None:
    result = drafts(
        Block("One thing.", BOOK),
        Block("Another thing.", BOOK),
        Block("Elsewhere.", ("Book", "2 Speed")),
    )
    assert texts(result) == ["One thing.\nAnother thing.", "Elsewhere."]
    assert [d.item.title for d in result] == ["1 Motion", "2 Speed"]
    assert result[0].item.licence == "CC BY 4.0"


def test_roles_and_audiences_are_never_mixed() -> None:
    result = drafts(
        Block("Text.", BOOK),
        Block("speed: distance over time", BOOK, "term", title="speed"),
        Block("mass: amount of matter", BOOK, "term", title="mass"),
        Block("Tell the class.", BOOK, audience="teacher"),
        Block("Text again.", BOOK),
    )
    assert len(result) == 5
    assert [d.item.role for d in result] == ["text", "term", "term", "text", "text"]
    assert [d.item.audience for d in result].count("teacher") == 1


def test_a_figure_does_not_interrupt_the_text_around_it() -> None:
    result = drafts(
        Block("See Figure 1.", BOOK, refs=("f1",)),
        Figure("f1", None, "A ball. It flies."),
        Block("More.", BOOK),
    )
    figure = next(d.item for d in result if d.item.kind == "figure")
    passage = next(d.item for d in result if d.item.kind == "passage")
    assert passage.text == "See Figure 1.\nMore."
    assert passage.neighbours == (figure.id,)
    assert figure.title == "A ball."


def test_links_are_mutual_and_a_figure_without_one_gets_a_passage() -> None:
    items = link_neighbours(
        d.item
        for d in drafts(
            Block("Find the force.", BOOK, "exercise", anchor="e1"),
            Block("It is 3 N.", BOOK, "solution", anchor="s1", partner="e1"),
            Figure("f9", None, alt="A spring", section=BOOK),
        )
    )
    exercise, solution, figure = items[0], items[1], items[2]
    assert solution.neighbours[0] == exercise.id
    assert exercise.neighbours == (solution.id,)
    assert figure.neighbours == (solution.id,)


def test_figure_titles_and_texts() -> None:
    figure = Figure("f", None, "Figure 2. A prism splits light.", "A prism splits light.", "2")
    item = drafts(figure)[0].item
    assert item.title == "Figure 2."  # the caption's first sentence has the number
    assert item.text == "Figure 2. A prism splits light."
    assert drafts(Figure("f", None, "A.", role="exercise"))[0].item.role == "exercise"
    numbered = drafts(Figure("f", None, "Waves meet.", "Two waves", "3.1"))[0].item
    assert (numbered.title, numbered.text) == ("Figure 3.1. Waves meet.", "Waves meet.\nTwo waves")


def test_items_with_the_same_anchor_have_different_ids() -> None:
    result = drafts(Block("A.", BOOK, "term", anchor="x"), Block("B.", BOOK, "term", anchor="x"))
    assert len({d.item.id for d in result}) == 2


def test_problems_pass_through() -> None:
    problem = Problem("f1", "the picture x.png is missing")
    assert list(chunk(document(problem), "c")) == [problem]


WORDS = st.text("abcdefgh ", min_size=1, max_size=60).map(lambda s: f"The {s.strip() or 'x'} end.")


@given(st.lists(WORDS, min_size=1, max_size=80))
def test_splitting_keeps_every_sentence_whole(lines: list[str]) -> None:
    whole = [s for line in lines for s in split_sentences(line)]
    pieces = split_text(lines, limit=200)
    after = [s for piece in pieces for line in piece.split("\n") for s in split_sentences(line)]
    assert set(whole) <= set(after)
    assert all(len(p) <= 250 or p in whole for p in pieces)


def test_neighbouring_pieces_share_one_sentence() -> None:
    lines = [f"Sentence number {n} says something short." for n in range(60)]
    pieces = split_text(lines)
    assert len(pieces) > 1
    for a, b in pairwise(pieces):
        assert a.split("\n")[-1] == b.split("\n")[0]
    assert max(map(len, pieces)) <= MAX_CHARS * 1.25


@pytest.mark.parametrize(
    "text",
    [
        r"The force is \(F = 3.0 \text{ N. Up}\) here. It acts.",
        "See Fig. 3.1 for it. Then go on.",
    ],
)
def test_formulas_and_abbreviations_do_not_end_sentences(text: str) -> None:
    assert len(split_sentences(text)) == 2


def gases(count: int, caption: str = "") -> Block:
    rows = tuple((f"Gas {n}", f"{n} K", "a remark of some length") for n in range(count))
    table = Table((("Gas", "Boiling point", "Remark"), *rows), caption=caption)
    return Block(markdown_table(table), BOOK, "table", anchor="t1")


def test_a_table_is_an_item_of_its_own() -> None:
    first, second = gases(2, "Table 1. Gases. At sea level."), gases(3)
    result = drafts(Block("Before.", BOOK), first, second, Block("After.", BOOK))
    assert texts(result) == ["Before.", first.text, second.text, "After."]
    assert [d.item.role for d in result] == ["text", "table", "table", "text"]
    assert [d.item.title for d in result[1:3]] == ["Table 1. Gases. At sea level.", "1 Motion"]


def test_a_long_table_is_split_between_rows_and_keeps_its_header() -> None:
    block = gases(60, "Table 2. Gases")
    result = drafts(block)
    assert len(result) > 2
    assert max(map(len, texts(result))) <= MAX_CHARS
    tables = [table for text in texts(result) if (table := parse_table(text))]
    assert {(t.caption, t.column_names) for t in tables} == {
        ("Table 2. Gases", ("Gas", "Boiling point", "Remark"))
    }
    assert [row[0] for table in tables for row in table.body] == [f"Gas {n}" for n in range(60)]
    assert len({d.item.id for d in result}) == len(result)
