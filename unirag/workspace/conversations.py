"""Stored conversations: each question with its pictures and its answer, until someone deletes them.

A turn is written when its question arrives and again when its answer is complete. A kill in between
leaves a question without an answer and does no other harm.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.sqlite import Database

__all__ = ["Conversation", "Conversations", "Turn"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, created REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS conversations_by_owner ON conversations (owner, created);
CREATE TABLE IF NOT EXISTS turns (
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    number INTEGER NOT NULL, question TEXT NOT NULL, pictures TEXT NOT NULL, answer TEXT,
    asked_at REAL NOT NULL, PRIMARY KEY (conversation, number)
);
"""
_TITLE_LENGTH = 80  # characters


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer.

    `number` counts from 1. `pictures` are digests. `answer` is JSON as the service sends it, None
    if it was never completed. `asked_at` is in seconds since 1970.
    """

    number: int
    question: str
    pictures: tuple[str, ...]
    answer: dict[str, Any] | None
    asked_at: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation. `created` is in seconds since 1970; `title` is the start of its question."""

    id: str
    created: float
    title: str
    turns: tuple[Turn, ...] = ()

    @property
    def questions(self) -> list[str]:
        """The question of each turn. A picture without text counts as the words read in it."""
        questions = (turn.question or (turn.answer or {}).get("query", "") for turn in self.turns)
        return [question for question in questions if question]


class Conversations:
    """Reads and writes conversations. Only the owner of a conversation can read or delete it.

    Raises `UniragError` if the file is unusable.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA, "the list of conversations", "begin new ones")

    def create(self, owner: str) -> str:
        """Create an empty conversation and return its id, which nobody can guess."""
        conversation = secrets.token_urlsafe(16)
        self._db.execute(
            "INSERT INTO conversations VALUES (?, ?, ?)", conversation, owner, time.time()
        )
        return conversation

    def add_question(self, conversation: str, question: str, pictures: tuple[str, ...] = ()) -> int:
        """Add a turn without an answer and return its number."""
        with self._db.transaction() as db:
            (last,) = db.execute(
                "SELECT COALESCE(MAX(number), 0) FROM turns WHERE conversation = ?", (conversation,)
            ).fetchone()
            row = (conversation, last + 1, question, json.dumps(pictures), None, time.time())
            db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?)", row)
        return int(last) + 1

    def save_answer(self, conversation: str, turn: int, answer: Mapping[str, Any]) -> None:
        """Store the complete answer of a turn."""
        self._db.execute(
            "UPDATE turns SET answer = ? WHERE conversation = ? AND number = ?",
            json.dumps(answer),
            conversation,
            turn,
        )

    def get(self, conversation: str, owner: str) -> Conversation | None:
        """Return a conversation with its turns. Return None unless `owner` owns it."""
        rows = self._db.rows(
            "SELECT id, created FROM conversations WHERE id = ? AND owner = ?", conversation, owner
        )
        if not rows:
            return None
        turns = tuple(
            Turn(number, question, tuple(json.loads(pictures)), answer and json.loads(answer), at)
            for number, question, pictures, answer, at in self._db.rows(
                "SELECT number, question, pictures, answer, asked_at FROM turns "
                "WHERE conversation = ? ORDER BY number",
                conversation,
            )
        )
        title = turns[0].question[:_TITLE_LENGTH] if turns else ""
        return Conversation(conversation, rows[0][1], title, turns)

    def of_owner(self, owner: str, limit: int = 100) -> list[Conversation]:
        """Return the conversations of an owner without their turns, newest first."""
        rows = self._db.rows(
            "SELECT c.id, c.created, SUBSTR(t.question, 1, ?) FROM conversations c "
            "JOIN turns t ON t.conversation = c.id AND t.number = 1 "
            "WHERE c.owner = ? ORDER BY c.created DESC LIMIT ?",
            _TITLE_LENGTH,
            owner,
            limit,
        )
        return [Conversation(*row) for row in rows]

    def daily_usage(self, days: int = 14) -> list[tuple[str, int, int, int]]:
        """Count the questions of all owners by day (UTC), newest first.

        Return tuples of day, questions, answered questions and refused questions.
        """
        return self._db.rows(
            "SELECT date(asked_at, 'unixepoch') AS day, COUNT(*), "
            "SUM(answer IS NOT NULL AND NOT json_extract(answer, '$.refused')), "
            "COALESCE(SUM(json_extract(answer, '$.refused')), 0) "
            "FROM turns WHERE asked_at > ? GROUP BY day ORDER BY day DESC",
            time.time() - days * 86400,
        )

    def delete(self, conversation: str, owner: str) -> bool:
        """Delete a conversation. Return False unless `owner` owned one of this id."""
        with self._db.transaction() as db:
            deleted = db.execute(
                "DELETE FROM conversations WHERE id = ? AND owner = ?", (conversation, owner)
            ).rowcount
            if deleted:
                db.execute("DELETE FROM turns WHERE conversation = ?", (conversation,))
        return bool(deleted)

    def use_picture(self, digest: str) -> bool:
        """Return whether any conversation has this picture."""
        pattern = f'%"{digest}"%'
        return bool(self._db.rows("SELECT 1 FROM turns WHERE pictures LIKE ? LIMIT 1", pattern))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
