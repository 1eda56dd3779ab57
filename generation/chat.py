"""The interface of a language model: messages in, pieces of text out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["ChatModel", "ChatSize", "Message"]

# A small model gets a short prompt and quotations before its own sentences. A large one gets more
# evidence and full instructions, and quotations only if none of its sentences is supported.
ChatSize = Literal["small", "large"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat, with the role of its author."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatModel(Protocol):
    """A language model that replies to a list of messages. `name` is the name of the model."""

    name: str

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        """Yield the reply piece by piece, decoded greedily.

        Closing the iterator stops the generation.
        """
        ...

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`, estimated if the tokeniser is on a server."""
        ...
