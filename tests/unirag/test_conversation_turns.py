"""What a message of a conversation asks for: its subject, its task, or only a reply."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data.records import Query, QueryImage
from generation.intent import Intent
from generation.tasks import EXPLAIN, TaskRequest
from tests.fakes import OnlyQuestions, fake_app
from tests.unirag.books import write_book
from unirag.app import App
from unirag.app.conversation import ConversationTurn, understand

PENDULUM = "What sets the period of a pendulum?"
INTENTS: dict[str, Intent] = {
    "hi": "greeting", "thanks": "thanks", "simpler please": "simplify", "quiz me": "quiz",
    "quiz me on levers": "quiz",
}  # fmt: skip


class ListedIntents(OnlyQuestions):
    """Takes the listed messages for what the list says."""

    def intent(self, message: str) -> Intent:
        return INTENTS.get(message, "question")


def turn_of(message: str, *history: str, task: TaskRequest = EXPLAIN) -> ConversationTurn:
    return understand(Query(message), history, task, ListedIntents())


def test_small_talk_gets_a_reply_under_any_task() -> None:
    for task in (EXPLAIN, TaskRequest("quiz"), TaskRequest("compare")):
        assert turn_of("hi", task=task).reply.startswith("Hello!")
        assert turn_of("thanks", PENDULUM, task=task).reply.startswith("You are welcome!")


def test_simpler_please_asks_the_last_question_again() -> None:
    task = TaskRequest("define", "college")
    turn = turn_of("simpler please", PENDULUM, "And on the Moon?", "thanks", task=task)
    assert turn.query.text == f"{PENDULUM} And on the Moon?"
    assert turn.task == TaskRequest("explain", "school")
    assert turn_of("simpler please").reply


def test_a_wish_for_a_quiz_becomes_one_about_its_subject() -> None:
    turn = turn_of("quiz me on levers", PENDULUM, task=TaskRequest("explain", "college"))
    assert (turn.task, turn.reply) == (TaskRequest("quiz", "college"), "")
    assert "levers" in turn.query.text
    assert PENDULUM in turn_of("quiz me", PENDULUM).query.text
    assert turn_of("quiz me").reply


def test_a_follow_up_carries_the_subject_past_small_talk() -> None:
    turn = turn_of("and on the moon?", PENDULUM, "thanks")
    assert turn.query.text == f"{PENDULUM} and on the moon?"


def test_a_students_answer_and_a_picture_are_taken_as_they_are(tmp_path: Path) -> None:
    task = TaskRequest("feedback", student_answer="hi")
    assert turn_of("hi", task=task) == ConversationTurn(Query("hi"), task)
    with_picture = Query("hi", images=[QueryImage(b"png")])
    assert understand(with_picture, [], EXPLAIN, ListedIntents()) == ConversationTurn(
        with_picture, EXPLAIN
    )


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with fake_app(tmp_path / "home", intents=ListedIntents()) as app:
        app.index([write_book(tmp_path / "book")], corpus="optics")
        yield app


def test_a_question_in_another_language_is_told_so(tmp_path: Path) -> None:
    german = "Warum wird das Licht beim Übergang in Glas gebrochen?"
    with fake_app(tmp_path / "home", intents=ListedIntents()) as app:
        app.index([write_book(tmp_path / "book")], corpus="optics")
        answer = app.ask(german)
        assert answer.text.startswith("I cannot read this language yet.")
        assert answer.text.endswith("Please ask in English.")
        assert not answer.hits
        assert app.ask("Why does light bend in glass?").hits
    settings = {"question_languages": ("en", "de")}
    with fake_app(tmp_path / "other", settings=settings) as app:
        app.index([tmp_path / "book"], corpus="optics")
        assert app.ask(german).hits


def test_a_greeting_is_answered_without_a_search_only_in_a_conversation(app: App) -> None:
    result, sentence, answer = app.stream("hi", history=[])
    assert (result.hits, sentence.citations) == ((), ())  # type: ignore[union-attr]
    assert answer.text.startswith("Hello!")  # type: ignore[union-attr]
    assert not answer.refused  # type: ignore[union-attr]
    assert not app.ask("hi").text.startswith("Hello!")
