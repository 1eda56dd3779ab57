"""From hits to a cited answer, sentence by sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from data.records import Answer, Hit, Sentence
from generation.chat import ChatModel
from generation.evidence import Embed, assemble
from generation.feedback import feedback
from generation.grounding import Grounder, GroundingSettings, quote
from generation.prompts import prompt
from generation.quiz import quiz
from generation.reply import numeral, reply_sentences
from generation.tasks import EXPLAIN, Wanted

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
        self,
        question: str,
        hits: Sequence[Hit],
        stopped: Callable[[], bool] = lambda: False,
        wanted: Wanted = EXPLAIN,
        about: str = "",
    ) -> Iterator[Sentence | Answer]:
        """Each sentence as soon as it is checked, then the whole answer.

        The model is asked for no more once `stopped` is true, between two sentences too. `about`
        is the question in the asker's own words; a sentence that the model writes on another
        subject is dropped, whatever source it has.

        `Answer.quoted` says that the model wrote nothing that the evidence supports, and that the
        sentences are the evidence's own words. A quiz that cannot be made is refused.
        """
        began = time.perf_counter()
        timings: dict[str, float] = {}
        most = self._settings.items
        evidence = assemble(
            question,
            hits if wanted.written else _around(hits, most),
            self._embed,
            self._chat.count,
            items=most if wanted.written else max(1, len(hits)),
            tokens=self._settings.evidence_tokens,
        )
        topic = about if wanted.written else ""
        grounder = Grounder(evidence, self._embed, self._settings.grounding, topic)
        if wanted.task == "quiz":
            made = quiz(question, evidence, self._embed)
        elif wanted.task == "feedback":
            made = feedback(question, wanted.student_answer, evidence, grounder, self._embed)
        else:
            messages = prompt(question, evidence, wanted.task, wanted.level)
            pieces = self._chat.stream(messages, self._settings.max_tokens)
            made = _checked(_timed(pieces, began, timings, stopped), grounder)
        checked: list[Sentence] = []
        for sentence in made:
            if stopped():
                break
            checked.append(sentence)
            yield sentence
        quoted = wanted.written and not checked
        if quoted:
            checked = quote(question, evidence, self._embed)
            yield from checked
        timings["generate"] = (time.perf_counter() - began) * 1000
        yield Answer(
            question,
            tuple(checked),
            tuple(hits),
            refused=not wanted.written and not checked,
            quoted=quoted,
            timings_ms=timings,
            task=wanted.task,
            level=wanted.level,
        )


def _around(hits: Sequence[Hit], most: int) -> list[Hit]:
    """All hits from the documents of the first `most`: what no model reads may be longer."""
    near = {(h.item.corpus, h.item.source) for h in hits[:most]}
    return [h for h in hits if (h.item.corpus, h.item.source) in near]


def _checked(pieces: Iterator[str], grounder: Grounder) -> Iterator[Sentence]:
    """What the model wrote and the evidence supports, said once, its steps numbered anew."""
    said: set[str] = set()
    step = 0
    for text in reply_sentences(pieces):
        number, plain = numeral(text)
        sentence = grounder.check(plain)
        if sentence is None or sentence.text in said:
            continue
        said.add(sentence.text)
        if number.strip("*-• "):
            step += 1
            sentence = replace(sentence, text=f"{step}. {sentence.text}")
        yield sentence


def _timed(
    pieces: Iterator[str], began: float, timings: dict[str, float], stopped: Callable[[], bool]
) -> Iterator[str]:
    for piece in pieces:
        if stopped():
            return
        timings.setdefault("first_token", (time.perf_counter() - began) * 1000)
        yield piece
