"""From hits to a cited answer, sentence by sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

from data.records import Answer, Hit, Sentence
from data.sentences import sentences
from generation.chat import ChatModel
from generation.evidence import Embed, assemble
from generation.grounding import Grounder, GroundingSettings, quote
from generation.prompts import explain

__all__ = ["AnswerSettings", "Answerer"]


class AnswerSettings(BaseModel):
    """Sizes of one answer: sources shown, tokens of evidence, tokens written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: int = Field(3, ge=1, le=20)
    evidence_tokens: int = Field(300, ge=50, le=100_000)
    max_tokens: int = Field(140, ge=16, le=4096)
    grounding: GroundingSettings = GroundingSettings()


class Answerer:
    """Explains with `chat` what was found; `embed` is the text retriever."""

    def __init__(self, chat: ChatModel, embed: Embed, settings: AnswerSettings) -> None:
        self._chat = chat
        self._embed = embed
        self._settings = settings

    def stream(
        self, question: str, hits: Sequence[Hit], stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Sentence | Answer]:
        """Each sentence as soon as it is checked, then the whole answer.

        The model is asked for no more once `stopped` is true, between two sentences too.

        `Answer.quoted` says that the model wrote nothing that the evidence supports, and that the
        sentences are the evidence's own words.
        """
        began = time.perf_counter()
        timings: dict[str, float] = {}
        evidence = assemble(
            question,
            hits,
            self._embed,
            self._chat.count,
            items=self._settings.items,
            tokens=self._settings.evidence_tokens,
        )
        grounder = Grounder(evidence, self._embed, self._settings.grounding)
        checked: list[Sentence] = []
        pieces = self._chat.stream(explain(question, evidence), self._settings.max_tokens)
        for text in _sentences(_timed(pieces, began, timings, stopped)):
            sentence = grounder.check(text)
            if sentence and sentence.text not in {s.text for s in checked}:
                checked.append(sentence)
                yield sentence
        quoted = not checked
        if quoted:
            checked = quote(question, evidence, self._embed)
            yield from checked
        timings["generate"] = (time.perf_counter() - began) * 1000
        yield Answer(question, tuple(checked), tuple(hits), quoted=quoted, timings_ms=timings)


def _timed(
    pieces: Iterator[str], began: float, timings: dict[str, float], stopped: Callable[[], bool]
) -> Iterator[str]:
    for piece in pieces:
        if stopped():
            return
        timings.setdefault("first_token", (time.perf_counter() - began) * 1000)
        yield piece


def _sentences(pieces: Iterator[str]) -> Iterator[str]:
    """Sentences as they become complete: the last one waits, for a label may still follow it."""
    pending = ""
    for piece in pieces:
        pending += piece
        complete = _split(pending)
        if len(complete) > 1:
            yield from complete[:-1]
            pending = complete[-1] + pending[len(pending.rstrip()) :]
    # A reply that ran into its limit ends in half a sentence, which nobody can check.
    yield from (s for s in _split(pending) if s[-1] in '.!?])"”')


def _split(text: str) -> list[str]:
    """Sentences with the labels that follow their full stop: `It falls. [1] Then` -> 2."""
    parts: list[str] = []
    for line in text.splitlines():
        for part in sentences(line):
            head = part[: part.rfind("]") + 1] if part.lstrip().startswith("[") else ""
            if parts and head and not head.strip("[]0123456789, "):
                parts[-1] += " " + head
                part = part[len(head) :].strip()
            if part:
                parts.append(part)
    return parts
