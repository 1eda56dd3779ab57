"""Measure answers: are sentences supported, citations right, and refusals justified?

Used by `unirag eval generation`. Three systems answer the same questions in one run: `ours`;
`plain`, the same language model with the passages nearest to the question, unchecked; and
`closed book`, the language model alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import mean
from typing import Any, Literal, get_args

from data.errors import BadInput
from data.records import Answer, Item, Sentence
from data.sentences import split_sentences
from generation.chat import ChatModel, Message
from generation.reply import split_list_number
from generation.rubric import MARKS, marks
from generation.scoring import SUPPORTED, coverage, numbers_missing, rouge_l, short_answer
from retrieval.store import ChannelQuery, Where
from unirag.app import App
from unirag.evaluation.question_generation import (
    EvaluationQuestion,
    SectionKeyOf,
    answerable_questions,
    section_keys,
    unanswerable_questions,
)
from unirag.search.searcher import EXPLAINING_ROLES

__all__ = ["SYSTEMS", "ScoredAnswer", "System", "evaluate_answers", "score_table", "scores_to_json"]

System = Literal["ours", "plain", "closed book"]
SYSTEMS: tuple[System, ...] = get_args(System)
_HITS = 5  # passages per question
_CITATION = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")
_PLAIN_PROMPT = (
    "Answer the question from the passages. Cite the passages like this: [1]. If they do not hold "
    "the answer, say: I don't know."
)
_REFUSAL = re.compile(
    r"\b(?:I (?:do not|don['’]t) know|(?:not|no) (?:mentioned|provided|contain|information))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ScoredAnswer:
    """An answer of one system with its scores.

    `sentences` are pairs of a text and its cited locators. `supported` is the coverage of each
    sentence by the evidence, in [0, 1]. `numbers` counts the numbers of the answer,
    `numbers_missing` the ones that the evidence lacks. `citations` counts citations,
    `citations_right` the ones that cite the section of the question. `rouge_l` and `correct` are
    None without a reference. `first_s` is the time to the first sentence or token, `seconds` the
    time to the end. `evidence` holds locators. `marks` come from the judge, None without one.
    """

    system: System
    question: str
    kind: str
    answerable: bool
    refused: bool
    quoted: bool
    sentences: tuple[tuple[str, tuple[str, ...]], ...]
    supported: tuple[float, ...]
    numbers_missing: int
    numbers: int
    citations_right: int
    citations: int
    rouge_l: float | None
    correct: bool | None
    first_s: float
    seconds: float
    evidence: tuple[str, ...] = field(default=())
    marks: dict[str, int] | None = None


@dataclass(frozen=True)
class _Reply:
    """The answer of a system before it is scored. `cited_sentences` pairs text and cited items."""

    system: System
    cited_sentences: Sequence[tuple[str, Sequence[Item]]]
    evidence: Sequence[Item]
    first_seconds: float
    seconds: float
    refused: bool
    quoted: bool = False


def evaluate_answers(
    app: App,
    corpus: str,
    *,
    answerable: int = 500,
    refusable: int = 200,
    seed: int = 0,
    systems: Sequence[System] = SYSTEMS,
    every: int = 1,
    judge: ChatModel | None = None,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> list[ScoredAnswer]:
    """Ask each system about `answerable` and `refusable` questions about a corpus.

    Some of the unanswerable questions ask for terms of the workspace's other corpora. The first
    system gets every question. The others take longer and get one question of `every`. `judge`
    marks all answers except refusals. `progress` receives the number of finished questions and of
    all. Raise `BadInput` if there is no such corpus.
    """
    store = app.components.store
    items = list(store.scan(Where(corpora=(corpus,))))
    if not items:
        raise BadInput(f"corpus {corpus!r} is not in this home; see: unirag corpora list")
    other_terms = [i for i in store.scan(Where(roles=("term",))) if i.corpus != corpus]
    key_of = section_keys(items)
    questions = [
        *answerable_questions(items, answerable, seed),
        *unanswerable_questions(items, other_terms, refusable, seed),
    ]
    _warm_up(app)
    answers = []
    for n, question in enumerate(questions):
        for system in systems if n % every == 0 else systems[:1]:
            answer = _score(_ANSWER[system](app, corpus, question.text), question, key_of)
            if judge is not None and not answer.refused:
                answer = _with_marks(answer, judge, items)
            answers.append(answer)
        progress(n + 1, len(questions))
    return answers


def _warm_up(app: App) -> None:
    """Load all models and generate a little, because the first generation allocates memory."""
    app.load()
    for _ in app.components.chat.stream([Message("user", "Hello")], 2):
        pass


def _with_marks(answer: ScoredAnswer, judge: ChatModel, items: Sequence[Item]) -> ScoredAnswer:
    evidence = {i.locator: f"{i.title}\n{i.text}" for i in items if i.locator in answer.evidence}
    text = " ".join(sentence for sentence, _ in answer.sentences)
    return replace(answer, marks=marks(judge, answer.question, text, list(evidence.values())))


def score_table(answers: Sequence[ScoredAnswer]) -> dict[str, dict[str, float | None]]:
    """Return the scores of each system: shares in [0, 1], times in seconds, None without data."""
    by_system = {system: [a for a in answers if a.system == system] for system in SYSTEMS}
    return {system: _scores(answers) for system, answers in by_system.items() if answers}


def _scores(answers: Sequence[ScoredAnswer]) -> dict[str, float | None]:
    replies = [a for a in answers if not a.refused]
    refused = [a for a in answers if a.refused]
    answerable = [a for a in answers if a.answerable]
    unanswerable = [a for a in answers if not a.answerable]
    support = [value for a in replies for value in a.supported]
    all_marks = [a.marks for a in answers if a.marks]
    first_times = sorted(a.first_s for a in replies)
    times = sorted(a.seconds for a in answers)
    return {
        **{name: _mean([m[name] for m in all_marks]) for name in MARKS if all_marks},
        "answers": len(answers),
        "sentences": len(support),
        "unsupported": _share(sum(value < SUPPORTED for value in support), len(support)),
        "numbers": sum(a.numbers for a in replies),
        "unsupported numbers": _share(
            sum(a.numbers_missing for a in replies), sum(a.numbers for a in replies)
        ),
        "citation precision": _share(
            sum(a.citations_right for a in answerable), sum(a.citations for a in answerable)
        ),
        "citation recall": _share(sum(a.citations_right > 0 for a in answerable), len(answerable)),
        "rouge_l": _mean([a.rouge_l for a in answerable if a.rouge_l is not None]),
        "correct": _share(
            sum(bool(a.correct) for a in answerable),
            sum(a.correct is not None for a in answerable),
        ),
        "refusal precision": _share(sum(not a.answerable for a in refused), len(refused)),
        "refusal recall": _share(sum(a.refused for a in unanswerable), len(unanswerable)),
        "quoted": _share(sum(a.quoted for a in replies), len(replies)),
        "first_s p90": _percentile(first_times, 0.9),
        "seconds p50": _percentile(times, 0.5),
        "seconds p90": _percentile(times, 0.9),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(mean(values), 4) if values else None


def _share(count: float, total: float) -> float | None:
    return round(count / total, 4) if total else None


def _percentile(values: Sequence[float], share: float) -> float | None:
    return round(values[int(share * (len(values) - 1))], 3) if values else None


def _answer_ours(app: App, corpus: str, question: str) -> _Reply:
    started_at = time.perf_counter()
    first_seconds = 0.0
    for event in app.stream(question, limit=_HITS, where=Where(corpora=(corpus,))):
        if isinstance(event, Sentence) and not first_seconds:
            first_seconds = time.perf_counter() - started_at
    assert isinstance(event, Answer)
    seconds = time.perf_counter() - started_at
    items = {hit.item.id: hit.item for hit in event.hits}
    cited_sentences = [
        (sentence.text, [items[c] for c in sentence.citations if c in items])
        for sentence in event.sentences
    ]
    return _Reply(
        "ours",
        cited_sentences,
        list(items.values()),
        first_seconds,
        seconds,
        event.refused,
        event.quoted,
    )


def _answer_plain(app: App, corpus: str, question: str) -> _Reply:
    started_at = time.perf_counter()
    items = _nearest_items(app, corpus, question)
    passages = "\n\n".join(f"[{n}] {item.text}" for n, item in enumerate(items, 1))
    messages = [
        Message("system", _PLAIN_PROMPT),
        Message("user", f"{passages}\n\nQuestion: {question}"),
    ]
    text, first_seconds = _generate(app, messages, started_at)
    cited_sentences = []
    for sentence in _complete_sentences(text):
        numbers = {int(n) for group in _CITATION.findall(sentence) for n in group.split(",")}
        cited = [items[n - 1] for n in sorted(numbers) if 0 < n <= len(items)]
        cited_sentences.append((_CITATION.sub("", sentence).strip(), cited))
    seconds = time.perf_counter() - started_at
    refused = bool(_REFUSAL.search(text))
    return _Reply("plain", cited_sentences, items, first_seconds, seconds, refused)


def _answer_closed_book(app: App, corpus: str, question: str) -> _Reply:
    """Answer without evidence. The passages of `plain` serve as evidence for the scores."""
    started_at = time.perf_counter()
    text, first_seconds = _generate(app, [Message("user", question)], started_at)
    seconds = time.perf_counter() - started_at
    cited_sentences: list[tuple[str, list[Item]]] = [(s, []) for s in _complete_sentences(text)]
    items = _nearest_items(app, corpus, question)
    refused = bool(_REFUSAL.search(text))
    return _Reply("closed book", cited_sentences, items, first_seconds, seconds, refused)


_ANSWER: dict[System, Callable[[App, str, str], _Reply]] = {
    "ours": _answer_ours,
    "plain": _answer_plain,
    "closed book": _answer_closed_book,
}


def _nearest_items(app: App, corpus: str, question: str) -> list[Item]:
    vector_D = app.components.text.encode_queries([question])[0]
    where = Where(corpora=(corpus,), roles=EXPLAINING_ROLES, audiences=("student",))
    queries = [ChannelQuery("text", vector_D)]
    scored = app.components.store.search(queries, app.settings.answer.items, where)
    return [scored_item.item for scored_item in scored]


def _generate(app: App, messages: Sequence[Message], started_at: float) -> tuple[str, float]:
    """Return the reply of the language model, and the seconds until its first token."""
    first_seconds, text = 0.0, ""
    for piece in app.components.chat.stream(
        messages, app.settings.answer.for_size(app.components.chat_size).max_tokens
    ):
        first_seconds = first_seconds or time.perf_counter() - started_at
        text += piece
    return text, first_seconds


def _complete_sentences(text: str) -> list[str]:
    """Return the complete sentences, without one that the token limit cut off."""
    sentences = [s for line in text.splitlines() for s in split_sentences(line)]
    return [s for s in sentences if s[-1] in '.!?])"”' and len(s.split()) > 1]


def _score(reply: _Reply, question: EvaluationQuestion, key_of: SectionKeyOf) -> ScoredAnswer:
    evidence = [f"{item.title}\n{item.text}\n{item.labels}" for item in reply.evidence]
    sentences = [text for text, _ in reply.cited_sentences]
    answer = " ".join(sentences)
    # the number in front of a list item is no claim
    claims = " ".join(split_list_number(sentence)[1] or sentence for sentence in sentences)
    missing, numbers = numbers_missing(claims, [*evidence, question.text])
    citations = [item for _, items in reply.cited_sentences for item in items]
    reference = question.reference
    return ScoredAnswer(
        system=reply.system,
        question=question.text,
        kind=question.kind,
        answerable=question.answerable,
        refused=reply.refused,
        quoted=reply.quoted,
        sentences=tuple(
            (text, tuple(item.locator for item in items)) for text, items in reply.cited_sentences
        ),
        supported=tuple(round(coverage(sentence, evidence), 3) for sentence in sentences),
        numbers_missing=missing,
        numbers=numbers,
        citations_right=sum(key_of(item) == question.section for item in citations),
        citations=len(citations),
        rouge_l=rouge_l(answer, reference) if reference else None,
        correct=short_answer(answer, reference) if question.kind == "exercise" else None,
        first_s=round(reply.first_seconds, 3),
        seconds=round(reply.seconds, 3),
        evidence=tuple(item.locator for item in reply.evidence),
    )


def scores_to_json(answers: Sequence[ScoredAnswer]) -> dict[str, Any]:
    """Return the score table and every answer as JSON values."""
    return {"scores": score_table(answers), "answers": [asdict(answer) for answer in answers]}
