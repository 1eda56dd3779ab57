"""Formulas become MathML. Text of a document never becomes a tag or an address."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.formulas import text_to_html

MATHML = (
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover "
    "munderover mtable mtr mtd mstyle mpadded mphantom menclose mmultiscripts mprescripts none "
    "semantics annotation code"
).split()


class TagCollector(HTMLParser):
    """Collects the tags and the text of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("formula", "display"),
    [
        (r"\(T = 2\pi\sqrt{L/g}\)", "inline"),
        (r"\[T = 2\pi\sqrt{L/g}\]", "block"),
        (r"$T = 2\pi\sqrt{L/g}$", "inline"),
        (r"$$T = 2\pi\sqrt{L/g}$$", "block"),
    ],
)
def test_every_notation_becomes_mathml(formula: str, display: str) -> None:
    collector = TagCollector(text_to_html(f"The period is {formula} here."))
    assert collector.tags[0] == (
        "math",
        {"xmlns": collector.tags[0][1]["xmlns"], "display": display},
    )
    assert "msqrt" in [tag for tag, _ in collector.tags]
    assert collector.text.startswith("The period is ")


def test_less_than_is_text() -> None:
    collector = TagCollector(text_to_html(r"for \(a < b\) and x < y"))
    assert "<" in collector.text
    assert all(tag in MATHML for tag, _ in collector.tags)


def test_an_incomplete_formula_stays_as_written() -> None:
    assert text_to_html(r"so \(T = 2\pi") == r"so \(T = 2\pi"


def test_prices_are_not_formulas() -> None:
    assert "math" not in text_to_html("It costs $5 and then $6 more.")


@pytest.mark.parametrize(
    "planted",
    [
        "<script>alert(1)</script>",
        r"\(\text{<img src=x onerror=alert(1)>}\)",
        r"\(\href{javascript:alert(1)}{x}\)",
        r"\(\style{background:url(//x)}{x}\)",
        r"\(</math><script>alert(1)</script>\)",
        r"\(\text{&lt;script&gt;}\)",
        "{{constructor}} ${1}",
    ],
)
def test_documents_add_no_tags_and_no_addresses(planted: str) -> None:
    html = text_to_html(planted)
    for tag, attributes in TagCollector(html).tags:
        assert tag in MATHML
        assert not {"href", "style", "src"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert "{{" not in html


@given(st.text(alphabet=r"\()[]$<>&{}^_abxtextfrac 123'\"", max_size=60))
def test_any_text_is_safe(text: str) -> None:
    for tag, attributes in TagCollector(text_to_html(text)).tags:
        assert tag in MATHML
        assert not {"href", "style", "src"} & set(attributes)
