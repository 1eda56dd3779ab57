"""Daily usage, which counts the questions of all owners."""

from __future__ import annotations

from pathlib import Path

from unirag.workspace.conversations import Conversations


def test_daily_usage_counts_questions_answers_and_refusals(tmp_path: Path) -> None:
    conversations = Conversations(tmp_path / "conversations.db")
    assert conversations.daily_usage() == []
    for owner, refused in (("a", False), ("b", True), ("b", False), ("c", None)):
        conversation = conversations.create(owner)
        turn = conversations.add_question(conversation, "Why?")
        if refused is not None:
            conversations.save_answer(conversation, turn, {"query": "Why?", "refused": refused})
    ((_, questions, answered, refusals),) = conversations.daily_usage()
    assert (questions, answered, refusals) == (4, 2, 1)
    conversations.close()
