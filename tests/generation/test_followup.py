"""Follow-up questions, and the subject that they are searched with."""

from __future__ import annotations

import pytest

from generation.followup import standalone

SUBJECT = "What sets the period of a pendulum?"


@pytest.mark.parametrize(
    "question",
    [
        "Does it depend on the mass?",
        "And on the moon?",
        "What about a longer string?",
        "Why is that?",
        "How can I measure it?",
        "What happens to them then?",
        "Explain that in simple words",
        "Why?",
        "What are its units?",
        "give me another example",
    ],
)
def test_a_follow_up_gets_its_subject(question: str) -> None:
    assert standalone(question, [SUBJECT]) == f"{SUBJECT} {question}"
    # The question between them is a follow-up as well.
    assert standalone(question, [SUBJECT, "Why is that?"]) == f"{SUBJECT} {question}"
    assert standalone(question, []) == question


@pytest.mark.parametrize(
    "question",
    [
        "Why does light bend when it enters glass?",
        "What is the force that keeps planets in their orbits?",
        "How do enzymes lower the activation energy?",
        "Which law says that energy is conserved?",
        "What is this law of Newton about action and reaction?",
        "So-called noble gases: which are they?",
    ],
)
def test_a_question_that_stands_alone_is_not_changed(question: str) -> None:
    assert standalone(question, [SUBJECT]) == question


def test_the_last_question_with_a_subject_is_used() -> None:
    other = "How does a lens form an image?"
    assert standalone("And a mirror?", [SUBJECT, other]) == f"{other} And a mirror?"


def test_the_first_question_is_the_subject_even_if_it_looks_like_a_follow_up() -> None:
    assert standalone("Why?", ["Does it float?"]) == "Does it float? Why?"
