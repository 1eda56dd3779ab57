"""What an answer is made from: which of the hits, and what is taken along with them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from data.records import Item
from generation.tasks import EXPLAIN, TaskRequest
from retrieval.store import Point, Where
from unirag.app import App
from unirag.search.context_selection import select_context

EXERCISE = "A ray of light meets glass at 45 degrees. How large is its angle inside the glass?"


@pytest.fixture
def app(place: Any, chat: Any) -> Iterator[App]:
    with place.open() as opened:
        yield opened


def put(app: App, role: str, text: str, *neighbours: str, section: tuple[str, ...] = ()) -> Item:
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, text))
    item = Item(
        name, "passage", "cards", f"optics.md#{name}", "Problem", text, section=section,
        role=role, neighbours=neighbours, source="optics.md",  # type: ignore[arg-type]
    )  # fmt: skip
    vector_D = app.components.text.encode_passages([text])[0]
    app.components.store.upsert(
        [Point(item, None, vector_D, app.components.bm25.encode_document(text))]
    )
    return item


def test_the_solution_of_the_asked_exercise_is_kept_back(app: App) -> None:
    exercise = put(app, "exercise", EXERCISE)
    text = "The ray of light has an angle of 28 degrees inside the glass."
    solution = put(app, "solution", text, exercise.id)

    def found(question: str, **how: Any) -> bool:
        return solution.id in [h.item.id for h in app.ask(question, **how).hits]

    assert not found(EXERCISE)
    assert not found(f"Please tell me: {EXERCISE.lower()}")
    assert found(EXERCISE, task=TaskRequest("steps"))
    assert found("How does light move inside glass?")


FIGURES = Where(kinds=("figure",))
GLASS, WATER = ("Light", "1 Media", "1.1 Glass"), ("Light", "1 Media", "1.2 Water")


def test_an_exercise_of_the_corpus_is_answered_from_its_own_section(app: App) -> None:
    here = put(app, "text", "Slow light is bent towards the normal.", section=GLASS)
    assert app.ask(EXERCISE).hits[0].item.id != here.id
    put(app, "exercise", EXERCISE, section=GLASS)
    assert app.ask(EXERCISE).hits[0].item.id == here.id
    assert app.search(EXERCISE).hits[0].item.id != here.id
    assert {h.item.kind for h in app.ask(EXERCISE, where=FIGURES).hits[:1]} == {"figure"}


def test_objectives_and_exercises_speak_for_their_section(app: App) -> None:
    question = "Why does a spoon look broken in a glass of water?"
    one = put(app, "text", "A spoon in a glass of water looks broken.", section=GLASS)
    other = put(app, "text", "Light changes its direction as it leaves water.", section=WATER)

    def shares() -> tuple[float, float]:
        found = app.search(question)
        searcher = app.components.searcher()
        chosen = select_context(searcher, found, EXPLAIN, Where(), limit=5, evidence_items=5)
        assert {h.item.role for h in chosen.hits}.isdisjoint({"objective", "exercise"})
        return chosen.section_shares[one.id], chosen.section_shares[other.id]

    assert shares()[0] == 1
    put(app, "objective", "- Explain why a spoon looks broken in water.", section=WATER)
    put(app, "exercise", "Why does a spoon in water look broken to the eye?", section=WATER)
    assert shares()[1] == 1


def test_a_figure_brings_the_passages_that_refer_to_it(app: App) -> None:
    question = "A ray bends towards the normal."
    figures = app.search(question, where=FIGURES)
    (figure,) = [h.item for h in figures.hits]
    answer = app.ask(question, where=FIGURES)
    told = [h.item for h in answer.hits if h.item.kind == "passage"]
    assert told
    assert {i.id for i in told} <= set(figure.neighbours)
