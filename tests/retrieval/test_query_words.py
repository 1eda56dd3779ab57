"""The words of a query: folded characters, other names of units, and words with one slip."""

from __future__ import annotations

import pytest

from retrieval.bm25 import Bm25
from retrieval.spelling import is_in_dictionary, similar_words, vocabulary

BM25 = Bm25()


def common_words(query: str, text: str) -> int:
    """Return how many words of a text the query finds."""
    return len(
        {*BM25.encode_query(query).indices} & {*BM25.encode_document(text).indices},
    )


@pytest.mark.parametrize(
    ("query", "text", "words"),
    [
        ("H2O", "Water is H₂O.", 1),
        ("H₂O", r"Water is \(\text{H}_2\text{O}\).", 1),
        ("47 ohm", "It has 47 Ω.", 2),
        ("47 Ω", "It has 47 ohms.", 2),
        ("10 uF", "A capacitor of 10 µF", 2),
        ("10 microfarads", "A capacitor of 10 μF", 2),
        ("589nm", "The line is at 589 nm.", 2),
        ("589 nm", "The line is at 589nm.", 2),
        ("5 litres", "A volume of 5 l", 2),
        ("m/s^2", "It falls with 9.81 m/s².", 1),
        ("47 ohm", "A current of 47 A", 1),
    ],
)
def test_a_query_finds_other_ways_to_write_it(query: str, text: str, words: int) -> None:
    assert common_words(query, text) == words


def test_only_a_word_behind_a_number_is_a_unit() -> None:
    assert BM25.unit_synonyms("the second law, 3 apples, 10 in a row, H2O, 47 ohm") == {
        "ohm": ("Ω",)
    }


def test_one_slip_is_found() -> None:
    words = ["photosynthesis", "photosystem", "enzyme", "enzymes", "photosyntheses"]
    for slip in ("photosyntesis", "photosynnthesis", "photosinthesis", "photosynthseis"):
        assert similar_words(slip, words) == ["photosynthesis"]
    assert similar_words("fotosintesis", words) == []
    assert sorted(similar_words("enzime", words)) == ["enzyme"]


def test_the_vocabulary_holds_words_that_are_long_enough() -> None:
    text = r"Boil \(\frac{1}{2}\) of the ﬁltered H₂O; Photosynthesis needs 10µmol."
    assert vocabulary(text) == {"filtered", "photosynthesis", "needs"}


def test_the_dictionary_knows_terms_of_science_and_no_slips() -> None:
    assert all(map(is_in_dictionary, ("boron", "boson", "cation", "alkene", "enthalpy")))
    assert not is_in_dictionary("photosyntesis")
