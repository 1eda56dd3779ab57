"""The request for an answer: its task, its level and, for feedback, the student's own answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from data.errors import BadInput
from data.records import Level, Task

__all__ = ["EXPLAIN", "MAX_STUDENT_ANSWER_CHARACTERS", "TaskRequest"]

MAX_STUDENT_ANSWER_CHARACTERS = 4000  # about two pages


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """The kind of answer to make, and the level to write it at.

    `student_answer` is the text to comment on. It is required for the task `feedback` and refused
    for every other task. Raise `BadInput` for a value that does not fit.
    """

    task: Task = "explain"
    level: Level = "school"
    student_answer: str = ""

    def __post_init__(self) -> None:
        for field, value, choices in (
            ("task", self.task, get_args(Task)),
            ("level", self.level, get_args(Level)),
        ):
            if value not in choices:
                raise BadInput(f"{field}: got {value!r}; expected one of {', '.join(choices)}")
        answer = self.student_answer.strip()
        if self.task == "feedback" and not answer:
            raise BadInput("student_answer: is empty; task feedback expects the student's answer")
        if self.task != "feedback" and answer:
            raise BadInput(
                f"student_answer: got one with task {self.task}; only task feedback takes one"
            )
        if len(answer) > MAX_STUDENT_ANSWER_CHARACTERS:
            raise BadInput(
                f"student_answer: got {len(answer)} characters; expected at most "
                f"{MAX_STUDENT_ANSWER_CHARACTERS}"
            )

    @property
    def uses_model(self) -> bool:
        """Whether the language model writes the answer. Quiz and feedback are made without it."""
        return self.task not in ("quiz", "feedback")


EXPLAIN = TaskRequest()
