"""Conversations, kept until somebody deletes them: what was asked, and the answer as it was given.

A turn is written when its question arrives and again when its answer is whole, so that a kill in
between leaves a question without an answer and nothing else undone.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unirag.workspace.database import Database

__all__ = ["Conversation", "Conversations", "Turn"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, created REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS conversations_by_owner ON conversations (owner, created);
CREATE TABLE IF NOT EXISTS turns (
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    number INTEGER NOT NULL, question TEXT NOT NULL, pictures TEXT NOT NULL, answer TEXT,
    asked REAL NOT NULL, PRIMARY KEY (conversation, number)
);
"""
_TITLE = 80


@dataclass(frozen=True, slots=True)
class Turn:
    """`pictures` are digests; `answer` is `views.answer_json`, None where it never became whole."""

    number: int
    question: str
    pictures: tuple[str, ...]
    answer: dict[str, Any] | None
    asked: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """`created` and `Turn.asked` are seconds since 1970; `title` is the first question."""

    id: str
    created: float
    title: str
    turns: tuple[Turn, ...] = ()

    @property
    def questions(self) -> list[str]:
        """What was asked; for a picture alone, the words that were read in it."""
        asked = (turn.question or (turn.answer or {}).get("query", "") for turn in self.turns)
        return [words for words in asked if words]


class Conversations:
    """Each belongs to the owner who began it, and is there for nobody else."""

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA, "the conversations", "begin new ones")

    def begin(self, owner: str) -> str:
        """The id of a new one, which cannot be guessed."""
        made = secrets.token_urlsafe(16)
        self._db.run("INSERT INTO conversations VALUES (?, ?, ?)", made, owner, time.time())
        return made

    def ask(self, conversation: str, question: str, pictures: tuple[str, ...] = ()) -> int:
        """The number of the new turn, from 1."""
        with self._db.transaction() as db:
            (last,) = db.execute(
                "SELECT COALESCE(MAX(number), 0) FROM turns WHERE conversation = ?", (conversation,)
            ).fetchone()
            row = (conversation, last + 1, question, json.dumps(pictures), None, time.time())
            db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?)", row)
        return int(last) + 1

    def answer(self, conversation: str, turn: int, answer: Mapping[str, Any]) -> None:
        self._db.run(
            "UPDATE turns SET answer = ? WHERE conversation = ? AND number = ?",
            json.dumps(answer),
            conversation,
            turn,
        )

    def get(self, conversation: str, owner: str) -> Conversation | None:
        rows = self._db.rows(
            "SELECT id, created FROM conversations WHERE id = ? AND owner = ?", conversation, owner
        )
        if not rows:
            return None
        turns = tuple(
            Turn(number, question, tuple(json.loads(pictures)), answer and json.loads(answer), at)
            for number, question, pictures, answer, at in self._db.rows(
                "SELECT number, question, pictures, answer, asked FROM turns "
                "WHERE conversation = ? ORDER BY number",
                conversation,
            )
        )
        title = turns[0].question[:_TITLE] if turns else ""
        return Conversation(conversation, rows[0][1], title, turns)

    def of(self, owner: str, limit: int = 100) -> list[Conversation]:
        """The newest first, without their turns."""
        rows = self._db.rows(
            "SELECT c.id, c.created, SUBSTR(t.question, 1, ?) FROM conversations c "
            "JOIN turns t ON t.conversation = c.id AND t.number = 1 "
            "WHERE c.owner = ? ORDER BY c.created DESC LIMIT ?",
            _TITLE,
            owner,
            limit,
        )
        return [Conversation(name, created, title) for name, created, title in rows]

    def usage(self, days: int = 14) -> list[tuple[str, int, int, int]]:
        """Everybody's questions by day (UTC), the newest first: day, asked, answered, refused."""
        rows = self._db.rows(
            "SELECT date(asked, 'unixepoch') AS day, COUNT(*), "
            "SUM(answer IS NOT NULL AND NOT json_extract(answer, '$.refused')), "
            "COALESCE(SUM(json_extract(answer, '$.refused')), 0) "
            "FROM turns WHERE asked > ? GROUP BY day ORDER BY day DESC",
            time.time() - days * 86400,
        )
        return [(day, asked, answered, refused) for day, asked, answered, refused in rows]

    def delete(self, conversation: str, owner: str) -> bool:
        """Whether there was one."""
        with self._db.transaction() as db:
            gone = db.execute(
                "DELETE FROM conversations WHERE id = ? AND owner = ?", (conversation, owner)
            ).rowcount
            if gone:
                db.execute("DELETE FROM turns WHERE conversation = ?", (conversation,))
        return bool(gone)

    def shows(self, digest: str) -> bool:
        """Whether any conversation still shows this picture."""
        like = f'%"{digest}"%'
        return bool(self._db.rows("SELECT 1 FROM turns WHERE pictures LIKE ? LIMIT 1", like))

    def close(self) -> None:
        self._db.close()
