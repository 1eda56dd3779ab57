"""Quote the sentences of the evidence that answer a question best, word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from data.records import Item, Sentence
from generation.embedding import Vector
from generation.evidence import LABELS_PREFIX, Evidence
from generation.reply import split_list_number
from generation.settings import AnswerSettings, QuotationSettings
from generation.statements import Statement, depends_on_previous, stands_alone
from generation.word_lists import WORDS
from generation.words import any_of, content_words, repeats, stems, topic_words, word_count

__all__ = ["quote"]

_SENTENCE_ENDS = (".", "!", ".”", '."', ".)", "\\)", "\\]", "$")


def quote(
    question: str,
    question_vector: Vector,
    evidence: Sequence[Evidence],
    settings: AnswerSettings,
) -> list[Sentence]:
    """Return the sentences with the highest scores: best source first, then in reading order.

    A sentence that only repeats the question is quoted too, but does not count: its neighbours may
    answer the question. Instructions, questions and figure labels are never quoted.
    """
    limits = settings.quotation
    candidates = [
        statement
        for source in evidence
        for statement in _statements(source, question_vector)
        if statement.similarity >= limits.min_similarity and _can_be_quoted(statement, limits)
    ]
    echoes = [s for s in candidates if _is_echo(_plain_text(s), question, limits)]
    chosen = [max(echoes, key=lambda s: s.similarity)] if echoes else []
    count = limits.sentences + len(chosen)
    min_score = limits.min_score_after_echo if chosen else 0.0
    while len(chosen) < count:
        candidates = [c for c in candidates if not _repeats_any(c, chosen, settings)]
        if not candidates:
            break
        scores = {c.position: _score(c, question, chosen, settings) for c in candidates}
        best = min(candidates, key=lambda c: (-scores[c.position], c.position))
        score = scores[best.position]
        if chosen and score < min_score:
            break
        min_score = max(min_score, score - limits.max_drop)
        chosen.append(best)
    labels = [s.source.label for s in chosen]
    ordered = sorted(chosen, key=lambda s: (labels.index(s.source.label), s.index))
    return [replace(s.cite(_plain_text(s)), quoted=True) for s in ordered]


def _statements(source: Evidence, question_vector: Vector) -> list[Statement]:
    """Return all sentences of a source."""
    similarity_S = source.vectors_SD @ question_vector
    return [Statement(source, n, float(similarity)) for n, similarity in enumerate(similarity_S)]


def _score(
    statement: Statement, question: str, chosen: Sequence[Statement], settings: AnswerSettings
) -> float:
    """Return the cosine of a sentence with the question, plus its bonuses, minus its penalties."""
    weights = settings.quotation
    source, item = statement.source, statement.source.item
    score = statement.similarity
    score += weights.item_weight * source.similarity + weights.section_weight * source.section_share
    if item.role == "term":
        share = _term_share(stems(item.title), topic_words(question))
        score += weights.definition_bonus * (share if share >= weights.min_term_share else 0.0)
    if item.role == "note":
        score -= weights.note_penalty
    if item.role in ("solution", "example"):
        score -= weights.worked_problem_penalty
    distances = {statement.index - c.index for c in chosen if c.source.label == source.label}
    if distances & {-1, 1}:
        score += weights.neighbour_bonus
    if chosen and _section(item) != _section(chosen[0].source.item):
        score -= weights.other_section_penalty
    if 1 not in distances and _needs_context(statement, settings):
        score -= weights.dependent_penalty
    return score


def _needs_context(statement: Statement, settings: AnswerSettings) -> bool:
    """Return whether a sentence needs the previous one; captions and definitions are complete."""
    item, text = statement.source.item, _plain_text(statement)
    if item.kind == "figure" or item.role == "term":
        return depends_on_previous(text)
    return not stands_alone(text, settings.statements)


def _term_share(term: frozenset[str], topic: frozenset[str]) -> float:
    """Return the share of the topic words that are in a term; 0 if the term has other words."""
    return len(term) / len(topic) if topic and term <= topic else 0.0


def _is_echo(text: str, question: str, settings: QuotationSettings) -> bool:
    enough = len(content_words(text)) >= settings.min_words
    return enough and repeats(text, question, settings.echo_overlap)


def _repeats_any(
    statement: Statement, others: Sequence[Statement], settings: AnswerSettings
) -> bool:
    text = _plain_text(statement)
    return any(repeats(text, _plain_text(other), settings.repeat_overlap) for other in others)


def _section(item: Item) -> tuple[str, ...]:
    return (item.source, *item.section)


def _plain_text(statement: Statement) -> str:
    """Return the sentence without its list number or bullet."""
    return split_list_number(statement.text)[1] or statement.text


def _can_be_quoted(statement: Statement, settings: QuotationSettings) -> bool:
    """Return whether a sentence is a statement, not a heading, instruction, question or label."""
    item, text = statement.source.item, _plain_text(statement)
    # Only captions and definitions may lack a full stop; other such lines are headings.
    complete = item.kind == "figure" or item.role == "term" or text.endswith(_SENTENCE_ENDS)
    return (
        complete
        and word_count(text) >= settings.min_words
        and not text.endswith(("?", ":"))
        and not text.startswith(LABELS_PREFIX)
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
