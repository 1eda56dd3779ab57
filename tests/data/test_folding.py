"""Raised, lowered and compatibility characters become plain ones; numbers stay as they are."""

import pytest

from data.folding import fold


@pytest.mark.parametrize("text", ["H₂O", "H_2O", "H_{2}O", r"\text{H}_2\text{O}", "Ｈ２Ｏ"])
def test_every_way_to_write_water_is_one_word(text: str) -> None:
    assert fold(text) == "H2O"


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("SO₄²⁻", "SO42-"),
        ("SO_4^{2-}", "SO42-"),
        ("Fe^{3+} and Fe³⁺", "Fe3+ and Fe3+"),
        ("9.81 m/s², m/s^2", "9.81 m/s2, m/s2"),
        ("kg s⁻¹", "kg s-1"),
        ("10⁸ and 10^8 and 3×10^{8}", "10^8 and 10^8 and 3×10^{8}"),
        ("2½", "2 1⁄2"),
        ("10 µF", "10 μF"),
        ("47 \u2126", "47 Ω"),
        ("ﬁre", "fire"),
        ("a_n and snake_case", "a_n and snake_case"),
        ("El Niño, Schrödinger", "El Niño, Schrödinger"),
    ],
)
def test_indices_join_their_letter_and_powers_keep_their_sign(text: str, folded: str) -> None:
    assert fold(text) == folded
