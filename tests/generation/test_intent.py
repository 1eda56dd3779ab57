"""Short messages are told apart by the shipped examples; skips without the models."""

from __future__ import annotations

from pathlib import Path

import pytest

from generation.intent import IntentClassifier
from retrieval.sentence_retriever import SentenceRetriever
from unirag.models.profiles import PROFILES

# none of them is an example
MESSAGES = {
    "greeting": ["Hi!", "hey there", "good evening", "yo", "who made you?"],
    "thanks": ["thank you", "ok thanks", "perfect, thank you!", "cheers", "nice one"],
    "simplify": [
        "I don't get it, simpler please", "can you make it easier", "i still don't understand",
        "huh? too hard for me", "explain again in simple words", "say it like for a kid",
    ],
    "quiz": [
        "test me on newtons laws", "make a quiz about acids", "ask me questions on the heart",
        "can i have a quiz about enzymes",
    ],
    "question": [
        "what is a lever", "how does binary search work", "is that always so?", "why is ice light",
        "what does a catalyst do to activation energy", "who discovered the electron?",
        "what is a test cross?", "what is hypothesis testing", "explain simple harmonic motion",
        "what is a simple pendulum", "how does sound travel", "what helps digestion?",
        "can you explain how a lens works", "does it float", "what is thankfulness",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def classifier(models: Path) -> IntentClassifier:
    retriever = SentenceRetriever("minilm", models / PROFILES["mini"].text.name)
    return IntentClassifier(retriever.encode_queries)


@pytest.mark.parametrize(
    ("intent", "message"), [(intent, m) for intent, texts in MESSAGES.items() for m in texts]
)
def test_a_message_gets_its_intent(classifier: IntentClassifier, intent: str, message: str) -> None:
    assert classifier.intent(message) == intent


def test_long_and_empty_messages_are_questions(classifier: IntentClassifier) -> None:
    assert classifier.intent("  ") == "question"
    assert classifier.intent("hi, " * 11) == "question"
