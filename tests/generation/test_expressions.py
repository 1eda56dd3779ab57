"""Formulas as mathematics: equal results, and texts that the parser must not see."""

from __future__ import annotations

import pytest

from generation.expressions import results, same
from generation.scoring import short_answer


@pytest.mark.parametrize(
    ("text", "solution", "equal"),
    [
        ("So a = F/m.", r"Solving gives \(a = \frac{F}{m}\).", True),
        ("So a = m/F.", r"Solving gives \(a = \frac{F}{m}\).", False),
        (r"\[v = \sqrt{2gh}\]", r"\(v = (2 g h)^{1/2}\)", True),
        (r"\(E = mgh\)", r"\(E = m \cdot g \cdot h\)", True),
        (r"\(T = 2\pi\sqrt{\frac{L}{g}}\)", r"\(T = 2 \pi \sqrt{L/g}\)", True),
        (r"\(T = 2\pi\sqrt{\frac{g}{L}}\)", r"\(T = 2 \pi \sqrt{L/g}\)", False),
        (r"\(F_2 = F_1 \frac{A_2}{A_1}\)", r"\(F_2 = \frac{F_1 A_2}{A_1}\)", True),
        ("x = a + b", "x = b + a", True),
    ],
)
def test_results_are_compared_as_mathematics(text: str, solution: str, equal: bool) -> None:
    (result,) = results(solution)
    assert any(same(result, other) for other in results(text)) is equal
    assert short_answer(text, solution) is equal


@pytest.mark.parametrize(
    "text",
    [
        "x = __import__('os').getpid()",
        r"\(x = ().__class__\)",
        "x = lambda: 1",
        "It rains.",
        r"\(v = \sqrt{2gh} = 14 \text{ m/s}\)",
        "v = 14 m/s",
        r"\(x = \)",
        r"\(x = \frac{1}{\)",
        "x = " + "9**" * 200 + "9",
        "x = a*9**9**9**9",
        "x = a**123456789",
        r"\(\vec{F} = m\vec{a}\)",
    ],
)
def test_text_that_is_no_formula_is_left_out(text: str) -> None:
    assert results(text) == []
