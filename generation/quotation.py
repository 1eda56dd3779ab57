"""Quote the sentences of the evidence that answer a question best, word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from data.records import Item, Sentence
from generation.embedding import Vector
from generation.evidence import LABELS_PREFIX, Evidence
from generation.reply import split_list_number
from generation.settings import AnswerSettings, QuotationSettings
from generation.statements import Statement, depends_on_previous, stands_alone
from generation.words import content_words, repeats, stems, topic_words, word_count

__all__ = ["quote"]

# The key to a multiple-choice question says nothing without the choices.
_CHOICE_KEY = re.compile(r"\b(?:correct|right) answer is\b|^\W*\(?[a-e]\)?[.:]?\W*$", re.IGNORECASE)
# Sentences that tell the reader to do something, or that announce the text to come.
_INSTRUCTION = re.compile(
    r"(?:\([a-z]\) )?(?:now |then |first,? |next,? |finally,? |please )?"
    r"(?:answer|ask|calculate|check|choose|compare|consider|describe|determine|discuss|disregard|do"
    r"|draw|estimate|explain|find|forget|give|identify|ignore|imagine|label|let|list|look|make"
    r"|measure|note|notice|observe|place|predict|recall|record|refer|remember|repeat|reply|respond"
    r"|rewrite|say|see|show|sketch|solve|state|suppose|take|think|try|use|watch|write)"
    r"(?:[’']s)?\b(?!\s+of\b)|\bin this (?:section|chapter|module|activity)\b"
    r"|\b(?:this|these|the following) (?:video|simulation|animation|applet|lecture|website)s?\b",
    re.IGNORECASE,
)
_SENTENCE_ENDS = (".", "!", ".”", '."', ".)", "\\)", "\\]", "$")
_REASON = re.compile(
    r"\b(?:because|since|due to|causes?d?|so that|therefore|thus|as a result|result(?:s|ing) in"
    r"|by means of|in order to|when|depends? on)\b",
    re.IGNORECASE,
)
_ASKS_FOR_REASON = re.compile(r"\b(?:why|how|explain)\b", re.IGNORECASE)


def quote(
    question: str,
    question_vector: Vector,
    evidence: Sequence[Evidence],
    settings: AnswerSettings,
) -> list[Sentence]:
    """Return the sentences with the highest scores, best source first, each source in its order.

    A sentence that only echoes the question is quoted in addition: it answers nothing, but its
    neighbours may. Instructions, questions, figure labels and keys to choices are never quoted.
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
    source, item, text = statement.source, statement.source.item, _plain_text(statement)
    score = statement.similarity
    score += weights.item_weight * source.similarity + weights.section_weight * source.section_share
    if item.role == "term":
        share = _term_share(stems(item.title), topic_words(question))
        score += weights.definition_bonus * (share if share >= weights.min_term_share else 0.0)
    if item.role == "note":
        score -= weights.note_penalty
    if _ASKS_FOR_REASON.search(question) and _REASON.search(text):
        score += weights.reason_bonus
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
        return depends_on_previous(text, settings.statements)
    return not stands_alone(text, settings.statements)


def _term_share(term: frozenset[str], topic: frozenset[str]) -> float:
    """Return the share of the topic words that a term makes up, 0 for a term with other words."""
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
        and not _CHOICE_KEY.search(text)
        and not _INSTRUCTION.match(text)
    )
