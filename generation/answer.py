"""Turn hits into a cited answer, sentence by sentence.

First come quotations: the sentences of the evidence that answer the question best, word for word
and at once. Then come the sentences of the language model that the evidence supports and that add
something new.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from data.records import Answer, Hit, Sentence
from generation.chat import ChatModel
from generation.citations import CitationNumbers
from generation.embedding import Embed, EmbedOnce, Vector
from generation.evidence import Evidence, assemble
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

T = TypeVar("T")

_MAX_UNSUPPORTED = 2  # sentences in a row


class AnswerSettings(BaseModel):
    """Sizes of one answer: sources shown, tokens of evidence, tokens written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: int = Field(5, ge=1, le=20)
    evidence_tokens: int = Field(300, ge=50, le=100_000)
    max_tokens: int = Field(140, ge=16, le=4096)
    grounding: GroundingSettings = GroundingSettings()


class Answerer:
    """Make cited answers with `chat`. `embed` gives the text retriever's passage vectors."""

    def __init__(self, chat: ChatModel, embed: Embed, settings: AnswerSettings) -> None:
        self._chat = chat
        self._embed = embed
        self._settings = settings

    def stream(
        self,
        question: str,
        hits: Sequence[Hit],
        *,
        question_vector: Vector,
        topic_vector: Vector | None = None,
        task: TaskRequest = EXPLAIN,
        section_shares: Mapping[str, float] = MappingProxyType({}),
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[Sentence | Answer]:
        """Yield each sentence as soon as it is checked, then the whole answer.

        `question_vector` (D,) is the text retriever's query vector of `question`, of unit length.
        `topic_vector` (D,) is the vector of what the user typed or said. A sentence of the model on
        another topic is dropped, even if a source supports it; None skips this check.
        `section_shares`, by item id, is the share in [0, 1] of all hits in the item's section.

        The answer ends early once `stopped` returns true. It is a refusal if it has no sentence,
        unless it was stopped.
        """
        started = time.perf_counter()
        timings_ms: dict[str, float] = {}
        embed = EmbedOnce(self._embed, {question: question_vector})
        evidence = self._evidence(question_vector, hits, task, section_shares, embed)
        topic = topic_vector if task.uses_model else None
        grounder = Grounder(evidence, embed, self._settings.grounding, topic)
        numbers = CitationNumbers()
        sentences: list[Sentence] = []
        extracted = _extracted(question, question_vector, task, evidence, grounder, embed)
        generated = self._generated(question, task, evidence, grounder, sentences, stopped)
        for sentence in _until(stopped, chain(extracted, generated)):
            timings_ms.setdefault("first_sentence", _milliseconds_since(started))
            sentences.append(numbers.assign(sentence))
            yield sentences[-1]
        timings_ms["generate"] = _milliseconds_since(started)
        yield Answer(
            question,
            tuple(sentences),
            tuple(hits),
            refused=not sentences and not stopped(),
            quoted=bool(sentences) and all(s.quoted for s in sentences),
            timings_ms=timings_ms,
            task=task.task,
            level=task.level,
        )

    def _evidence(
        self,
        question_vector: Vector,
        hits: Sequence[Hit],
        task: TaskRequest,
        section_shares: Mapping[str, float],
        embed: Embed,
    ) -> list[Evidence]:
        """Return a few items for the model; without a model, all hits of the best documents."""
        items = self._settings.items
        if not task.uses_model:
            hits = _hits_of_best_documents(hits, items)
            items = max(1, len(hits))
        return assemble(
            question_vector,
            hits,
            embed,
            self._chat.count,
            items=items,
            tokens=self._settings.evidence_tokens,
            shares=section_shares,
        )

    def _generated(
        self,
        question: str,
        task: TaskRequest,
        evidence: Sequence[Evidence],
        grounder: Grounder,
        earlier: Sequence[Sentence],
        stopped: Callable[[], bool],
    ) -> Iterator[Sentence]:
        """Yield the model's sentences that are supported and not among the `earlier` ones."""
        if not task.uses_model or not evidence or stopped():
            return
        messages = prompt(question, evidence, task.task, task.level)
        pieces = self._chat.stream(messages, self._settings.max_tokens)
        yield from _checked(_until(stopped, pieces), grounder, [s.text for s in earlier])


def _extracted(
    question: str,
    question_vector: Vector,
    task: TaskRequest,
    evidence: Sequence[Evidence],
    grounder: Grounder,
    embed: Embed,
) -> Iterator[Sentence]:
    """Yield the sentences that need no model: the quiz, the feedback or the quotations."""
    if task.task == "quiz":
        return quiz(question, question_vector, evidence, embed)
    if task.task == "feedback":
        return feedback(question_vector, task.student_answer, evidence, grounder, embed)
    return iter(quote(question, question_vector, evidence))


def _checked(pieces: Iterator[str], grounder: Grounder, texts: Sequence[str]) -> Iterator[Sentence]:
    """Yield the sentences of a reply that the evidence supports and that repeat none of `texts`.

    A sentence that depends on the previous one is dropped if that one was. List items are numbered
    anew. Stop after `_MAX_UNSUPPORTED` sentences in a row without support.
    """
    texts = list(texts)
    step, unsupported, previous_kept = 0, 0, bool(texts)
    for text in reply_sentences(pieces):
        number, plain = numeral(text)
        sentence = grounder.check(plain) if previous_kept or not leans(plain) else None
        previous_kept = sentence is not None
        unsupported = 0 if previous_kept else unsupported + 1
        if unsupported == _MAX_UNSUPPORTED:
            return
        if sentence is None or any(repeats(sentence.text, earlier) for earlier in texts):
            continue
        texts.append(sentence.text)
        if number.strip("*-• "):
            step += 1
            sentence = replace(sentence, text=f"{step}. {sentence.text}")
        yield sentence


def _hits_of_best_documents(hits: Sequence[Hit], best: int) -> list[Hit]:
    """Return all hits from the documents of the first `best` hits."""
    documents = {(hit.item.corpus, hit.item.source) for hit in hits[:best]}
    return [hit for hit in hits if (hit.item.corpus, hit.item.source) in documents]


def _until(stopped: Callable[[], bool], values: Iterator[T]) -> Iterator[T]:
    for value in values:
        if stopped():
            return
        yield value


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
