"""Scores of answers: coverage, numbers, ROUGE-L, results of exercises."""

from __future__ import annotations

import pytest

from generation.scoring import SUPPORTED, coverage, numbers_missing, rouge_l, short_answer

CELL = (
    "Galvanic cells\nZinc is oxidised at the anode and copper is reduced at the cathode. "
    "Electrons flow through the wire from the anode to the cathode.\nThe salt bridge keeps both "
    "solutions neutral."
)


@pytest.mark.parametrize(
    ("text", "supported"),
    [
        ("Zinc is oxidised at the anode.", True),
        ("At the anode, zinc is oxidised, and electrons flow to the cathode.", True),
        ("Copper is oxidised at the cathode and zinc reduced at the anode.", False),  # swapped
        ("The anode attracts gold ions with a strong magnetic field.", False),
        ("It is.", True),
    ],
)
def test_one_place_of_the_source_covers_a_sentence_in_its_order(text: str, supported: bool) -> None:
    assert (coverage(text, [CELL]) >= SUPPORTED) is supported


def test_a_claim_without_sources_is_not_covered() -> None:
    assert coverage("Zinc is oxidised.", []) == 0.0


@pytest.mark.parametrize(
    ("text", "missing", "count"),
    [
        ("It takes 2.0 s and covers 9.8 m.", 0, 2),
        ("It takes 2 seconds.", 0, 1),
        ("It takes 3 s.", 1, 1),
        ("It takes 2.0 kg.", 1, 1),
        ("It takes a while.", 0, 0),
    ],
)
def test_numbers_that_no_source_has(text: str, missing: int, count: int) -> None:
    assert numbers_missing(text, ["A fall of 9.8 m takes 2.0 s."]) == (missing, count)


def test_rouge_l_has_the_value_of_lins_example() -> None:
    # LCS `police the gunman` of 4 and 4 words, after stemming
    assert rouge_l("police ended the gunman", "police kill the gunman") == pytest.approx(0.75)
    assert rouge_l("", "police kill the gunman") == 0.0


@pytest.mark.parametrize(
    ("text", "solution", "right"),
    [
        ("The speed is 4.43 m/s.", r"\(v = \sqrt{2gh} = 4.427 \text{m/s}\)", True),
        ("The speed is 5 m/s.", r"\(v = \sqrt{2gh} = 4.427 \text{m/s}\)", False),
        ("It is 12 N.", "12 N", True),
        ("Yes.", "It stays the same.", None),
        ("2", "Between 2 and 5 days, in general.", None),
    ],
)
def test_results_of_exercises(text: str, solution: str, right: bool | None) -> None:
    assert short_answer(text, solution) is right
