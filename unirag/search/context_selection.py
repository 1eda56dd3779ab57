"""What an answer is made from: the best of the hits, and what belongs with them.

A section that several of the nearest items speak for is more likely the one that was asked about
than any single item; its objectives and exercises have a say, though neither explains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from data.records import Hit, Item, Task
from generation.tasks import TaskRequest
from generation.words import content, repeats
from retrieval.store import Where
from unirag.search.searcher import EXPLAINING, Searcher, SearchResult

__all__ = ["POOL", "Sources", "choose"]

POOL = 10  # hits from which the sources are chosen
_SOLVING: tuple[Task, ...] = ("steps", "feedback")  # these want an exercise solved
_THE_SAME = 0.6  # share of an exercise's words in a question whose solution is not to be told
_ITSELF = 0.9  # share of words, either way, of a question that is an exercise of the corpus
_FEWEST = 4  # content words of such an exercise
_NEAR = 2  # passages that are taken along with the figures that they refer to
_SHARE = 0.3  # what the section is worth where a first place is worth 1/2


@dataclass(frozen=True, slots=True)
class Sources:
    """`hits` in order. `shares` in [0, 1], by item id: how much was found in its section."""

    hits: tuple[Hit, ...]
    shares: Mapping[str, float] = field(default_factory=dict)


def choose(
    searcher: Searcher,
    found: SearchResult,
    wanted: TaskRequest,
    where: Where,
    *,
    limit: int,
    items: int,
) -> Sources:
    """About `limit` hits, of which an answer reads the first `items`.

    The solution of the very exercise that was asked is left out, unless the task asks for it; an
    exercise of the corpus is answered from its own section first. Figures bring the passages that
    refer to them. Pictures are asked about themselves, not about a section.
    """
    kept = [
        h
        for h in found.hits
        if wanted.task in _SOLVING or not _solves(searcher, h.item, found.words)
    ]
    shares: dict[str, float] = {}
    if found.words and not found.query.images:
        kept, shares = _by_section(searcher, kept, found.words, where, items)
    return Sources(tuple(_with_passages(searcher, kept[:limit], where, items)), shares)


def _by_section(
    searcher: Searcher, hits: Sequence[Hit], question: str, where: Where, items: int
) -> tuple[list[Hit], dict[str, float]]:
    near = [s.item for s in searcher.nearest(question, POOL, replace(where, roles=(), kinds=()))]
    votes: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for place, item in enumerate(near):
        votes[_section(item)] += 1 / (2 + place)
    exercise = next((i for i in near if _is(i, question)), None)
    if exercise is not None:
        votes = defaultdict(float, {_section(exercise): 1.0})
        known = {h.item.id for h in hits}
        its = [h for h in _of(searcher, exercise, question, where, items) if h.item.id not in known]
        hits = [*hits, *its]
    most = max(votes.values(), default=1.0)
    shares = {h.item.id: votes[_section(h.item)] / most for h in hits}
    # where the section is known, its items come before all others
    worth = _SHARE if exercise is None else 1.0
    order = sorted(range(len(hits)), key=lambda n: -(1 / (2 + n) + worth * shares[hits[n].item.id]))
    return [hits[n] for n in order], shares


def _of(searcher: Searcher, exercise: Item, question: str, where: Where, items: int) -> list[Hit]:
    """What explains in the section of an exercise."""
    its = replace(
        where,
        roles=where.roles or EXPLAINING,
        corpora=(exercise.corpus,),
        sources=(exercise.source,),
        sections=where.sections or exercise.section[:3][-1:],
    )
    return [
        Hit(s.item, s.score, s.channels)
        for s in searcher.nearest(question, items, its)
        if _section(s.item) == _section(exercise) and not _solves(searcher, s.item, question)
    ]


def _section(item: Item) -> tuple[str, ...]:
    """The third level of titles is a section of a book; where there are fewer, the document is."""
    return (item.corpus, item.source, *item.section[:3])


def _is(item: Item, question: str) -> bool:
    return (
        item.role == "exercise"
        and len(content(item.text)) >= _FEWEST
        and repeats(item.text, question, _ITSELF)
        and repeats(question, item.text, _ITSELF)
    )


def _solves(searcher: Searcher, item: Item, question: str) -> bool:
    """Whether an item is the solution of the exercise that the question is."""
    if item.role != "solution":
        return False
    return any(
        i.role == "exercise" and repeats(i.text, question, _THE_SAME)
        for i in searcher.store.get(item.neighbours)
    )


def _with_passages(searcher: Searcher, hits: Sequence[Hit], where: Where, items: int) -> list[Hit]:
    """The hits, and among the first `items` the passages that refer to their figures."""
    best = [h.item for h in hits[:items] if h.item.kind == "figure"]
    near = dict.fromkeys(name for item in best for name in item.neighbours)
    for hit in hits:
        near.pop(hit.item.id, None)
    told = [
        i
        for i in searcher.store.get(list(near)[:_NEAR])
        if i.role in EXPLAINING and i.audience in (where.audiences or ("student",))
    ]
    place = items - len(told)
    return [*hits[:place], *(Hit(item, 0.0, {}) for item in told), *hits[place:]]
