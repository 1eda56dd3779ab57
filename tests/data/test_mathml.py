"""MathML to LaTeX: expected formulas, and every formula in a sample of real modules."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from lxml import etree

from data.readers.mathml import to_latex

CORPORA = Path(
    os.environ.get(
        "UNIRAG_TEST_CORPORA", Path(__file__).resolve().parents[2].parent / "shared" / "corpora"
    )
)


def latex(children: str) -> str:
    return to_latex(etree.fromstring(f"<math>{children}</math>"))


EXPECTED = {
    # split numbers, and their units
    "<mn>2</mn><mo>.</mo><mtext>00</mtext><mspace width='0.2em'/><mtext>m/s</mtext>": (
        r"2.00\,\text{m/s}"
    ),
    "<mtext>7.5 kg</mtext>": r"7.5\text{ kg}",
    "<mn>12</mn><mo>,</mo><mn>500</mn>": "12,500",
    "<mo>(</mo><mn>3</mn><mo>,</mo><mn>4</mn><mo>)</mo>": "(3, 4)",
    "<mtext>25 °C</mtext>": r"25\ °\text{C}",
    "<msup><mn>90</mn><mo>∘</mo></msup>": "90°",
    # spaces around infix operators only
    "<mi>p</mi><mi>V</mi><mo>=</mo><mi>n</mi><mi>R</mi><mi>T</mi>": "pV = nRT",
    "<mo>−</mo><mi>x</mi><mo>+</mo><mi>y</mi>": "-x + y",
    "<mi>a</mi><mo>=</mo><mo>−</mo><mi>b</mi>": "a = -b",
    "<mi>Δ</mi><mi>x</mi><mo>×</mo><mi>π</mi>": r"\Delta x \times \pi",
    "<mi>f</mi><mo>∘</mo><mi>g</mi>": r"f \circ g",
    # functions
    "<mi>sin</mi><mi>θ</mi>": r"\sin\theta",
    "<mi>ln</mi><mspace width='0.2em'/><mi>x</mi>": r"\ln x",
    "<munder><mi>lim</mi><mrow><mi>x</mi><mo>→</mo><mn>0</mn></mrow></munder><mi>x</mi>": (
        r"\lim_{x \to 0}x"
    ),
    "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover>": (
        r"\sum_{i = 1}^n"
    ),
    # scripts
    "<msubsup><mi>v</mi><mtext>f</mtext><mn>2</mn></msubsup>": r"v_{\text{f}}^2",
    "<msup><mrow><mi>a</mi><mi>b</mi></mrow><mn>2</mn></msup>": "{ab}^2",
    "<msup><mrow><mo>(</mo><mi>a</mi><mo>)</mo></mrow><mn>12</mn></msup>": "(a)^{12}",
    "<msup><mi>f</mi><mo>′</mo></msup>": "f'",
    "<msup><msup><mi>f</mi><mo>′</mo></msup><mn>2</mn></msup>": "{f'}^2",
    "<msub><mtext>SO</mtext><mn>4</mn></msub><msup><mrow/><mtext>2−</mtext></msup>": (
        r"\text{SO}_4^{2-}"
    ),
    "<mmultiscripts><mtext>U</mtext><mprescripts/><mn>92</mn><mn>238</mn></mmultiscripts>": (
        r"{}_{92}^{238}\text{U}"
    ),
    # accents, arrows, fractions, roots
    "<mover accent='true'><mi>F</mi><mo>→</mo></mover>": r"\vec{F}",
    "<mover><mrow><mi>A</mi><mi>B</mi></mrow><mo>¯</mo></mover>": r"\overline{AB}",
    "<mover><mo>⟶</mo><mtext>heat</mtext></mover>": r"\xrightarrow{\text{heat}}",
    "<munder><mi>x</mi><mo>⏟</mo></munder>": r"\underbrace{x}",
    "<mo>(</mo><mfrac><mn>1</mn><mi>n</mi></mfrac><mo>)</mo>": r"\left(\frac{1}{n}\right)",
    "<mo>[</mo><mfrac><mn>1</mn><mi>n</mi></mfrac><mo>,</mo><mn>1</mn><mo>)</mo>": (
        r"[\frac{1}{n}, 1)"
    ),
    "<mfrac bevelled='true'><mn>1</mn><mn>2</mn></mfrac>": "1/2",
    "<mfrac linethickness='0'><mi>n</mi><mi>k</mi></mfrac>": r"{n \atop k}",
    "<mroot><mi>x</mi><mn>3</mn></mroot><msqrt><mn>2</mn><mi>x</mi></msqrt>": (
        r"\sqrt[3]{x}\sqrt{2x}"
    ),
    # tables
    "<mo>[</mo><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr></mtable><mo>]</mo>": (
        r"\left[\begin{matrix}1 & 0\end{matrix}\right]"
    ),
    "<mo>{</mo><mtable><mtr><mtd><mi>x</mi></mtd></mtr><mtr><mtd><mi>y</mi></mtd></mtr></mtable>": (
        r"\begin{cases}x \\ y\end{cases}"
    ),
    # text, bold, strikes, fences, unknown and content elements
    "<mtext>if </mtext><mi>x</mi><mtext> &amp; 5%</mtext>": r"\text{if }x\ \&\ 5\%",
    "<mstyle mathvariant='bold'><mi>v</mi></mstyle>": r"\mathbf{v}",
    "<menclose notation='updiagonalstrike'><mi>kg</mi></menclose>": r"\cancel{kg}",
    "<mfenced open='[' close=')'><mi>a</mi><mi>b</mi></mfenced>": "[a, b)",
    "<mphantom><mn>0</mn></mphantom><mystery><mn>1</mn></mystery><ci>x</ci>": "1x",
    "<mrow/>": "",
}


@pytest.mark.parametrize(("mathml", "expected"), EXPECTED.items())
def test_formulas(mathml: str, expected: str) -> None:
    assert latex(mathml) == expected


def test_namespace_and_prefix_do_not_matter() -> None:
    namespace = "http://www.w3.org/1998/Math/MathML"
    prefixed = (
        f"<m:math xmlns:m='{namespace}'><m:msup><m:mi>x</m:mi><m:mn>2</m:mn></m:msup></m:math>"
    )
    assert to_latex(etree.fromstring(prefixed)) == "x^2"


@pytest.mark.parametrize("name", ["msub", "msup", "msubsup", "mfrac", "mroot", "mover", "munder"])
def test_missing_arguments_do_not_raise(name: str) -> None:
    assert is_balanced(latex(f"<{name}/>"))
    assert "x" in latex(f"<{name}><mi>x</mi></{name}>")


def is_balanced(text: str) -> bool:
    depth = 0
    for character in re.sub(r"\\[{}\\]", "", text):
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    lefts = len(re.findall(r"\\left(?![a-z])", text))
    return depth == 0 and lefts == len(re.findall(r"\\right(?![a-z])", text))


@pytest.mark.skipif(not CORPORA.is_dir(), reason=f"no corpora at {CORPORA}")
def test_every_formula_of_sampled_modules_converts() -> None:
    modules = sorted(CORPORA.glob("*/modules/*/index.cnxml"))[::40]
    assert modules
    converted = 0
    for module in modules:
        for math in etree.parse(module).iter("{http://www.w3.org/1998/Math/MathML}math"):
            result = to_latex(math)
            assert is_balanced(result), result
            assert not re.search(r"[−×≤≥→α-ωΓΔΘΛΞΠΣΦΨΩ∫∑]", result), result
            converted += 1
    assert converted > 1_000
