"""A label and its value come from one row of a table, whether quoted or written by the model."""

from __future__ import annotations

import pytest

from data.tables import Table, markdown_table
from generation.table_rows import answering_rows, mixes_rows
from tests.generation.answering import HITS, Script, answer_to, hit

HALOGENS = markdown_table(
    Table(
        (
            ("State", "Element", "Colour"),
            ("gas", "fluorine", "pale yellow"),
            ("gas", "chlorine", "pale green"),
            ("liquid", "bromine", "brown"),
        )
    )
)
BOILING_POINTS = markdown_table(
    Table(
        (
            ("Element", "Symbol", "Boiling point (K)"),
            ("Oxygen", "O", "90"),
            ("Bromine", "Br", "332"),
            ("Iodine", "I", "457"),
        )
    )
)
SIDEWAYS = markdown_table(
    Table((("", "Oxygen", "Bromine"), ("Boiling point (K)", "90", "332"), ("Density", "1", "3")))
)
YIELDS = markdown_table(
    Table(
        (
            ("Crop", "Yield (t/ha)", "Yield (t/ha)"),
            ("Crop", "2023", "2024"),
            ("Wheat", "7.5", "6.9"),
            ("Maize", "9.1", "8.2"),
        ),
        header_rows=2,
    )
)


@pytest.mark.parametrize(
    ("question", "text", "rows"),
    [
        ("boiling point of oxygen", BOILING_POINTS, ["Oxygen: Boiling point (K) 90."]),
        ("What is the boiling point of oxygen?", SIDEWAYS, ["Boiling point (K): Oxygen 90."]),
        (
            "Which element boils at 457 K?",
            BOILING_POINTS,
            ["Iodine: Symbol I; Boiling point (K) 457."],
        ),
        (
            "Which element has the symbol Br?",
            BOILING_POINTS,
            ["Bromine: Symbol Br; Boiling point (K) 332."],
        ),
        (
            "Which halogen is pale green?",
            HALOGENS,
            ["gas: Element chlorine; Colour pale green."],
        ),
        ("How much wheat in 2024?", YIELDS, ["Wheat: Yield (t/ha), 2024 6.9."]),
    ],
)
def test_a_question_gets_the_row_and_columns_that_it_names(
    question: str, text: str, rows: list[str]
) -> None:
    assert list(answering_rows(question, text).values()) == rows


def test_a_question_that_names_no_row_gets_all_of_them() -> None:
    rows = answering_rows("What are the boiling points?", BOILING_POINTS)
    assert list(rows) == list(rows.values())
    assert [row.partition(":")[0] for row in rows] == ["Oxygen", "Bromine", "Iodine"]


def test_typed_rows_of_any_length_are_quoted() -> None:
    text = "| Gas | K |\n| --- | --- |\n| Neon |\n| Argon | 87 | noble |"
    assert list(answering_rows("K of argon", text).values()) == ["Argon: K 87; noble."]
    assert list(answering_rows("argon", "| a |\n| --- |")) == []


def test_a_row_with_a_label_alone_is_left_out() -> None:
    table = Table((("Metal", "K"), ("Light metals", "Light metals"), ("Lithium", "454")))
    assert list(answering_rows("metals", markdown_table(table))) == ["Lithium: K 454."]


@pytest.mark.parametrize(
    ("question", "sentence", "text", "mixed"),
    [
        ("Boiling point of oxygen?", "The boiling point of oxygen is 90 K.", BOILING_POINTS, False),
        ("Boiling point of oxygen?", "The boiling point of oxygen is 332.", BOILING_POINTS, True),
        ("Boiling point of oxygen?", "It is 332.", BOILING_POINTS, True),
        ("Which halogen is brown?", "The halogen is chlorine.", HALOGENS, True),
        ("Which halogen is brown?", "The halogen is bromine, a liquid.", HALOGENS, False),
        ("What colour is fluorine?", "Fluorine is pale yellow.", HALOGENS, False),
        ("How much wheat in 2024?", "The yield of wheat in 2024 is 7.5.", YIELDS, True),
        ("How much wheat in 2024?", "The yield of wheat in 2024 is 6.9.", YIELDS, False),
        ("Why is it brown?", "Halogens are elements.", HALOGENS, False),
        ("Why?", "Oxygen boils at 332 K.", "Oxygen boils at 90 K. Bromine at 332 K.", False),
    ],
)
def test_facts_of_two_rows_are_not_mixed(
    question: str, sentence: str, text: str, mixed: bool
) -> None:
    assert mixes_rows(sentence, question, text) is mixed


def test_an_answer_quotes_the_row_that_the_question_asks_for() -> None:
    table = hit("Boiling points", BOILING_POINTS, role="table")
    answer = answer_to("What is the boiling point of oxygen?", [table, *HITS])
    assert [s.text for s in answer.sentences] == ["Oxygen: Boiling point (K) 90."]
    assert answer.quoted


def test_of_two_tables_the_one_that_answers_is_quoted() -> None:
    melting = Table((("Element", "Melting point (K)"), ("Oxygen", "54"), ("Iodine", "387")))
    hits = [
        hit("a", BOILING_POINTS, role="table"),
        hit("b", markdown_table(melting), role="table"),
    ]
    answer = answer_to("What is the melting point of iodine?", hits)
    assert [s.text for s in answer.sentences] == ["Iodine: Melting point (K) 387."]


@pytest.mark.parametrize(("kelvin", "kept"), [("90", True), ("332", False)])
def test_a_sentence_of_the_model_is_held_against_one_row(kelvin: str, kept: bool) -> None:
    table = hit("Boiling points", BOILING_POINTS, role="table")
    reply = f"Oxygen has the boiling point {kelvin} [1]."
    answer = answer_to("Tell me about oxygen", [table], Script(reply))
    written = [s.text for s in answer.sentences if not s.quoted]
    assert written == ([reply.replace(" [1]", "")] if kept else [])


def test_the_model_reads_a_table_row_by_row() -> None:
    script = Script("")
    answer_to("boiling point of oxygen", [hit("t", BOILING_POINTS, role="table")], script)
    content = script.prompt[-1].content
    assert "Oxygen: Symbol O; Boiling point (K) 90." in content
    assert "|" not in content
