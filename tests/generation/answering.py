"""A scripted model, word-count vectors and hits: the tests of this folder make answers of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from data.records import Answer, Hit, Item
from generation.answer import Answerer
from generation.chat import ChatModel, Message
from generation.settings import AnswerSettings, WritingSettings
from generation.text_models import TextModels
from generation.words import content_words, longest_common_subsequence

__all__ = [
    "HITS",
    "MODELS",
    "PENDULUM",
    "QUESTION",
    "Script",
    "answer_to",
    "embed",
    "hit",
    "pendulum_hit",
]


def embed(texts: Sequence[str]) -> np.ndarray:
    """Return hashed word counts of unit length: texts with common words are similar."""
    vectors = np.zeros((len(texts), 512), dtype=np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for word in text.lower().translate(str.maketrans(".,:?", "    ")).split():
            row[zlib.crc32(word.encode()) % 512] += 1
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


class Script:
    """A chat model that gives a fixed reply in pieces of `size` characters."""

    name = "script"

    def __init__(self, reply: str, size: int = 7) -> None:
        self.reply, self.size = reply, size
        self.prompt: Sequence[Message] = ()

    def count(self, text: str) -> int:
        return len(text.split())

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        self.prompt = messages
        for start in range(0, len(self.reply), self.size):
            yield self.reply[start : start + self.size]


def relevance(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Return the share of the question's content words that a text has."""
    return np.array([_share(words, text) for words, text in pairs], np.float32)


def entailment(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Return the share of a sentence's content words that the premise has in the same order."""
    scores = []
    for premise, sentence in pairs:
        words = content_words(sentence)
        common = longest_common_subsequence(words, content_words(premise))
        scores.append(common / max(1, len(words)))
    return np.array(scores, np.float32)


def _share(words: str, text: str) -> float:
    expected = set(content_words(words))
    return len(expected & set(content_words(text))) / max(1, len(expected))


MODELS = TextModels(embed, relevance, entailment)


def hit(name: str, text: str, **values: object) -> Hit:
    item = Item(name, "passage", "c", f"s#{name}", name, text, **values)  # type: ignore[arg-type]
    return Hit(item, 1.0, {"text": 0.9})


HITS = [
    hit("force", "Net force equals mass times acceleration. A 2 kg ball needs 6 N for 3 m/s^2."),
    hit("energy", "Kinetic energy grows with the square of the speed of a moving body."),
    hit("steam", "Steam comes from boiling water. Look at the steam. Where does steam come from?"),
]
QUESTION = "Where does steam come from?"  # the scripted model says nothing about it


def answer_to(
    question: str, hits: Sequence[Hit], chat: ChatModel | None = None, **options: Any
) -> Answer:
    """Return the answer, after checking that its sentences were yielded before it."""
    # The fake entailment is a share of common words, which few paraphrases raise to 0.85.
    writing = WritingSettings(support=0.75)
    answerer = Answerer(chat or Script(""), MODELS, AnswerSettings(small=writing))
    vector = embed([question])[0]
    *sentences, answer = answerer.stream(question, hits, question_vector=vector, **options)
    assert isinstance(answer, Answer)
    assert answer.sentences == tuple(sentences)
    return answer


def pendulum_hit(name: str, text: str, **values: Any) -> Hit:
    values = {"section": ("The simple pendulum", name), "source": "pendulum.md"} | values
    return Hit(Item(name, "passage", "c", f"s#{name}", name, text, **values), 1.0, {"text": 0.9})


PENDULUM = [
    pendulum_hit(
        "The period",
        "For small swings the period of a pendulum is \\[ T = 2\\pi\\sqrt{\\frac{L}{g}} . \\]\n"
        "The period of a pendulum depends on its length. This is true of a small swing. "
        "Figure 3 shows the period of a pendulum on the Moon. "
        "On the Moon the pendulum swings about 2.5 times more slowly. "
        "The period of a pendulum follows from gravity, \\(g = 9.8\\ \\text{m/s}^2\\), alone. "
        "The mass of the bob does not change the period of a pendulum.",
    ),
    pendulum_hit("Period", "Period: the time of one complete swing there and back.", role="term"),
    pendulum_hit("Problem", "Find the period of a pendulum of 0.80 m.", role="exercise"),
    pendulum_hit("Acids", "An acid gives protons to water.", source="acids.md"),
]
