"""How often an answer embeds a text: the question never, every other text once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from data.records import Hit
from generation.answer import Answerer
from generation.embedding import EmbedOnce
from generation.settings import AnswerSettings
from generation.tasks import EXPLAIN, TaskRequest
from tests.generation.answering import HITS, MODELS, PENDULUM, QUESTION, Script, embed, hit

REPLY = (
    "Net force equals mass times acceleration. [1] Net force equals mass times acceleration. [1] "
    "Kinetic energy grows with the square of the speed. [2]"
)
STUDENT_ANSWER = (
    "The period of a pendulum depends on its length. The mass changes the period. "
    "The mass changes the period."
)
# One sentence stands in two items, and the question itself stands in an item.
DOUBLE = [*HITS, hit("again", "Net force equals mass times acceleration. It is Newton's law.")]


class CountingEmbedder:
    """Word-count vectors, and the number of times that each text was embedded."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.counts.update(texts)
        return embed(texts)


@pytest.mark.parametrize(
    ("question", "hits", "task", "expected"),
    [
        (QUESTION, DOUBLE, EXPLAIN, "Kinetic energy grows with the square of the speed."),
        ("What sets the period of a pendulum?", PENDULUM, TaskRequest("quiz"), "length"),
        (
            "What sets the period of a pendulum?",
            PENDULUM,
            TaskRequest("feedback", student_answer=STUDENT_ANSWER),
            "The mass changes the period.",
        ),
    ],
    ids=lambda value: value.task if isinstance(value, TaskRequest) else "",
)
def test_an_answer_embeds_each_text_once_and_never_the_question(
    question: str, hits: Sequence[Hit], task: TaskRequest, expected: str
) -> None:
    counting = CountingEmbedder()
    question_vector, topic_vector = embed([question, REPLY])
    events = Answerer(Script(REPLY), replace(MODELS, embed=counting), AnswerSettings()).stream(
        question, hits, question_vector=question_vector, topic_vector=topic_vector, task=task
    )
    assert len(list(events)) > 2
    assert expected in counting.counts
    assert question not in counting.counts
    assert set(counting.counts.values()) == {1}


def test_remembered_vectors_keep_the_order_of_the_texts() -> None:
    counting = CountingEmbedder()
    once = EmbedOnce(counting, {"a": embed(["given"])[0]})
    np.testing.assert_array_equal(once(["b", "a", "b"]), embed(["b", "given", "b"]))
    np.testing.assert_array_equal(once(["c", "b"]), embed(["c", "b"]))
    assert counting.counts == {"b": 1, "c": 1}
