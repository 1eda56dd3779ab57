"""`unirag eval generation`: are answers supported, rightly cited, and refused where they should be?

Three systems answer the same questions in one run: `ours`; `plain`, the same language model with
the passages nearest to the question, whole, and nothing checked; `closed book`, the model alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import mean
from typing import Any, Literal, get_args

from data.errors import BadInput
from data.records import Item, Sentence
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

__all__ = ["SYSTEMS", "Answered", "System", "evaluate_answers", "table", "to_json"]

System = Literal["ours", "plain", "closed book"]
SYSTEMS: tuple[System, ...] = get_args(System)
_LIMIT = 5  # hits of a question
_LABEL = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")
_PLAIN = (
    "Answer the question from the passages. Cite the passages like this: [1]. If they do not hold "
    "the answer, say: I don't know."
)
_UNKNOWING = re.compile(
    r"\b(?:I (?:do not|don['’]t) know|(?:not|no) (?:mentioned|provided|contain|information))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ScoredAnswer:
    """One answer and its scores. `evidence` are the locators of what it was made from."""

    system: System
    question: str
    kind: str
    answerable: bool
    refused: bool
    quoted: bool
    sentences: tuple[tuple[str, tuple[str, ...]], ...]  # text, locators cited
    supported: tuple[float, ...]  # coverage of each sentence by the evidence
    numbers_missing: int
    numbers: int
    citations_right: int
    citations: int
    rouge_l: float | None
    correct: bool | None
    first_s: float
    seconds: float
    evidence: tuple[str, ...] = field(default=())
    marks: dict[str, int] | None = None  # of the judge, where there is one


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
    """Every answer of every system. Terms of the home's other corpora are asked as well.

    The other systems, which take longest, are asked each `every`-th question that ours is. `judge`
    marks what is answered.
    """
    own = list(app.components.store.scan(Where(corpora=(corpus,))))
    if not own:
        raise BadInput(f"corpus {corpus!r} is not in this home; see: unirag corpora list")
    others = [i for i in app.components.store.scan(Where(roles=("term",))) if i.corpus != corpus]
    place = section_keys(own)
    asked = [*answerable_questions(own, answerable, seed), *unanswerable_questions(own, others, refusable, seed)]
    app.load()
    for _ in app.components.chat.stream([Message("user", "Hello")], 2):
        pass  # the first forward of all allocates
    made = []
    for n, question in enumerate(asked):
        for system in systems if n % every == 0 else systems[:1]:
            row = _ANSWER[system](app, corpus, question, place)
            made.append(row if judge is None or row.refused else _marked(row, judge, own))
        progress(n + 1, len(asked))
    return made


def _marked(row: ScoredAnswer, judge: ChatModel, items: Sequence[Item]) -> ScoredAnswer:
    texts = {i.locator: f"{i.title}\n{i.text}" for i in items if i.locator in row.evidence}
    said = " ".join(text for text, _ in row.sentences)
    return replace(row, marks=marks(judge, row.question, said, list(texts.values())))


def score_table(rows: Sequence[ScoredAnswer]) -> dict[str, dict[str, float | None]]:
    """The scores of each system; shares in [0, 1], times in seconds."""
    return {s: _scores([r for r in rows if r.system == s]) for s in SYSTEMS if _has(rows, s)}


def _has(rows: Sequence[ScoredAnswer], system: System) -> bool:
    return any(r.system == system for r in rows)


def _scores(rows: Sequence[ScoredAnswer]) -> dict[str, float | None]:
    said = [r for r in rows if not r.refused]
    support = [s for r in said for s in r.supported]
    wanted = [r for r in rows if r.answerable]
    refused = [r for r in rows if r.refused]
    empty = [r for r in rows if not r.answerable]
    firsts = sorted(r.first_s for r in said)
    times = sorted(r.seconds for r in rows)
    marked = [r.marks for r in rows if r.marks]
    return {
        **{name: _mean([m[name] for m in marked]) for name in MARKS if marked},
        "answers": len(rows),
        "sentences": len(support),
        "unsupported": _share(sum(s < SUPPORTED for s in support), len(support)),
        "numbers": sum(r.numbers for r in said),
        "unsupported numbers": _share(
            sum(r.numbers_missing for r in said), sum(r.numbers for r in said)
        ),
        "citation precision": _share(
            sum(r.citations_right for r in wanted), sum(r.citations for r in wanted)
        ),
        "citation recall": _share(sum(r.citations_right > 0 for r in wanted), len(wanted)),
        "rouge_l": _mean([r.rouge_l for r in wanted if r.rouge_l is not None]),
        "correct": _share(
            sum(bool(r.correct) for r in wanted), sum(r.correct is not None for r in wanted)
        ),
        "refusal precision": _share(sum(not r.answerable for r in refused), len(refused)),
        "refusal recall": _share(sum(r.refused for r in empty), len(empty)),
        "quoted": _share(sum(r.quoted for r in said), len(said)),
        "first_s p90": _at(firsts, 0.9),
        "seconds p50": _at(times, 0.5),
        "seconds p90": _at(times, 0.9),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(mean(values), 4) if values else None


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _at(values: Sequence[float], share: float) -> float | None:
    return round(values[int(share * (len(values) - 1))], 3) if values else None


def _ours(app: App, corpus: str, asked: EvaluationQuestion, place: SectionKeyOf) -> ScoredAnswer:
    began = time.perf_counter()
    first = 0.0
    for event in app.stream(asked.text, limit=_LIMIT, where=Where(corpora=(corpus,))):
        if isinstance(event, Sentence) and not first:
            first = time.perf_counter() - began
    answer: Any = event
    seconds = time.perf_counter() - began
    items = {h.item.id: h.item for h in answer.hits}
    cited = [(s.text, [items[c] for c in s.citations if c in items]) for s in answer.sentences]
    evidence = [h.item for h in answer.hits]
    return _scored(
        "ours",
        asked,
        place,
        cited,
        evidence,
        first,
        seconds,
        refused=answer.refused,
        quoted=answer.quoted,
    )


def _plain(app: App, corpus: str, asked: EvaluationQuestion, place: SectionKeyOf) -> ScoredAnswer:
    began = time.perf_counter()
    vector_D = app.components.text.encode_queries([asked.text])[0]
    where = Where(corpora=(corpus,), roles=EXPLAINING_ROLES, audiences=("student",))
    found = app.components.store.search([ChannelQuery("text", vector_D)], app.settings.answer.items, where)
    items = [s.item for s in found]
    passages = "\n\n".join(f"[{n}] {item.text}" for n, item in enumerate(items, 1))
    messages = [
        Message("system", _PLAIN),
        Message("user", f"{passages}\n\nQuestion: {asked.text}"),
    ]
    text, first = _written(app, messages, began)
    cited = []
    for sentence in _said(text):
        labels = {int(n) for group in _LABEL.findall(sentence) for n in group.split(",")}
        sources = [items[n - 1] for n in sorted(labels) if 0 < n <= len(items)]
        cited.append((_LABEL.sub("", sentence).strip(), sources))
    seconds = time.perf_counter() - began
    return _scored(
        "plain", asked, place, cited, items, first, seconds, refused=bool(_UNKNOWING.search(text))
    )


def _closed(app: App, corpus: str, asked: EvaluationQuestion, place: SectionKeyOf) -> ScoredAnswer:
    """What it says is held against what `plain` would have been shown."""
    began = time.perf_counter()
    text, first = _written(app, [Message("user", asked.text)], began)
    seconds = time.perf_counter() - began
    vector_D = app.components.text.encode_queries([asked.text])[0]
    where = Where(corpora=(corpus,), roles=EXPLAINING_ROLES, audiences=("student",))
    near = app.components.store.search([ChannelQuery("text", vector_D)], app.settings.answer.items, where)
    cited: list[tuple[str, list[Item]]] = [(sentence, []) for sentence in _said(text)]
    return _scored(
        "closed book",
        asked,
        place,
        cited,
        [s.item for s in near],
        first,
        seconds,
        refused=bool(_UNKNOWING.search(text)),
    )


_ANSWER: dict[System, Callable[[App, str, EvaluationQuestion, SectionKeyOf], ScoredAnswer]] = {
    "ours": _ours,
    "plain": _plain,
    "closed book": _closed,
}


def _written(app: App, messages: Sequence[Message], began: float) -> tuple[str, float]:
    first, text = 0.0, ""
    for piece in app.components.chat.stream(messages, app.settings.answer.max_tokens):
        first = first or time.perf_counter() - began
        text += piece
    return text, first


def _said(text: str) -> list[str]:
    """The whole sentences; one that the limit cut off claims nothing yet."""
    every = [s for line in text.splitlines() for s in split_sentences(line)]
    return [s for s in every if s[-1] in '.!?])"”' and len(s.split()) > 1]


def _scored(
    system: System,
    asked: EvaluationQuestion,
    place: SectionKeyOf,
    cited: Sequence[tuple[str, Sequence[Item]]],
    evidence: Sequence[Item],
    first: float,
    seconds: float,
    *,
    refused: bool,
    quoted: bool = False,
) -> ScoredAnswer:
    texts = [f"{i.title}\n{i.text}\n{i.labels}" for i in evidence]
    whole = " ".join(text for text, _ in cited)
    # the numerals of a list are nobody's claim
    claimed = " ".join(split_list_number(text)[1] or text for text, _ in cited)
    missing, numbers = numbers_missing(claimed, [*texts, asked.text])
    sources = [item for _, items in cited for item in items]
    right = sum(place(i) == asked.place for i in sources)
    return ScoredAnswer(
        system,
        asked.text,
        asked.kind,
        asked.answerable,
        refused,
        quoted,
        tuple((text, tuple(i.locator for i in items)) for text, items in cited),
        tuple(round(coverage(text, texts), 3) for text, _ in cited),
        missing,
        numbers,
        right,
        len(sources),
        rouge_l(whole, asked.reference) if asked.reference else None,
        short_answer(whole, asked.reference) if asked.kind == "exercise" else None,
        round(first, 3),
        round(seconds, 3),
        tuple(i.locator for i in evidence),
    )


def to_json(rows: Sequence[ScoredAnswer]) -> dict[str, Any]:
    return {"scores": score_table(rows), "answers": [asdict(r) for r in rows]}
