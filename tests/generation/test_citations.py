"""Citation numbers, and the texts and references that go with them."""

from __future__ import annotations

import pytest

from data.records import Answer, Hit, Item, Sentence
from data.refusal import REFUSAL
from generation.citations import CitationNumbers
from generation.tasks import TaskRequest
from tests.generation.answering import HITS, QUESTION, Script, answer_to


def hit(name: str) -> Hit:
    return Hit(Item(name, "passage", "c", f"s#{name}", name, name), 1.0)


HITS_ABCD = tuple(hit(name) for name in "abcd")
CITED = (
    Sentence("Steam is hot.", ("c",), 1.0, quoted=True, numbers=(1,)),
    Sentence("It burns.", ("c", "a"), 0.9, numbers=(1, 2)),
)


def test_items_are_numbered_in_the_order_of_their_first_citation() -> None:
    numbers = CitationNumbers()
    cited = [("c",), ("a", "c"), (), ("b", "a")]
    assigned = [numbers.assign(Sentence("x", ids, 1.0)).numbers for ids in cited]
    assert assigned == [(1,), (2, 1), (), (3, 2)]


def test_an_answer_numbers_quotations_and_model_sentences_together() -> None:
    reply = "Net force equals mass times acceleration [1]. A 2 kg ball needs 6 N [1]."
    answer = answer_to(QUESTION, HITS, Script(reply))
    assert [(s.citations, s.numbers) for s in answer.sentences] == [
        (("steam",), (1,)),
        (("force",), (2,)),
        (("force",), (2,)),
    ]
    assert [h.item.id for h in answer.references] == ["steam", "force"]
    assert answer.cited_text == (
        "“Steam comes from boiling water.” [1] Net force equals mass times acceleration. [2] "
        "A 2 kg ball needs 6 N. [2]"
    )


def test_references_are_the_cited_hits_in_the_order_of_their_numbers() -> None:
    answer = Answer("q", CITED, HITS_ABCD)
    assert [h.item.id for h in answer.references] == ["c", "a"]
    assert answer.text == "Steam is hot. It burns."
    assert answer.cited_text == "“Steam is hot.” [1] It burns. [1][2]"


@pytest.mark.parametrize("task", ["steps", "quiz", "feedback"])
def test_lists_have_a_paragraph_for_each_sentence(task: str) -> None:
    answer = Answer("q", CITED, HITS_ABCD, task=task)  # type: ignore[arg-type]
    assert answer.cited_text == "“Steam is hot.” [1]\n\nIt burns. [1][2]"


def test_a_refusal_has_a_text_and_the_nearest_hits_as_references() -> None:
    answer = Answer("q", (), HITS_ABCD, refused=True)
    assert answer.text == answer.cited_text == REFUSAL
    assert [h.item.id for h in answer.references] == ["a", "b", "c"]


def test_a_refused_quiz_has_the_refusal_text() -> None:
    assert answer_to(QUESTION, [], task=TaskRequest("quiz")).text == REFUSAL
