"""The HTML of conversations and of the library. Nothing in it is unescaped."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data.tables import Table, markdown_table
from ui import library, render
from ui.live_turn import LiveTurn
from ui.source_cards import source_cards
from unirag.api.errors import TooBusy, TooSlow
from unirag.indexing.jobs import Job
from unirag.schemas import AnswerTurnOut, ConversationOut, HitOut, SearchTurnOut, SentenceOut


def make_hit(item_id: str, kind: str = "passage", **changes: Any) -> HitOut:
    is_figure = kind == "figure"
    fields = {
        "id": item_id,
        "kind": kind,
        "title": f"Title of {item_id}",
        "text": f"Text of {item_id}",
        "image": f"/v1/assets/{item_id}" if is_figure else None,
        "corpus": "book",
        "section": ["Chapter", "Section"],
        "source": "book: a.md",
        "licence": "CC BY 4.0",
        "attribution": "Somebody",
        "score": 1.0,
        "channels": {"image": 0.5 if is_figure else None, "text": 0.5, "bm25": 1.0},
    }
    return HitOut.model_validate({**fields, **changes})


def make_sentence(text: str, cited: dict[str, int], *, quoted: bool = False) -> SentenceOut:
    """Return a sentence; `cited` holds the citation number of each cited item."""
    return SentenceOut(
        text=text,
        citations=list(cited),
        numbers=list(cited.values()),
        support=0.9,
        quoted=quoted,
    )


def make_search(**changes: Any) -> SearchTurnOut:
    fields = {
        "query": "Why?",
        "hits": [
            make_hit("p"),
            make_hit("f", "figure"),
            make_hit("g", "figure", section=["Other"]),
        ],
        "no_good_match": False,
        "styles": {},
        "experts": [],
        "timings_ms": {},
        "conversation": "c",
        "turn": 1,
    }
    return SearchTurnOut.model_validate({**fields, **changes})


SENTENCES = [
    make_sentence("It falls.", {"f": 1, "p": 2}),
    make_sentence("It rises.", {"p": 2}),
]


def make_answer(**changes: Any) -> AnswerTurnOut:
    fields = {
        **make_search().model_dump(),
        "task": "explain",
        "level": "school",
        "answer": "It falls. It rises.",
        "sentences": SENTENCES,
        "references": ["f", "p"],
        "quoted": False,
        "refused": False,
    }
    return AnswerTurnOut.model_validate({**fields, **changes})


REFUSAL = {
    "refused": True,
    "sentences": [],
    "references": ["p", "f"],
    "answer": "There is no evidence.",
}


def citations_in(html: str) -> list[tuple[str, str]]:
    return re.findall(r'class="cite" data-open="(\w)".*?>(\d)<', html)


def cards_in(html: str) -> list[str]:
    return re.findall(r'<li class="card" data-item="(\w)"', html)


def sentences_in(html: str) -> list[str]:
    return re.findall(r'<p class="sentence".*?</p>', html, re.DOTALL)


def suggestions_in(html: str) -> list[tuple[str, str]]:
    """Return the question and the task of each suggestion."""
    buttons = re.findall(r'data-task="(\w+)" data-ask="([^"]*)"', html)
    return [(question, task) for task, question in buttons]


def test_citations_and_sources_carry_the_numbers_of_the_answer() -> None:
    html = render.complete_answer(make_answer())
    assert citations_in(html) == [("f", "1"), ("p", "2"), ("p", "2")]
    assert cards_in(html) == ["f", "p"]


def test_a_partial_answer_lists_the_sources_of_its_sentences() -> None:
    html = render.partial_answer(make_search(), SENTENCES[:1])
    assert citations_in(html) == [("f", "1"), ("p", "2")]
    assert cards_in(html) == ["f", "p"]
    assert "More figures" not in html
    assert render.partial_answer(make_search(), []) == ""


def test_quotations_stand_in_quotation_marks() -> None:
    sentences = [
        make_sentence("It falls.", {"p": 1}, quoted=True),
        make_sentence("It rises.", {"p": 1}),
        make_sentence("It is \\[x = 1\\]", {"p": 1}, quoted=True),
    ]
    html = render.complete_answer(make_answer(sentences=sentences, references=["p"]))
    first, second, third = sentences_in(html)
    assert "<q>It falls.</q>" in first
    assert "<q" not in second
    assert '<q class="open">It is ' in third


def test_a_cited_figure_stands_beside_its_sentence() -> None:
    first, second = sentences_in(render.complete_answer(make_answer()))
    assert "/v1/assets/f/thumbnail" in first
    assert "<img" not in second


def test_figures_of_other_chapters_are_shown_if_they_resemble_the_query_picture() -> None:
    picture_query = {"styles": {"sketch": 0.9}, "experts": [0.4, 0.6]}
    without_picture = render.complete_answer(make_answer())
    with_picture = render.complete_answer(make_answer(**picture_query))
    assert "g" not in cards_in(without_picture)
    assert "g" in cards_in(with_picture)
    hits = make_answer().hits
    hits[2].channels["image"] = 0.1
    assert "g" not in cards_in(render.complete_answer(make_answer(**picture_query, hits=hits)))


def test_the_kind_of_a_picture_is_named_in_the_panel_only_if_it_is_likely() -> None:
    def panel(share: float) -> str:
        answer = make_answer(
            styles={"drawing": 0.06, "lowres": share},
            experts=[0.4, 0.6],
            timings_ms={"total": 1500},
        )
        before, _, panel = render.complete_answer(answer).partition("<details class=how>")
        assert "low resolution" not in before
        return panel

    likely, unlikely = panel(0.94), panel(0.85)
    assert "Your picture was read as: low resolution." in likely
    assert "was read as" not in unlikely
    assert "not sure what kind of picture" in unlikely
    bars = re.findall(r"<span>([^<]+)</span><i[^>]*></i><b>(.*?)</b>", likely)
    kinds, parts = bars[:2], bars[2:]
    assert kinds == [("low resolution", "94%"), ("drawing", "6%")]
    assert parts == [("Part 1", "40%"), ("Part 2", "60%")]
    assert "2 sentences: 0 copied word for word, 2 written and checked" in likely
    assert "It took 1.5 seconds." in likely
    assert "Kind of picture" not in render.complete_answer(make_answer())


def test_a_refusal_shows_the_nearest_material_and_no_explanation() -> None:
    html = render.complete_answer(make_answer(**REFUSAL))
    assert "No evidence in your books" in html
    assert "There is no evidence." in html
    assert "Nearest material" in html
    assert cards_in(html) == ["p", "f"]
    assert 'class="sentence"' not in html


def test_text_from_documents_and_questions_is_escaped() -> None:
    planted = '<img src=x onerror="alert(1)">'
    hit = make_hit(
        "p", title=planted, text=planted, source=planted, licence=planted, attribution=planted,
        section=[planted], corpus=planted,
    )  # fmt: skip
    answer = make_answer(
        hits=[hit],
        sentences=[make_sentence(planted, {"p": 1})],
        references=["p"],
        styles={planted: 1.0},
    )
    html = render.turn("c", planted, [], render.complete_answer(answer))
    html += render.suggestions(make_answer(hits=[hit], sentences=[], references=[]))
    assert "<img src=x" not in html
    assert not re.search(r"<[^>]*onerror=\"", html)


def test_an_excerpt_never_ends_inside_a_formula() -> None:
    text = "word " * 48 + r"and \(" + "x + " * 40 + r"y\) end"
    html = source_cards("Sources", [make_hit("p", text=text)])
    excerpt = re.search(r'class="quote">(.*?)</span>', html)
    assert excerpt
    assert "\\(" not in excerpt[1]
    assert excerpt[1].endswith("…")


def test_suggestions_offer_other_tasks_and_uncited_passages() -> None:
    answer = make_answer()
    assert ("Why?", "quiz") in suggestions_in(render.suggestions(answer))
    friction = make_hit("q", title="Friction")
    html = render.suggestions(make_answer(hits=[*answer.hits, friction]))
    assert ("Explain: Friction", "explain") in suggestions_in(html)
    assert "Step by step" not in render.suggestions(make_answer(**REFUSAL))


def test_a_stored_turn_without_an_answer_says_so() -> None:
    turn = {"number": 1, "question": "Why?", "pictures": [], "answer": None, "asked_at": 0.0}
    fields = {"id": "c", "title": "Why?", "created": 0.0, "turns": [turn]}
    conversation = ConversationOut.model_validate(fields)
    html = render.conversation_turns(conversation)
    assert "There is no answer yet." in html
    assert re.findall(r'data-event="(\w+)" data-turn="1"', html) == ["retry", "edit"]
    assert "data-copy" not in html


def test_jobs_show_progress_dead_letters_and_a_button_to_cancel() -> None:
    def table(state: Any, **changes: Any) -> str:
        fields: dict[str, Any] = {"report": None, "ended": None, "message": "", **changes}
        return library.jobs_table(
            [Job("id", "o", "book", Path("/x"), state, created=0.0, **fields)]
        )

    early = table("running", documents=3, total=8)
    assert "3 of 8 documents" in early
    assert "left" not in early
    assert 'data-cancel="id"' in early
    late = table("running", documents=3, total=8, failed=2, seconds_left=200.0)
    assert "3 of 8 documents, 2 left out, about 3 min left" in late
    letters = [{"source": "<b>.pdf", "anchor": "", "message": "broken; save it again"}]
    ended = table("partly", report={"figures": 2, "passages": 9, "dead_letters": letters})
    assert "2 figures, 9 passages indexed" in ended
    assert "1 document left out" in ended
    assert "&lt;b&gt;.pdf: broken; save it again" in ended
    assert "data-cancel" not in ended


class ScriptedService:
    """Yields the events of an answer. A number counts the questions before it."""

    def __init__(self, *events: Any, hangs: bool = False, seconds: float = 60.0) -> None:
        self.settings = SimpleNamespace(seconds=seconds)
        self._events, self._hangs = events, hangs

    async def answer(self, caller: Any, request: Any, on_wait: Any) -> AsyncGenerator[Any]:
        for event in self._events:
            if isinstance(event, int):
                on_wait(event)
            elif isinstance(event, Exception):
                raise event
            else:
                yield event
        if self._hangs:
            await asyncio.Event().wait()


async def pages_of(turn: LiveTurn, service: Any) -> list[str]:
    """Return the HTML of the turn after each of its events."""
    return [turn.html() async for _ in turn.events(service, Any, Any)]  # type: ignore[arg-type]


async def test_a_failure_stands_below_the_sentences_so_far() -> None:
    turn = LiveTurn("c", "Why?")
    service = ScriptedService(make_search(), *SENTENCES, TooBusy("12 requests are waiting", 5))
    with pytest.raises(TooBusy) as error:
        await pages_of(turn, service)
    html = turn.html(str(error.value))
    assert html.index("It rises.") < html.index("12 requests are waiting")
    assert 'role="alert"' in html
    assert 'role="status"' not in html


async def test_the_status_counts_earlier_questions_then_says_what_happens() -> None:
    turn = LiveTurn("", "Why?")
    assert "Looking in your books" in turn.html()
    first, second, third, found, written = await pages_of(
        turn, ScriptedService(2, 1, 0, make_search(), SENTENCES[0])
    )
    assert "2 questions come before yours" in first
    assert "1 question comes before yours" in second
    assert "before yours" not in third
    assert "checking every sentence" in found
    assert 'data-conversation="c"' in found, "the search result names the conversation"
    assert "It falls." in written


async def test_a_stopped_answer_ends_without_an_error_and_keeps_its_sentences() -> None:
    turn = LiveTurn("c", "Why?")
    service: Any = ScriptedService(make_search(), SENTENCES[0], hangs=True)
    async for event in turn.events(service, Any, Any):  # type: ignore[arg-type]
        if event == SENTENCES[0]:
            turn.stop()
    assert "It falls." in turn.html()


async def test_an_answer_over_the_time_limit_is_an_error() -> None:
    turn = LiveTurn("c", "Why?")
    with pytest.raises(TooSlow, match="took too long"):
        await pages_of(turn, ScriptedService(make_search(), hangs=True, seconds=0.05))


def test_a_table_is_shown_as_a_table_with_its_cells_escaped() -> None:
    table = Table((("Gas", "<b>K</b>"), ("Neon", "27 & more"), ("{{x}}", "")), caption="Gases")
    html = source_cards("Sources", [make_hit("t", text=markdown_table(table))])
    card, _, viewer = html.partition("<template>")
    assert "Gases Neon: &lt;b&gt;K&lt;/b&gt; 27 &amp; more." in card.replace("\n", " ")
    assert "|" not in card
    assert "<p>Gases</p>" in viewer
    assert '<thead><tr><th scope="col">Gas</th><th scope="col">&lt;b&gt;K' in viewer
    assert '<tr><th scope="row">Neon</th><td>27 &amp; more</td></tr>' in viewer
    assert "{{" not in html
    assert "---" not in html
