"""What an answer is made from: which of the hits, and what is taken along with them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from data.records import Item
from generation.tasks import Wanted
from retrieval.store import Point, Where
from unirag import config
from unirag.app import App

EXERCISE = "A ray of light meets glass at 45 degrees. How large is its angle inside the glass?"


@pytest.fixture
def app(place: Any, chat: Any) -> Iterator[App]:
    with App(config.load()) as opened:
        yield opened


def put(app: App, role: str, text: str, *neighbours: str) -> Item:
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, text))
    item = Item(
        name, "passage", "cards", f"optics.md#{role}", "Problem", text,
        role=role, neighbours=neighbours, source="optics.md",  # type: ignore[arg-type]
    )  # fmt: skip
    vector_D = app.text.encode_passages([text])[0]
    app.store.upsert([Point(item, None, vector_D, app.bm25.document(text))])
    return item


def test_the_solution_of_the_asked_exercise_is_kept_back(app: App) -> None:
    exercise = put(app, "exercise", EXERCISE)
    text = "The ray of light has an angle of 28 degrees inside the glass."
    solution = put(app, "solution", text, exercise.id)

    def found(question: str, **how: Any) -> bool:
        return solution.id in [h.item.id for h in app.ask(question, **how).hits]

    assert not found(EXERCISE)
    assert not found(f"Please tell me: {EXERCISE.lower()}")
    assert found(EXERCISE, wanted=Wanted("steps"))
    assert found("How does light move inside glass?")


def test_a_figure_brings_the_passages_that_refer_to_it(app: App) -> None:
    question = "A ray bends towards the normal."
    figures = app.search(question, where=Where(kinds=("figure",)))
    (figure,) = [h.item for h in figures.hits]
    answer = app.ask(question, where=Where(kinds=("figure",)))
    told = [h.item for h in answer.hits if h.item.kind == "passage"]
    assert told
    assert {i.id for i in told} <= set(figure.neighbours)
