"""Quote the sentences of the evidence that answer a question best, word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from data.folding import fold
from data.records import Sentence, Task
from generation.definitions import defines_topic
from generation.embedding import Vector
from generation.evidence import LABELS_PREFIX, Evidence
from generation.reply import split_list_number
from generation.settings import AnswerSettings, QuotationSettings
from generation.statements import Statement, depends_on_previous
from generation.table_rows import answering_rows, most_specific
from generation.tasks import EXPLAIN, TaskRequest
from generation.text_models import ScorePairs, with_cosine
from generation.word_lists import WORDS
from generation.words import any_of, repeats, word_count

__all__ = ["quote", "with_title"]

_SENTENCES_OF_ANY_LENGTH = 2
_QUESTION = re.compile(r"\?(?=\s|$)")  # "How long must it be? Use g = 9.8" is an exercise too
_PANEL = re.compile(r"\([a-z]\)\s+(?=[A-Z])")  # the label of a figure's part before its caption
_SENTENCE_ENDS = (".", "!", ".”", '."', ".)", "\\)", "\\]", "$")


@dataclass(frozen=True)
class _Candidate:
    """A sentence that may be quoted, with its relevance to the question in [0, 1].

    `text` is the part of the sentence that is quoted.
    """

    statement: Statement
    text: str
    relevance: float


def quote(
    question: str,
    question_vector: Vector,
    evidence: Sequence[Evidence],
    relevance: ScorePairs,
    settings: AnswerSettings,
    task: TaskRequest = EXPLAIN,
) -> list[Sentence]:
    """Return the sentences that help most to answer `question`: best source first, then in order.

    A definition is shorter and an answer for college longer by one sentence. Steps come from one
    source, a comparison from two at least. Instructions, questions and figure labels are never
    quoted. A sentence that refers to the previous one is quoted with it. Of a table the rows are
    quoted that the question asks for.
    """
    limits = settings.quotation
    count = limits.sentences + (task.level == "college") - (task.task == "define")
    candidates = _candidates(question, question_vector, evidence, relevance, limits)
    chosen: list[_Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (-c.relevance, c.statement.position)):
        least = limits.min_next_relevance if chosen else limits.min_relevance
        if len(chosen) >= count or candidate.relevance < least:
            break
        if not _fits(candidate, chosen, task.task, limits) or any(
            repeats(candidate.text, c.text, settings.repeat_overlap) for c in chosen
        ):
            continue
        chosen += [c for c in _with_previous(candidate, candidates) if c not in chosen]
    labels = [c.statement.source.label for c in chosen]
    ordered = sorted(
        chosen, key=lambda c: (labels.index(c.statement.source.label), c.statement.index)
    )
    return [replace(c.statement.cite(c.text, c.relevance), quoted=True) for c in ordered]


def _fits(
    candidate: _Candidate, chosen: Sequence[_Candidate], task: Task, limits: QuotationSettings
) -> bool:
    """Return whether a candidate is short enough, and from a source that the task wants next."""
    words = sum(len(c.text.split()) for c in (*chosen, candidate))
    if len(chosen) >= _SENTENCES_OF_ANY_LENGTH and words > limits.words:
        return False
    sources = {c.statement.source.label for c in chosen}
    is_new = candidate.statement.source.label not in sources
    if is_new and len(sources) >= limits.sources:
        return False
    if task == "steps":
        return not chosen or not is_new
    if task == "compare":
        return len(sources) != 1 or is_new
    return True


def with_title(title: str, text: str) -> str:
    """Return a text as the reranker reads it: folded, after its title unless it begins with it."""
    return fold(text if not title or text.startswith(title) else f"{title}: {text}")


def _candidates(
    question: str,
    question_vector: Vector,
    evidence: Sequence[Evidence],
    relevance: ScorePairs,
    settings: QuotationSettings,
) -> list[_Candidate]:
    quotable = [
        *_wanted_rows(evidence, question),
        *((s, _plain_text(s)) for s in _statements(evidence) if _can_be_quoted(s, settings)),
    ]
    pairs = [(question, with_title(s.source.item.title, text)) for s, text in quotable]
    cosine_N = np.array([s.cosine(question_vector) for s, _ in quotable], np.float32)
    scores = with_cosine(relevance(pairs), cosine_N, settings.cosine_weight)
    scores[[defines_topic(s.source.item, question) for s, _ in quotable]] = 1.0
    return [
        _Candidate(statement, text, float(score))
        for (statement, text), score in zip(quotable, scores, strict=True)
    ]


def _wanted_rows(evidence: Sequence[Evidence], question: str) -> list[tuple[Statement, str]]:
    """Return the rows of tables that the question asks for, each with the part to quote."""
    wanted = [
        (statement, rows[statement.text])
        for source in evidence
        if source.item.role == "table"
        for rows in [answering_rows(question, source.item.text)]
        for statement in _statements([source])
        if statement.text in rows
    ]
    texts = [f"{statement.source.item.title} {text}" for statement, text in wanted]
    return [wanted[n] for n in most_specific(question, texts)]


def _statements(evidence: Sequence[Evidence]) -> list[Statement]:
    return [Statement(source, n) for source in evidence for n in range(len(source.sentences))]


def _with_previous(candidate: _Candidate, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Return a candidate after the sentence that it refers to or goes on with, if there is one."""
    goes_on = depends_on_previous(candidate.text) or candidate.text[0].islower()
    if candidate.statement.source.item.role == "table" or not goes_on:
        return [candidate]
    label, index = candidate.statement.position
    previous = [c for c in candidates if c.statement.position == (label, index - 1)]
    return [*previous, candidate]


def _plain_text(statement: Statement) -> str:
    """Return the sentence without its list number, its bullet or the label of a figure's part."""
    text = split_list_number(statement.text)[1] or statement.text
    return _PANEL.sub("", text, count=1) if _PANEL.match(text) else text


def _can_be_quoted(statement: Statement, settings: QuotationSettings) -> bool:
    """Return whether a sentence is a statement.

    It is none if it is a heading, an instruction, a question, a label, a note in parentheses, or
    the description of a figure for those who cannot see it, where the figure has a caption too.
    """
    item, text = statement.source.item, _plain_text(statement)
    if item.role == "table":
        return False  # its rows are chosen by the question, and its caption is their title
    caption, _, alt = item.text.partition("\n")
    if item.kind == "figure" and alt and statement.text not in caption:
        return False
    # Only captions and definitions may lack a full stop; other such lines are headings.
    complete = item.kind == "figure" or item.role == "term" or text.endswith(_SENTENCE_ENDS)
    return (
        complete
        and word_count(text) >= settings.min_words
        and not text.endswith(":")
        and not _QUESTION.search(text)
        and not text.startswith((LABELS_PREFIX, "("))
        and not _instruction().match(text)
    )


@lru_cache(maxsize=8)
def _instruction(language: str = "en") -> re.Pattern[str]:
    """Return a pattern for the beginning of an instruction or announcement.

    It matches "Use a lever" and "(a) Use a lever", but not "Use of levers".
    """
    verbs = any_of(WORDS[language].instruction_verbs)
    announcements = any_of(WORDS[language].announcements)
    return re.compile(
        rf"(?:\([a-z]\) )?(?:{verbs})(?:[’']s)?\b(?!\s+of\b)|(?:{announcements})\b", re.IGNORECASE
    )
