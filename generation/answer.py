"""From hits to a cited answer, sentence by sentence: the sources' own words, then the model's.

Extract, then explain: what the evidence says best comes first, at once and word for word; of what
the model then writes, the sentences are passed on that the evidence supports and that add to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from data.records import Answer, Hit, Sentence
from generation.chat import ChatModel
from generation.evidence import Embed, assemble
from generation.feedback import feedback
from generation.grounding import Grounder, GroundingSettings
from generation.prompts import prompt
from generation.quiz import quiz
from generation.quotation import quote
from generation.reply import numeral, reply_sentences
from generation.statements import leans
from generation.tasks import EXPLAIN, TaskRequest
from generation.words import repeats

__all__ = ["AnswerSettings", "Answerer"]


_LOST = 2  # sentences in a row that the evidence does not support


class AnswerSettings(BaseModel):
    """Sizes of one answer: sources shown, tokens of evidence, tokens written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: int = Field(5, ge=1, le=20)
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
        wanted: TaskRequest = EXPLAIN,
        about: str = "",
        shares: Mapping[str, float] = MappingProxyType({}),
    ) -> Iterator[Sentence | Answer]:
        """Each sentence as soon as it is checked, then the whole answer.

        The model is asked for no more once `stopped` is true, between two sentences too. `about`
        is the question in the asker's own words; a sentence that the model writes on another
        subject is dropped, whatever source it has. `shares`, by item id, say how much of what was
        found is of an item's section, in [0, 1].

        `Answer.quoted` says that all sentences are the evidence's own words: the model wrote
        nothing besides that the evidence supports. Without a sentence it is refused, unless it was
        stopped.
        """
        began = time.perf_counter()
        timings: dict[str, float] = {}
        most = self._settings.items
        evidence = assemble(
            question,
            hits if wanted.uses_model else _around(hits, most),
            self._embed,
            self._chat.count,
            items=most if wanted.uses_model else max(1, len(hits)),
            tokens=self._settings.evidence_tokens,
            shares=shares,
        )
        topic = about if wanted.uses_model else ""
        grounder = Grounder(evidence, self._embed, self._settings.grounding, topic)
        quoted = True
        if wanted.task == "quiz":
            made = quiz(question, evidence, self._embed)
        elif wanted.task == "feedback":
            made = feedback(question, wanted.student_answer, evidence, grounder, self._embed)
        else:
            made = iter(quote(question, evidence, self._embed))
        checked: list[Sentence] = []
        for sentence in made:
            if stopped():
                break
            timings.setdefault("first_sentence", (time.perf_counter() - began) * 1000)
            checked.append(sentence)
            yield sentence
        if wanted.uses_model and evidence and not stopped():
            messages = prompt(question, evidence, wanted.task, wanted.level)
            pieces = self._chat.stream(messages, self._settings.max_tokens)
            for sentence in _checked(_until(pieces, stopped), grounder, checked):
                if stopped():
                    break
                quoted = False
                checked.append(sentence)
                yield sentence
        timings["generate"] = (time.perf_counter() - began) * 1000
        yield Answer(
            question,
            tuple(checked),
            tuple(hits),
            refused=not checked and not stopped(),
            quoted=quoted and wanted.uses_model and bool(checked),
            timings_ms=timings,
            task=wanted.task,
            level=wanted.level,
        )


def _around(hits: Sequence[Hit], most: int) -> list[Hit]:
    """All hits from the documents of the first `most`: what no model reads may be longer."""
    near = {(h.item.corpus, h.item.source) for h in hits[:most]}
    return [h for h in hits if (h.item.corpus, h.item.source) in near]


def _checked(
    pieces: Iterator[str], grounder: Grounder, quoted: Sequence[Sentence]
) -> Iterator[Sentence]:
    """What the model wrote, the evidence supports and nobody said yet; its steps numbered anew.

    A sentence that leans on the one before it goes where that one went. Who has lost the thread is
    not listened to any longer.
    """
    said = [s.text for s in quoted]
    step, lost, kept = 0, 0, bool(said)
    for text in reply_sentences(pieces):
        number, plain = numeral(text)
        sentence = grounder.check(plain) if kept or not leans(plain) else None
        again = sentence is not None and any(repeats(sentence.text, s) for s in said)
        kept = sentence is not None
        lost = 0 if kept else lost + 1
        if lost == _LOST:
            return
        if sentence is None or again:
            continue
        said.append(sentence.text)
        if number.strip("*-• "):
            step += 1
            sentence = replace(sentence, text=f"{step}. {sentence.text}")
        yield sentence


def _until(pieces: Iterator[str], stopped: Callable[[], bool]) -> Iterator[str]:
    for piece in pieces:
        if stopped():
            return
        yield piece
