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

__all__ = ["Conversation", "Conversations", "Turn", "VotedAnswer"]

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
CREATE TABLE IF NOT EXISTS titles (conversation TEXT PRIMARY KEY, title TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS bin (conversation TEXT PRIMARY KEY, binned_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS votes (
    conversation TEXT NOT NULL, turn INTEGER NOT NULL, vote INTEGER NOT NULL,
    voted_at REAL NOT NULL, PRIMARY KEY (conversation, turn)
);
"""
_TITLE_LENGTH = 80  # characters
_PARTS = ("turns", "titles", "bin", "votes")  # tables whose rows belong to a conversation


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer.

    `number` counts from 1. `pictures` are digests. `answer` is JSON as the service sends it, None
    if it has no sentence. `asked_at` is in seconds since 1970. `vote` is 1 for a thumb up, -1 for a
    thumb down, 0 for none.
    """

    number: int
    question: str
    pictures: tuple[str, ...]
    answer: dict[str, Any] | None
    asked_at: float
    vote: int = 0


@dataclass(frozen=True, slots=True)
class VotedAnswer:
    """An answer with a thumb, for the teacher: without its owner and its conversation."""

    question: str
    answer: dict[str, Any]
    vote: int
    voted_at: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation. `created` is in seconds since 1970.

    `title` is the name that its owner chose, or else the start of its first question.
    """

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
        """Return a conversation with its turns.

        Return None unless `owner` owns it, and while it is in the bin.
        """
        rows = self._db.rows(
            "SELECT c.created, COALESCE(n.title, '') FROM conversations c "
            "LEFT JOIN titles n ON n.conversation = c.id WHERE c.id = ? AND c.owner = ? "
            "AND c.id NOT IN (SELECT conversation FROM bin)",
            conversation,
            owner,
        )
        if not rows:
            return None
        ((created, title),) = rows
        turns = self._turns(conversation)
        if turns and not title:
            title = turns[0].question[:_TITLE_LENGTH]
        return Conversation(conversation, created, title, turns)

    def of_owner(self, owner: str, words: str = "", limit: int = 100) -> list[Conversation]:
        """Return the conversations of an owner without their turns, newest first.

        With `words`, return only those whose title, questions or answers contain them.
        """
        pattern = "".join(f"\\{c}" if c in "%_\\" else c for c in words.strip())
        rows = self._db.rows(
            "SELECT c.id, c.created, COALESCE(n.title, SUBSTR(t.question, 1, ?2)) "
            "FROM conversations c JOIN turns t ON t.conversation = c.id AND t.number = "
            "(SELECT MIN(number) FROM turns WHERE conversation = c.id) "
            "LEFT JOIN titles n ON n.conversation = c.id "
            "WHERE c.owner = ?3 AND c.id NOT IN (SELECT conversation FROM bin) "
            "AND (COALESCE(n.title, '') LIKE ?1 ESCAPE '\\' OR EXISTS (SELECT 1 FROM turns w "
            "WHERE w.conversation = c.id AND (w.question LIKE ?1 ESCAPE '\\' "
            "OR json_extract(w.answer, '$.answer') LIKE ?1 ESCAPE '\\'))) "
            "ORDER BY c.created DESC LIMIT ?4",
            f"%{pattern}%",
            _TITLE_LENGTH,
            owner,
            limit,
        )
        return [Conversation(*row) for row in rows]

    def rename(self, conversation: str, title: str) -> None:
        """Set the title of a conversation; an empty one gives it back the title of its question."""
        title = " ".join(title.split())[:_TITLE_LENGTH]
        self._db.execute("INSERT OR REPLACE INTO titles VALUES (?, ?)", conversation, title)
        self._db.execute("DELETE FROM titles WHERE title = ''")

    def vote(self, conversation: str, turn: int, vote: int) -> None:
        """Store a thumb up (1) or down (-1) for an answer; 0 takes it back."""
        row = (conversation, turn, vote, time.time())
        self._db.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?)", *row)
        self._db.execute("DELETE FROM votes WHERE vote = 0")

    def voted_answers(self, limit: int = 50) -> list[VotedAnswer]:
        """Return the answers of all owners that have a thumb, the latest thumb first."""
        rows = self._db.rows(
            "SELECT t.question, t.answer, v.vote, v.voted_at FROM votes v JOIN turns t "
            "ON t.conversation = v.conversation AND t.number = v.turn "
            "WHERE t.answer IS NOT NULL ORDER BY v.voted_at DESC LIMIT ?",
            limit,
        )
        return [VotedAnswer(q, json.loads(answer), vote, at) for q, answer, vote, at in rows]

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

    def move_to_bin(self, conversation: str) -> None:
        """Hide a conversation. `restore` shows it again, `delete` deletes it for good."""
        self._db.execute("INSERT OR REPLACE INTO bin VALUES (?, ?)", conversation, time.time())

    def restore(self, conversation: str, owner: str) -> bool:
        """Take a conversation out of the bin. Return False unless `owner` owned one there."""
        restored = self._db.execute(
            "DELETE FROM bin WHERE conversation = ? AND conversation IN "
            "(SELECT id FROM conversations WHERE owner = ?)",
            conversation,
            owner,
        )
        return bool(restored)

    def expired(self, seconds: float) -> list[str]:
        """Return the ids of the conversations that are in the bin for longer than `seconds`."""
        rows = self._db.rows(
            "SELECT conversation FROM bin WHERE binned_at <= ?", time.time() - seconds
        )
        return [conversation for (conversation,) in rows]

    def delete(self, conversation: str) -> list[str]:
        """Delete a conversation. Return the digests of its pictures."""
        digests = {digest for turn in self._turns(conversation) for digest in turn.pictures}
        with self._db.transaction() as db:
            db.execute("DELETE FROM conversations WHERE id = ?", (conversation,))
            for table in _PARTS:
                db.execute(f"DELETE FROM {table} WHERE conversation = ?", (conversation,))  # noqa: S608 - a constant
        return sorted(digests)

    def delete_turn(self, conversation: str, turn: int) -> None:
        """Delete one turn of a conversation, and its thumb."""
        for table, column in (("turns", "number"), ("votes", "turn")):
            self._db.execute(
                f"DELETE FROM {table} WHERE conversation = ? AND {column} = ?",  # noqa: S608 - constants
                conversation,
                turn,
            )

    def use_picture(self, digest: str) -> bool:
        """Return whether any conversation has this picture."""
        pattern = f'%"{digest}"%'
        return bool(self._db.rows("SELECT 1 FROM turns WHERE pictures LIKE ? LIMIT 1", pattern))

    def _turns(self, conversation: str) -> tuple[Turn, ...]:
        rows = self._db.rows(
            "SELECT number, question, pictures, answer, asked_at, COALESCE(vote, 0) FROM turns "
            "LEFT JOIN votes ON votes.conversation = turns.conversation AND turn = number "
            "WHERE turns.conversation = ? ORDER BY number",
            conversation,
        )
        return tuple(
            Turn(number, question, tuple(json.loads(digests)), answer and json.loads(answer), *rest)
            for number, question, digests, answer, *rest in rows
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()
