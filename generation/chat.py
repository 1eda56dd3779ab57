"""What a language model is to the rest of the system: messages in, pieces of text out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["ChatModel", "Message"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


class ChatModel(Protocol):
    """Closing the iterator that `stream` gives stops the generation."""

    name: str

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """Pieces of the reply in order, decoded greedily."""
        ...

    def count(self, text: str) -> int:
        """Tokens of `text`; an estimate where the tokeniser is elsewhere."""
        ...
