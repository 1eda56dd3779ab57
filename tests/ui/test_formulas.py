"""Formulas become MathML, and nothing that a document says becomes a tag."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.formulas import html

MATHML = (
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover "
    "munderover mtable mtr mtd mstyle mpadded mphantom menclose mmultiscripts mprescripts none "
    "semantics annotation code"
).split()


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("written", "display"),
    [
        (r"\(T = 2\pi\sqrt{L/g}\)", "inline"),
        (r"\[T = 2\pi\sqrt{L/g}\]", "block"),
        (r"$T = 2\pi\sqrt{L/g}$", "inline"),
        (r"$$T = 2\pi\sqrt{L/g}$$", "block"),
    ],
)
def test_every_spelling_is_drawn(written: str, display: str) -> None:
    tags = Tags(html(f"The period is {written} here."))
    assert tags.found[0] == ("math", {"xmlns": tags.found[0][1]["xmlns"], "display": display})
    assert "msqrt" in [tag for tag, _ in tags.found]
    assert tags.text.startswith("The period is ")


def test_less_than_is_a_sign() -> None:
    tags = Tags(html(r"for \(a < b\) and x < y"))
    assert "<" in tags.text
    assert all(tag in MATHML for tag, _ in tags.found)


def test_an_unfinished_formula_stands_as_it_is() -> None:
    assert html(r"so \(T = 2\pi") == r"so \(T = 2\pi"


def test_money_is_no_formula() -> None:
    assert "math" not in html("It costs $5 and then $6 more.")


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
def test_documents_bring_no_tags_and_no_addresses(planted: str) -> None:
    made = html(planted)
    for tag, attributes in Tags(made).found:
        assert tag in MATHML
        assert not {"href", "style", "src"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert "{{" not in made


@given(st.text(alphabet=r"\()[]$<>&{}^_abxtextfrac 123'\"", max_size=60))
def test_any_text_is_safe(text: str) -> None:
    for tag, attributes in Tags(html(text)).found:
        assert tag in MATHML
        assert not {"href", "style", "src"} & set(attributes)
