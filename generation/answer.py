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

from data.records import Answer, Hit, Sentence
from generation.chat import ChatModel
from generation.citations import CitationNumbers
from generation.embedding import Embed, EmbedOnce, Vector
from generation.evidence import Evidence, assemble
from generation.feedback import feedback
from generation.grounding import Grounder
from generation.prompts import prompt
from generation.quiz import quiz
from generation.quotation import quote
from generation.reply import reply_sentences, split_list_number
from generation.settings import AnswerSettings
from generation.statements import depends_on_previous, find_statements
from generation.tasks import EXPLAIN, TaskRequest
from generation.words import repeats

__all__ = ["Answerer"]

T = TypeVar("T")


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
        extracted = self._extracted(question, question_vector, task, evidence, grounder, embed)
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
            section_shares=section_shares,
        )

    def _extracted(
        self,
        question: str,
        question_vector: Vector,
        task: TaskRequest,
        evidence: Sequence[Evidence],
        grounder: Grounder,
        embed: Embed,
    ) -> Iterator[Sentence]:
        """Return the sentences that need no model: a quiz, feedback or quotations."""
        settings = self._settings
        if task.uses_model:
            return iter(quote(question, question_vector, evidence, settings))
        statements = find_statements(question_vector, evidence, settings.statements)
        if task.task == "quiz":
            return quiz(question, statements, evidence, embed, settings.quiz)
        return feedback(
            task.student_answer, statements, evidence, grounder, embed, settings.feedback
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
        yield from _checked(
            _until(stopped, pieces), grounder, [s.text for s in earlier], self._settings
        )


def _checked(
    pieces: Iterator[str], grounder: Grounder, earlier: Sequence[str], settings: AnswerSettings
) -> Iterator[Sentence]:
    """Yield the sentences of a reply that the evidence supports and that repeat no earlier one.

    If a sentence is dropped, so is a next sentence that depends on it. List items are numbered
    again. Stop after too many sentences in a row without support.
    """
    texts = list(earlier)
    step, unsupported, previous_kept = 0, 0, bool(texts)
    for text in reply_sentences(pieces):
        number, plain = split_list_number(text)
        understandable = previous_kept or not depends_on_previous(plain)
        sentence = grounder.check(plain) if understandable else None
        previous_kept = sentence is not None
        unsupported = 0 if previous_kept else unsupported + 1
        if unsupported == settings.unsupported_sentences:
            return
        if sentence is None or any(
            repeats(sentence.text, other, settings.repeat_overlap) for other in texts
        ):
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
