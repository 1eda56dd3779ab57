"""The evidence of an answer: which hits it uses, and which passages are added to them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from data.records import Item
from generation.tasks import TaskRequest
from retrieval.store import Point, Where
from unirag.app import App

EXERCISE = "A ray of light meets glass at 45 degrees. How large is its angle inside the glass?"


@pytest.fixture
def app(workspace: Any, chat: Any) -> Iterator[App]:
    with workspace.open() as opened:
        yield opened


def store_passage(
    app: App, role: str, text: str, *neighbours: str, section: tuple[str, ...] = ()
) -> Item:
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


def test_explain_leaves_out_the_solution_of_the_exercise_in_the_question(app: App) -> None:
    exercise = store_passage(app, "exercise", EXERCISE)
    text = "The ray of light has an angle of 28 degrees inside the glass."
    solution = store_passage(app, "solution", text, exercise.id)

    def is_among_hits(question: str, **options: Any) -> bool:
        return solution.id in [h.item.id for h in app.ask(question, **options).hits]

    assert not is_among_hits(EXERCISE)
    assert not is_among_hits(f"Please tell me: {EXERCISE.lower()}")
    assert is_among_hits(EXERCISE, task=TaskRequest("steps"))
    assert is_among_hits("How does light move inside glass?")


FIGURES = Where(kinds=("figure",))
GLASS = ("Light", "1 Media", "1.1 Glass")


def test_an_exercise_of_the_corpus_is_answered_from_its_section(app: App) -> None:
    passage = store_passage(app, "text", "Slow light is bent towards the normal.", section=GLASS)
    assert app.ask(EXERCISE).hits[0].item.id != passage.id
    store_passage(app, "exercise", EXERCISE, section=GLASS)
    assert app.ask(EXERCISE).hits[0].item.id == passage.id
    assert app.search(EXERCISE).hits[0].item.id != passage.id
    assert {h.item.kind for h in app.ask(EXERCISE, where=FIGURES).hits[:1]} == {"figure"}


def test_a_figure_brings_the_passages_that_refer_to_it(app: App) -> None:
    question = "A ray bends towards the normal."
    figures = app.search(question, where=FIGURES)
    (figure,) = [h.item for h in figures.hits]
    answer = app.ask(question, where=FIGURES)
    passages = [h.item for h in answer.hits if h.item.kind == "passage"]
    assert passages
    assert {i.id for i in passages} <= set(figure.neighbours)
