"""What is wanted of an answer: the task, the level, and for feedback what the student wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from data.errors import BadInput
from data.records import Level, Task

__all__ = ["EXPLAIN", "LONGEST", "Wanted"]

LONGEST = 4000  # characters of a student's answer: two pages


@dataclass(frozen=True, slots=True)
class Wanted:
    """Raises `BadInput` for a task or level that is unknown and for an answer out of place."""

    task: Task = "explain"
    level: Level = "school"
    student_answer: str = ""

    def __post_init__(self) -> None:
        for field, given, known in (
            ("task", self.task, get_args(Task)),
            ("level", self.level, get_args(Level)),
        ):
            if given not in known:
                raise BadInput(f"{field}: got {given!r}; expected one of {', '.join(known)}")
        answer = self.student_answer.strip()
        if self.task == "feedback" and not answer:
            raise BadInput(
                "student_answer: is empty; task feedback expects the student's own answer there"
            )
        if self.task != "feedback" and answer:
            raise BadInput(
                f"student_answer: got one with task {self.task}; expected none, or task feedback"
            )
        if len(answer) > LONGEST:
            raise BadInput(
                f"student_answer: got {len(answer)} characters; expected at most {LONGEST}"
            )

    @property
    def written(self) -> bool:
        """Whether the language model writes it; a quiz and feedback are made without one."""
        return self.task not in ("quiz", "feedback")


EXPLAIN = Wanted()
