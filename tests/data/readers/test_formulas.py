"""Formulas in running text and in MathML: found, and never changed."""

from __future__ import annotations

import pytest
from lxml import etree

from data.readers.formulas import normalise_formulas, scripts, subscript, superscript
from data.readers.mathml import to_latex

STACK = '<mfrac linethickness="0"><mi>n</mi><mi>k</mi></mfrac>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            r"$\cos x$ and $\lim_{n\to\infty} \log n$",
            r"\(\cos x\) and \(\lim_{n\to\infty} \log n\)",
        ),
        (r"$x \text{ if } y$", r"\(x \text{ if } y\)"),
        ("$$PV$$ and $$F = ma$$", r"\[PV\] and \[F = ma\]"),
        (
            r"\begin{align*}a &= b \\ c\end{align*}",
            r"\[\begin{align*}a &= b \\ c\end{align*}\]",
        ),
    ],
)
def test_formulas_are_found(text: str, expected: str) -> None:
    assert normalise_formulas(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "prices from $$ to $$ and $$$",
        "$$ (cheap) to $$ (dear)",
        "it costs $5 to $10, or $1.50/kg, $2/kg",
        "US$ 5, C$ 7, 5$ or 6$",
        "$5 million and $6 million",
        r"\begin{itemize}\end{itemize}",
    ],
)
def test_money_is_no_formula(text: str) -> None:
    assert normalise_formulas(text) == text


@pytest.mark.parametrize(
    ("mathml", "latex"),
    [
        (
            '<mo>(</mo><mfrac linethickness="0"><mi>n</mi><mi>k</mi></mfrac><mo>)</mo>',
            r"\binom{n}{k}",
        ),
        (
            '<mfenced><mfrac linethickness="0pt"><mi>n</mi><mi>k</mi></mfrac></mfenced><mi>p</mi>',
            r"\binom{n}{k}p",
        ),
        ("<mo>(</mo><mfrac><mi>a</mi><mi>b</mi></mfrac><mo>)</mo>", r"\left(\frac{a}{b}\right)"),
        (
            f"<mo>(</mo><mi>a</mi><mo>+</mo>{STACK}<mo>)</mo>",
            r"(a + {n \atop k})",
        ),
    ],
)
def test_a_binomial_is_no_fraction(mathml: str, latex: str) -> None:
    assert to_latex(etree.fromstring(f"<math>{mathml}</math>")) == latex


def test_raised_and_lowered_type() -> None:
    assert (superscript("8"), superscript("n+1"), superscript("th")) == ("^8", "^{n+1}", "th")
    assert (subscript("2"), subscript("x,1")) == ("2", "_{x,1}")
    assert scripts("4", "2−") == "_4^{2-}"
