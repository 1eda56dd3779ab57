"""The marks of a judge: its prompt, and the parsing of its reply."""

from __future__ import annotations

import pytest

from generation.rubric import MARKS, marks
from tests.generation.answering import Script

WHOLE = {"faithfulness": 5, "grounding": 4, "usefulness": 3, "pedagogy": 2}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"faithfulness": 5, "grounding": 4, "usefulness": 3, "pedagogy": 2}', WHOLE),
        (
            'Sure!\n```json\n{"Faithfulness":5,"Grounding":4,"Usefulness":3,"Pedagogy":2}\n```',
            WHOLE,
        ),
        ("faithfulness: 5\ngrounding: 4\nusefulness: 3\npedagogy: 2", WHOLE),
        ('{"faithfulness": 5, "grounding": 4, "usefulness": 3}', None),
        ('{"faithfulness": 9, "grounding": 4, "usefulness": 3, "pedagogy": 2}', None),
        ('{"faithfulness": 4.5, "grounding": 4, "usefulness": 3, "pedagogy": 2}', None),
        ('{"faithfulness": 50, "grounding": 4, "usefulness": 3, "pedagogy": 2}', None),
        ("", None),
    ],
)
def test_marks_are_complete_or_none(reply: str, expected: dict[str, int] | None) -> None:
    assert marks(Script(reply), "Why?", "Because.", ["A source."]) == expected


def test_the_judge_reads_sources_question_and_answer() -> None:
    judge = Script("")
    marks(judge, "Why does it fall?", "It is heavy.", ["One\nline.", "x" * 9000])
    system, user = judge.prompt
    assert all(name in system.content for name in MARKS)
    assert "[1] One line.\n[2] xxx" in user.content
    assert "Question: Why does it fall?" in user.content
    assert user.content.endswith("Answer: It is heavy.")
    assert len(user.content) < 2000
