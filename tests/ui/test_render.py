"""The HTML of a conversation: citations, sources, figures, refusals, and nothing unescaped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ui import library, render
from unirag.indexing.jobs import Job


def hit(name: str, kind: str = "passage", **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "kind": kind,
        "title": f"Title of {name}",
        "text": f"Text of {name}",
        "image": f"/v1/assets/{name}" if kind == "figure" else None,
        "corpus": "book",
        "section": ["Chapter", "Section"],
        "source": "book: a.md",
        "licence": "CC BY 4.0",
        "attribution": "Somebody",
        "channels": {"image": 0.5 if kind == "figure" else None, "text": 0.5, "bm25": 1.0},
        **more,
    }


def answer(**more: Any) -> dict[str, Any]:
    return {
        "query": "Why?",
        "hits": [hit("p"), hit("f", "figure"), hit("g", "figure", section=["Other"])],
        "sentences": [
            {"text": "It falls.", "citations": ["f", "p"], "support": 0.9},
            {"text": "It rises.", "citations": ["p"], "support": 0.9},
        ],
        "answer": "It falls. It rises.",
        "styles": {},
        "experts": [],
        "refused": False,
        "quoted": False,
        **more,
    }


def test_citations_are_numbered_in_the_order_of_their_sentences() -> None:
    shown = render.turn("c", "Why?", [], answer())
    assert re.findall(r'class="cite" data-open="(\w)".*?>(\d)<', shown) == [
        ("f", "1"),
        ("p", "2"),
        ("p", "2"),
    ]
    assert re.findall(r'<li class="card" data-item="(\w)"', shown) == ["f", "p"]


def test_what_is_quoted_stands_in_quotation_marks() -> None:
    said = [("It falls.", True), ("It rises.", False), ("It is \\[x = 1\\]", True)]
    sentences = [
        {"text": text, "citations": ["p"], "support": 1.0, "quoted": quoted}
        for text, quoted in said
    ]
    lines = re.findall(
        r'<p class="sentence".*?</p>',
        render.turn("c", "Why?", [], answer(sentences=sentences)),
        re.DOTALL,
    )
    assert "<q>It falls.</q>" in lines[0]
    assert "<q" not in lines[1]
    assert '<q class="open">It is ' in lines[2]


def test_a_cited_figure_stands_beside_its_sentence() -> None:
    lines = re.findall(r'<p class="sentence".*?</p>', render.turn("c", "Why?", [], answer()))
    assert "/v1/assets/f/thumbnail" in lines[0]
    assert "<img" not in lines[1]


def test_figures_of_other_chapters_are_shown_where_they_are_like_the_picture_that_asked() -> None:
    words = render.turn("c", "Why?", [], answer())
    picture = render.turn("c", "", ["/p"], answer(styles={"sketch": 0.9}, experts=[0.4, 0.6]))
    assert 'data-item="g"' not in words
    assert 'data-item="g"' in picture
    unlike = answer(styles={"sketch": 0.9})
    unlike["hits"][2]["channels"] = {"image": 0.1}
    assert 'data-item="g"' not in render.turn("c", "", ["/p"], unlike)
    assert "looks like <b>sketch</b> (90%)" in picture.replace("\n", "")
    assert picture.count("Expert ") == 2


def test_a_refusal_shows_the_nearest_material_and_no_explanation() -> None:
    shown = render.turn("c", "Why?", [], answer(refused=True, sentences=[]))
    assert "No evidence in your books" in shown
    assert "Nearest material" in shown
    assert 'class="sentence"' not in shown


def test_what_documents_say_is_text() -> None:
    planted = '<img src=x onerror="alert(1)">'
    bad = hit(
        "p", title=planted, text=planted, source=planted, licence=planted, attribution=planted,
        section=[planted], corpus=planted,
    )  # fmt: skip
    made = answer(
        hits=[bad],
        sentences=[{"text": planted, "citations": ["p"], "support": 1.0}],
        styles={planted: 1.0},
    )
    shown = render.turn("c", planted, [], made) + render.suggestions(
        answer(hits=[bad], sentences=[])
    )
    assert "<img src=x" not in shown
    assert not re.search(r"<[^>]*onerror=\"", shown)


def test_a_shortened_quote_never_ends_inside_a_formula() -> None:
    text = "word " * 48 + r"and \(" + "x + " * 40 + r"y\) end"
    shown = render.sources([hit("p", text=text)], "Sources")
    quote = re.search(r'class="quote">(.*?)</span>', shown)
    assert quote
    assert "\\(" not in quote[1]
    assert quote[1].endswith("…")


def test_suggestions_offer_other_tasks_and_what_was_not_cited() -> None:
    offered = re.findall(r'data-ask="(.*?)" data-task="(\w+)"', render.suggestions(answer()))
    assert ("Why?", "quiz") in offered
    extra = answer(hits=[*answer()["hits"], hit("q", title="Friction")])
    assert ("Explain: Friction", "explain") in re.findall(
        r'data-ask="(.*?)" data-task="(\w+)"', render.suggestions(extra)
    )
    assert "Step by step" not in render.suggestions(answer(refused=True, sentences=[]))


def test_an_answer_that_was_never_whole_says_so() -> None:
    assert "No answer was made" in render.turn("c", "Why?", [], None)
    assert "Searching" in render.turn("c", "Why?", [], None, "Searching")


def test_jobs_show_progress_dead_letters_and_a_way_to_stop() -> None:
    def job(state: Any, **more: Any) -> Job:
        fields: dict[str, Any] = {"report": None, "ended": None, "message": "", **more}
        return Job("id", "o", "book", Path("/x"), state, created=0.0, **fields)

    shown = library.jobs([job("running", documents=3, total=8)])
    assert "3 of 8 documents" in shown
    assert "left" not in shown
    late = library.jobs([job("running", documents=3, total=8, failed=2, seconds_left=200.0)])
    assert "3 of 8 documents, 2 left out, about 3 min left" in late
    assert 'data-cancel="id"' in shown
    dead = [{"source": "<b>.pdf", "anchor": "", "message": "broken; save it again"}]
    partly = library.jobs(
        [job("partly", report={"figures": 2, "passages": 9, "dead_letters": dead})]
    )
    assert "1 document left out" in partly
    assert "&lt;b&gt;.pdf: broken; save it again" in partly
    assert "data-cancel" not in partly


def test_a_failure_stands_below_what_was_said_so_far() -> None:
    shown = render.turn("c", "Why?", [], answer(), failed="12 requests are waiting")
    assert shown.index("It falls.") < shown.index("12 requests are waiting")
    assert 'role="alert"' in shown
    assert 'role="status"' not in shown
