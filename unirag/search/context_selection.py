"""Chooses the evidence of an answer: the best hits, and the passages about their figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from data.records import Hit, Item, Task
from generation.tasks import TaskRequest
from generation.words import content_words, repeats
from retrieval.store import Where
from unirag.search.result import SearchResult
from unirag.search.searcher import EXPLAINING_ROLES, Searcher
from unirag.settings.search import ContextSettings

__all__ = ["select_context"]

_SOLVING_TASKS: tuple[Task, ...] = ("steps", "feedback")  # they need the solution

Section = tuple[str, ...]  # corpus, source and titles


def select_context(
    searcher: Searcher,
    result: SearchResult,
    task: TaskRequest,
    where: Where,
    *,
    limit: int,
    evidence_items: int,
) -> tuple[Hit, ...]:
    """Return about `limit` hits, of which an answer reads the first `evidence_items`.

    If the question repeats an exercise, leave out its solution, unless the task needs it, and put
    hits from the section of the exercise first. Add the passages that refer to a figure.
    """
    selection = _Selection(searcher, result, where, evidence_items)
    hits: Sequence[Hit] = result.hits
    if task.task not in _SOLVING_TASKS:
        hits = selection.without_solutions(hits)
    if result.question and not result.query.images:
        hits = selection.with_section_of_exercise(hits)
    return tuple(selection.with_passages(hits[:limit]))


@dataclass
class _Selection:
    """The steps of `select_context` for one question."""

    searcher: Searcher
    result: SearchResult
    where: Where
    evidence_items: int

    @property
    def settings(self) -> ContextSettings:
        return self.searcher.settings.context

    @property
    def question(self) -> str:
        return self.result.question

    def with_section_of_exercise(self, hits: Sequence[Hit]) -> list[Hit]:
        """Put the section of an exercise first if the question repeats the exercise."""
        nearest_hits = self.nearest(
            self.settings.candidates, replace(self.where, roles=(), kinds=())
        )
        exercise = next((h.item for h in nearest_hits if self.is_same_exercise(h.item)), None)
        if exercise is None:
            return list(hits)
        ids = {hit.item.id for hit in hits}
        hits = [*hits, *(h for h in self.explanations_of(exercise) if h.item.id not in ids)]
        return sorted(hits, key=lambda h: self.section(h.item) != self.section(exercise))

    def explanations_of(self, exercise: Item) -> list[Hit]:
        """Return explaining hits from the section of an exercise, without its solution."""
        where = replace(
            self.where,
            roles=self.where.roles or EXPLAINING_ROLES,
            corpora=(exercise.corpus,),
            sources=(exercise.source,),
            sections=self.where.sections or exercise.section[: self.settings.section_depth][-1:],
        )
        hits = self.nearest(self.evidence_items, where)
        in_section = [h for h in hits if self.section(h.item) == self.section(exercise)]
        return self.without_solutions(in_section)

    def nearest(self, limit: int, where: Where) -> list[Hit]:
        scored = self.searcher.nearest(self.question, self.result.embedder, limit, where)
        return [Hit(s.item, s.score, s.channels) for s in scored]

    def is_same_exercise(self, item: Item) -> bool:
        """Return whether the question is this exercise, word for word or nearly."""
        overlap = self.settings.same_exercise_overlap
        return (
            item.role == "exercise"
            and len(content_words(item.text)) >= self.settings.exercise_words
            and repeats(item.text, self.question, overlap)
            and repeats(self.question, item.text, overlap)
        )

    def without_solutions(self, hits: Sequence[Hit]) -> list[Hit]:
        """Drop solutions of an exercise that the question repeats."""
        solutions = [hit.item for hit in hits if hit.item.role == "solution"]
        neighbours = dict.fromkeys(i for solution in solutions for i in solution.neighbours)
        repeated = {
            item.id
            for item in self.searcher.store.get(list(neighbours))
            if item.role == "exercise"
            and repeats(item.text, self.question, self.settings.solved_exercise_overlap)
        }
        solved = {s.id for s in solutions if repeated.intersection(s.neighbours)}
        return [hit for hit in hits if hit.item.id not in solved]

    def with_passages(self, hits: Sequence[Hit]) -> list[Hit]:
        """Add the passages that refer to the figures among the first `evidence_items` hits."""
        evidence = hits[: self.evidence_items]
        figures = [hit.item for hit in evidence if hit.item.kind == "figure"]
        neighbours = dict.fromkeys(i for figure in figures for i in figure.neighbours)
        for hit in hits:
            neighbours.pop(hit.item.id, None)
        nearest = list(neighbours)[: self.settings.passages_per_answer]
        audiences = self.where.audiences or ("student",)
        passages = [
            Hit(item, 0.0, {})
            for item in self.searcher.store.get(nearest)
            if item.role in EXPLAINING_ROLES and item.audience in audiences
        ]
        rank = self.evidence_items - len(passages)
        return [*hits[:rank], *passages, *hits[rank:]]

    def section(self, item: Item) -> Section:
        """Return the section of an item: its corpus, document and first levels of titles."""
        return (item.corpus, item.source, *item.section[: self.settings.section_depth])
