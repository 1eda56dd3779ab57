"""Office formulas (OMML) as LaTeX, element by element."""

from __future__ import annotations

import pytest
from lxml import etree

from data.readers.omml import latex_of

NAMESPACE = "http://schemas.openxmlformats.org/officeDocument/2006/math"


def latex(markup: str) -> str:
    return latex_of(etree.fromstring(f'<m:oMath xmlns:m="{NAMESPACE}">{markup}</m:oMath>'))


def r(text: str, properties: str = "") -> str:
    style = f"<m:rPr>{properties}</m:rPr>" if properties else ""
    return f'<m:r>{style}<m:t xml:space="preserve">{text}</m:t></m:r>'


def e(markup: str, tag: str = "e") -> str:
    return f"<m:{tag}>{markup}</m:{tag}>"


def fraction(kind: str, above: str, below: str) -> str:
    settings = f'<m:fPr><m:type m:val="{kind}"/></m:fPr>'
    return f"<m:f>{settings}{e(r(above), 'num')}{e(r(below), 'den')}</m:f>"


def function(name: str, argument: str) -> str:
    return f"<m:func>{e(name, 'fName')}{e(argument)}</m:func>"


UPRIGHT = '<m:sty m:val="p"/>'
LIMIT = f"<m:limLow>{e(r('lim', UPRIGHT))}{e(r('n→∞'), 'lim')}</m:limLow>"
MATRIX = f"<m:m><m:mr>{e(r('a'))}{e(r('b'))}</m:mr><m:mr>{e(r('c'))}{e(r('d'))}</m:mr></m:m>"


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        (fraction("bar", "a", "b"), r"\frac{a}{b}"),
        (fraction("lin", "a", "b"), "a/b"),
        (f"<m:d>{e(fraction('noBar', 'n', 'k'))}</m:d>", r"\binom{n}{k}"),
        (f"<m:d>{e(fraction('noBar', 'n', 'k') + r('+1'))}</m:d>", r"({n \atop k} + 1)"),
        (function(r("cos"), r("x")), r"\cos x"),
        (function(r("c") + r("os"), r("x")), r"\cos x"),
        (function(LIMIT, r("x")), r"\lim_{n \to \infty}x"),
        (function(r("sinc"), r("x")), r"\mathrm{sinc}x"),
        (r("2sin x"), r"2\sin x"),
        (r("Pr"), "Pr"),
        (f"<m:d>{e(MATRIX)}</m:d>", r"\left(\begin{matrix}a & b \\ c & d\end{matrix}\right)"),
        (r("5 kg"), r"5\ kg"),
        (r("rate if known", "<m:nor/>"), r"\text{rate if known}"),
        (f"<m:sSub>{e(r('v'))}{e(r('x', '<m:nor/>'), 'sub')}</m:sSub>", "v_x"),
        (r("x") + r("^") + r("2"), "x^2"),
        (f"<m:sPre>{e(r('6'), 'sub')}{e(r('14'), 'sup')}{e(r('C'))}</m:sPre>", "{}_6^{14}C"),
        (f"<m:borderBox>{e(r('x'))}</m:borderBox>", r"\boxed{x}"),
        (
            "<m:phant><m:phantPr><m:show m:val='0'/></m:phantPr>"
            + e(r("x"))
            + "</m:phant>"
            + r("y"),
            "y",
        ),
        (
            f"<m:acc><m:accPr><m:chr m:val='\u030c'/></m:accPr>{e(r('s'))}</m:acc>",
            r"\check{s}",
        ),
        (
            f"<m:nary><m:naryPr><m:chr m:val='⋀'/></m:naryPr>{e(r('i'), 'sub')}<m:sup/>"
            f"{e(r('x'))}</m:nary>",
            r"\bigwedge_ix",
        ),
        (
            f"<m:nary><m:naryPr><m:subHide m:val='1'/></m:naryPr>{e(r('i'), 'sub')}<m:sup/>"
            f"{e(r('x'))}</m:nary>",
            r"\int x",
        ),
    ],
)
def test_each_element_becomes_latex(markup: str, expected: str) -> None:
    assert latex(markup) == expected
