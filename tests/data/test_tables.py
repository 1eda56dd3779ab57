"""Tables stay together: a label and its value come from one row, and every piece has the header."""

from data.tables import (
    Table,
    markdown_table,
    parse_table,
    row_statements,
    split_table,
    statement_text,
    text_parts,
)

HALOGENS = Table(
    (
        ("Halogen", "Boiling point (K)", "Colour"),
        ("Fluorine", "85", "pale yellow"),
        ("Bromine", "332", "red | brown"),
        ("Astatine", "", ""),
    ),
    caption="Table 1 Halogens",
)


def test_a_table_survives_its_markdown() -> None:
    assert parse_table(markdown_table(HALOGENS)) == HALOGENS


def test_a_row_is_read_with_the_names_of_its_columns() -> None:
    assert row_statements(markdown_table(HALOGENS)) == [
        "Fluorine: Boiling point (K) 85; Colour pale yellow",
        "Bromine: Boiling point (K) 332; Colour red | brown",
        "Astatine",
    ]


def test_a_table_without_a_header_keeps_its_values() -> None:
    table = Table((("Oxygen", "90"), ("Neon", "27")), header_rows=0)
    assert parse_table(markdown_table(table)) == table
    assert row_statements(markdown_table(table)) == ["Oxygen: 90", "Neon: 27"]


def test_a_deep_header_names_each_column_once() -> None:
    table = Table(
        (("Gas", "Density", "Density"), ("Gas", "0 °C", "20 °C"), ("He", "0.18", "0.17")), 2
    )
    assert table.column_names == ("Gas", "Density, 0 °C", "Density, 20 °C")
    assert row_statements(markdown_table(table)) == ["He: Density, 0 °C 0.18; Density, 20 °C 0.17"]


def test_a_short_row_is_filled_and_a_line_break_in_a_cell_becomes_a_space() -> None:
    text = markdown_table(Table((("a", "b"), ("one\ntwo",))))
    assert text == "| a | b |\n| --- | --- |\n| one two |  |"
    assert parse_table(text) == Table((("a", "b"), ("one two", "")))


def test_every_piece_of_a_long_table_has_its_caption_and_header() -> None:
    rows = tuple((f"Element {n}", str(n)) for n in range(50))
    text = markdown_table(Table((("Element", "Number"), *rows), caption="Table 2"))
    pieces = split_table(text, 200)
    assert len(pieces) > 3
    assert all(len(piece) <= 200 for piece in pieces)
    tables = [parse_table(piece) for piece in pieces]
    assert all(t and t.caption == "Table 2" and t.rows[0] == ("Element", "Number") for t in tables)
    assert [row for t in tables if t for row in t.body] == list(rows)


def test_prose_is_no_table() -> None:
    assert parse_table("a | b\nc | d") is None
    assert row_statements("A sentence.") == []


def test_the_tables_of_a_text_are_found_between_its_lines() -> None:
    text = f"Before.\n{markdown_table(HALOGENS)}\nAfter | it."
    before, caption, table, after = text_parts(text)
    assert (before, caption, after) == ("Before.", "Table 1 Halogens", "After | it.")
    assert table == Table(HALOGENS.rows)


def test_the_rows_of_a_text_become_sentences() -> None:
    table = markdown_table(Table((("Gas", "Colour"), ("Neon", "none"), ("Helium", "None at all."))))
    assert statement_text(f"They glow.\n{table}") == (
        "They glow.\nNeon: Colour none.\nHelium: Colour None at all."
    )
    assert statement_text("a | b\nc | d") == "a | b\nc | d"


def test_a_cell_over_the_whole_row_is_stated_once() -> None:
    table = Table((("Metal", "K"), ("Light metals", "Light metals"), ("Lithium", "454")))
    assert row_statements(markdown_table(table)) == ["Light metals", "Lithium: K 454"]


def test_typed_rows_of_any_length_lose_nothing() -> None:
    text = "| Gas | K |\n| --- | --- |\n| Neon |\n| Argon | 87 | noble |\n|  |"
    assert parse_table(text) == Table(
        (("Gas", "K", ""), ("Neon", "", ""), ("Argon", "87", "noble"), ("", "", ""))
    )
    assert row_statements(text) == ["Neon", "Argon: K 87; noble"]
