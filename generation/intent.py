"""Tell what a short message of a conversation wants: an answer, small talk, a quiz, simpler words.

A ridge regression on the text retriever's vectors of the example messages in intents.json, solved
when the first message comes. More examples are the way to teach it more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from generation.embedding import Embed

__all__ = ["REPLIES", "Intent", "IntentClassifier"]

Intent = Literal["question", "greeting", "thanks", "simplify", "quiz"]
INTENTS: tuple[Intent, ...] = get_args(Intent)

REPLIES: Mapping[Intent, str] = {
    "greeting": "Hello! Ask me a question about your books: type it, show a picture or say it.",
    "thanks": "You are welcome! Ask me whenever something is unclear.",
    "simplify": "Tell me first what you would like to understand; then I can put it more simply.",
    "quiz": "Tell me what to quiz you on, for example: quiz me on photosynthesis.",
}
_EXAMPLES = Path(__file__).with_name("intents.json")
_MAX_WORDS = 10  # longer messages are questions
_RIDGE = 1.0  # penalty on the weights (tests/generation/test_intent.py)


class IntentClassifier:
    """Classifies messages. `embed` makes unit vectors of texts, (B, D)."""

    def __init__(self, embed: Embed) -> None:
        examples: dict[Intent, list[str]] = json.loads(_EXAMPLES.read_text(encoding="utf-8"))
        messages = [message for intent in INTENTS for message in examples[intent]]
        x_ED = self._with_bias(embed(messages))
        targets_EC = np.concatenate(
            [np.eye(len(INTENTS))[[n] * len(examples[i])] for n, i in enumerate(INTENTS)]
        )
        covariance_DD = x_ED.T @ x_ED + _RIDGE * np.eye(x_ED.shape[1])
        self._embed = embed
        self._weights_DC = np.linalg.solve(covariance_DD, x_ED.T @ targets_EC)

    def intent(self, message: str) -> Intent:
        """Return what the message wants; a long one or an empty one is a question."""
        if not message.strip() or len(message.split()) > _MAX_WORDS:
            return "question"
        scores_C = self._with_bias(self._embed([message.strip()]))[0] @ self._weights_DC
        return INTENTS[int(np.argmax(scores_C))]

    @staticmethod
    def _with_bias(vectors_BD: np.ndarray) -> np.ndarray:
        return np.concatenate([vectors_BD, np.ones((len(vectors_BD), 1))], axis=1)
