"""What teachers see of everybody's questions: how many, never which."""

from __future__ import annotations

from pathlib import Path

from unirag.workspace.conversations import Conversations


def test_usage_counts_by_day_what_was_asked_answered_and_refused(tmp_path: Path) -> None:
    kept = Conversations(tmp_path / "conversations.db")
    assert kept.daily_usage() == []
    for owner, refused in (("a", False), ("b", True), ("b", False), ("c", None)):
        name = kept.create(owner)
        turn = kept.add_question(name, "Why?")
        if refused is not None:
            kept.save_answer(name, turn, {"query": "Why?", "refused": refused})
    ((_, asked, answered, without),) = kept.daily_usage()
    assert (asked, answered, without) == (4, 2, 1)
    kept.close()
