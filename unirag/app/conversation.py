"""Understand a message in its conversation: what to search for, which task, or a friendly reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from data.records import Query
from generation.followup import standalone
from generation.intent import REPLIES, Intent
from generation.tasks import TaskRequest

__all__ = ["ConversationTurn", "Intents", "understand"]


class Intents(Protocol):
    """Classifies messages (generation/intent.py)."""

    def intent(self, message: str) -> Intent:
        """Return what the message wants."""
        ...


@dataclass(frozen=True, slots=True)
class ConversationTurn:
    """What a message wants: an answer to `query` by `task`, or only the friendly `reply`."""

    query: Query
    task: TaskRequest
    reply: str = ""


def understand(
    query: Query, history: Sequence[str], task: TaskRequest, intents: Intents
) -> ConversationTurn:
    """Return the turn of a message that is typed after the messages of `history`, oldest first.

    A follow-up carries the subject of the question before it. "Simpler please" asks the last
    question again, for school. "Quiz me on cells" becomes a quiz, whatever the task. A greeting and
    thanks get a reply. A message with a picture or a recording, and a student's answer, is taken as
    it is.
    """
    if not query.text or query.images or query.audio or task.task == "feedback":
        return ConversationTurn(query, task)
    intent = intents.intent(query.text)
    questions = [message for message in history if intents.intent(message) == "question"]
    text = standalone(query.text, questions)
    if intent == "question":
        return ConversationTurn(replace(query, text=text), task)
    if intent == "simplify" and questions:
        last = standalone(questions[-1], questions[:-1])
        return ConversationTurn(replace(query, text=last), TaskRequest("explain", "school"))
    if intent == "quiz" and (questions or len(query.text.split()) > 2):
        return ConversationTurn(replace(query, text=text), TaskRequest("quiz", task.level))
    return ConversationTurn(query, task, REPLIES[intent])
