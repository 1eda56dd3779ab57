"""Turn hits into a cited answer, sentence by sentence.

A large language model explains in its own words; every sentence is checked against the evidence. If
none is supported, the sentences of the evidence that answer the question best are quoted instead.
With a small model the quotations come first, word for word and at once; if it may write, those of
its sentences follow that the evidence supports and that add something new.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from data.errors import BadSetting, Missing
from data.records import Answer, Hit, Sentence
from generation.chat import ChatModel, ChatSize
from generation.citations import CitationNumbers
from generation.embedding import Embed, EmbedOnce, Vector
from generation.evidence import Evidence, assemble
from generation.feedback import feedback
from generation.grounding import Grounder
from generation.prompts import NO_EVIDENCE, prompt
from generation.quiz import quiz
from generation.quotation import quote
from generation.reply import reply_sentences, split_list_number
from generation.settings import AnswerSettings
from generation.statements import depends_on_previous, find_statements
from generation.tasks import EXPLAIN, TaskRequest
from generation.text_models import TextModels
from generation.words import repeats

__all__ = ["Answerer"]

T = TypeVar("T")


class _NoEvidenceError(Exception):
    """The language model says that the evidence does not answer the question."""


class Answerer:
    """Make cited answers: `chat` writes them, `models` read and check them.

    Without `chat` every answer is quoted, and no language model is loaded.
    """

    def __init__(
        self,
        chat: ChatModel | None,
        models: TextModels,
        settings: AnswerSettings,
        size: ChatSize = "small",
    ) -> None:
        self._chat = chat
        self._models = models
        self._settings = settings
        self._size = size

    def stream(
        self,
        question: str,
        hits: Sequence[Hit],
        *,
        question_vector: Vector,
        topic_vector: Vector | None = None,
        task: TaskRequest = EXPLAIN,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[Sentence | Answer]:
        """Yield each sentence as soon as it is checked, then the whole answer.

        `question_vector` (D,) is the text retriever's query vector of `question`, of unit length.
        `topic_vector` (D,) is the vector of what the user typed or said. A sentence of the model on
        another topic is dropped, even if a source supports it; None skips this check.

        The answer ends early once `stopped` returns true. It is a refusal if it has no sentence,
        unless it was stopped.
        """
        started = time.perf_counter()
        timings_ms: dict[str, float] = {}
        embed = EmbedOnce(self._models.embed, {question: question_vector})
        models = replace(self._models, embed=embed)
        evidence = self._evidence(question_vector, hits, task, embed)
        topic, grounding = None, self._settings.grounding
        if task.uses_model:
            topic = topic_vector
            support = self._settings.for_size(self._size).support
            grounding = grounding.model_copy(update={"support": support})
        grounder = Grounder(evidence, models, grounding, topic)
        numbers = CitationNumbers()
        sentences: list[Sentence] = []
        extracted = self._extracted(question, question_vector, task, evidence, grounder, models)
        generated = self._generated(question, task, evidence, grounder, sentences, stopped)
        if self._size == "large" and task.uses_model:
            candidates = _first_that_yields(generated, extracted)
        else:
            candidates = chain(extracted, generated)
        try:
            for sentence in _until(stopped, candidates):
                timings_ms.setdefault("first_sentence", _milliseconds_since(started))
                sentences.append(numbers.assign(sentence))
                yield sentences[-1]
        except _NoEvidenceError:
            pass  # the answer is a refusal
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
            self._chat.count if self._chat else _count_words,
            items=items,
            tokens=self._settings.for_size(self._size).evidence_tokens,
        )

    def _extracted(
        self,
        question: str,
        question_vector: Vector,
        task: TaskRequest,
        evidence: Sequence[Evidence],
        grounder: Grounder,
        models: TextModels,
    ) -> Iterator[Sentence]:
        """Yield the sentences that need no model: a quiz, feedback or quotations."""
        settings = self._settings
        if task.uses_model:
            yield from quote(question, question_vector, evidence, models.relevance, settings, task)
            return
        statements = find_statements(question_vector, evidence, settings.statements)
        if task.task == "quiz":
            yield from quiz(question, statements, evidence, models.embed, settings.quiz)
        else:
            yield from feedback(
                task.student_answer, statements, evidence, grounder, models.embed, settings.feedback
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
        if self._chat is None or not task.uses_model or not evidence or stopped():
            return
        writing = self._settings.for_size(self._size)
        messages = prompt(question, evidence, task.task, task.level, self._size)
        pieces = _until(stopped, self._chat.stream(messages, writing.max_tokens))
        yield from _checked(
            pieces,
            grounder,
            [s.text for s in earlier],
            self._settings.repeat_overlap,
            writing.unsupported_sentences,
        )


def _checked(
    pieces: Iterator[str],
    grounder: Grounder,
    earlier: Sequence[str],
    repeat_overlap: float,
    max_unsupported: int,
) -> Iterator[Sentence]:
    """Yield the sentences of a reply that the evidence supports and that repeat no earlier one.

    If a sentence is dropped, so is a next sentence that depends on it. List items are numbered
    again. Stop after `max_unsupported` sentences in a row without support.
    """
    texts = list(earlier)
    step, unsupported, previous_kept = 0, 0, bool(texts)
    for text in reply_sentences(pieces):
        if text.startswith(NO_EVIDENCE) and not texts:
            raise _NoEvidenceError
        number, plain = split_list_number(text)
        understandable = previous_kept or not depends_on_previous(plain)
        sentence = grounder.check(plain) if understandable else None
        previous_kept = sentence is not None
        unsupported = 0 if previous_kept else unsupported + 1
        if unsupported == max_unsupported:
            return
        if sentence is None or any(
            repeats(sentence.text, other, repeat_overlap) for other in texts
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


def _first_that_yields(first: Iterator[T], second: Iterator[T]) -> Iterator[T]:
    """Yield the values of `first`, or those of `second` if `first` has none, or fails at once."""
    empty, failure = True, None
    try:
        for value in first:
            empty = False
            yield value
    except (Missing, BadSetting) as error:
        failure = error
    if empty:
        yield from second
    if failure is not None:
        raise failure


def _until(stopped: Callable[[], bool], values: Iterator[T]) -> Iterator[T]:
    for value in values:
        if stopped():
            return
        yield value


def _count_words(text: str) -> int:
    return len(text.split())


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
