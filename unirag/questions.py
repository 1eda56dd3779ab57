"""Questions with known answers, made out of what a corpus itself holds, and some without any.

Answerable: what its glossary defines, what its sections want the reader to learn, its exercises
that have a solution, its figures with a caption. The text that a question was made from is its
reference; its section is where a citation belongs. The search is a student's: it finds glossary and
figures, and neither objectives nor exercises.

Unanswerable: terms of another subject that the corpus never uses, terms that nobody uses, and
questions that give one term the definition of another.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from data.records import Item
from data.sentences import sentences
from generation.words import stems

__all__ = ["Asked", "QuestionKind", "place", "questions", "unanswerable"]

QuestionKind = Literal[
    "definition", "objective", "exercise", "figure", "other subject", "made up", "false premise"
]
_TERM = re.compile(r"[A-Za-z][A-Za-z' -]{2,39}")
_MEANT = ("What is meant by {}?", "What does the term {} mean?", "Explain {} in simple words.")
_ASKS = re.compile(
    r"(?:Explain|Describe|Define|State|Discuss|Identify|Compare|Distinguish|List|Outline|Summarize"
    r"|Relate|Contrast)\b"
)
_NUMBERED = re.compile(r"^\s*(?:fig(?:ure|\.)?|table)\s*[\d.]+[.:]?\s*", re.IGNORECASE)
_ONSETS = "br cl dr fl gr kl pl pr sk sp st tr th v z m n l r".split()
_VOWELS = "a e i o u ae io".split()
_CODAS = "n r l x m th nd rk st".split()
_THINGS = "effect law constant reaction principle coefficient equation process".split()


@dataclass(frozen=True)
class Asked:
    """A question. `reference` and `place` are empty where it has no answer in the corpus."""

    text: str
    kind: QuestionKind
    reference: str = ""
    place: tuple[str, ...] = ()
    locator: str = ""

    @property
    def answerable(self) -> bool:
        return bool(self.place)


def place(item: Item) -> tuple[str, ...]:
    """The section of a book that an item belongs to: where a citation of it counts as right."""
    return (item.source, *item.section[:3])


def questions(items: Iterable[Item], count: int, seed: int) -> list[Asked]:
    """About `count` answerable questions, a fourth of each kind as far as the corpus has them."""
    every = sorted(items, key=lambda i: i.locator)
    made = {
        "definition": _definitions(every),
        "objective": _objectives(every),
        "exercise": _exercises(every),
        "figure": _figures(every),
    }
    return _share(list(made.values()), count, random.Random(seed))


def unanswerable(
    items: Iterable[Item], others: Iterable[Item], count: int, seed: int
) -> list[Asked]:
    """About `count` questions without an answer in `items`, a third of each kind.

    `others` are of another subject; without them there are two kinds.
    """
    every = sorted(items, key=lambda i: i.locator)
    draw = random.Random(seed)
    known = frozenset().union(*(stems(f"{i.title} {i.text}") for i in every))
    made: dict[QuestionKind, list[Asked]] = {
        "other subject": _foreign(sorted(others, key=lambda i: i.locator), known),
        "made up": [_made_up(draw, known) for _ in range(count)],
        "false premise": _swapped(every, draw),
    }
    return _share(list(made.values()), count, draw)


def _share(kinds: Sequence[Sequence[Asked]], count: int, draw: random.Random) -> list[Asked]:
    """`count` of all kinds, as evenly as they have them; in an order that mixes them."""
    taken: list[Asked] = []
    left = count
    for n, kind in enumerate(sorted(kinds, key=len)):
        most = left // (len(kinds) - n)
        taken += draw.sample(list(kind), min(most, len(kind)))
        left = count - len(taken)
    draw.shuffle(taken)
    return taken


def _terms(items: Sequence[Item]) -> dict[str, tuple[Item, str]]:
    """Each term of the glossary with its item and its definition."""
    found: dict[str, tuple[Item, str]] = {}
    for item in items:
        name, _, meaning = item.text.partition(": ")
        if item.role == "term" and _TERM.fullmatch(name) and len(meaning.split()) >= 4:
            found.setdefault(name, (item, meaning.strip()))
    return found


def _definitions(items: Sequence[Item]) -> list[Asked]:
    forms = _forms()
    return [
        Asked(forms(name), "definition", meaning, place(item), item.locator)
        for name, (item, meaning) in _terms(items).items()
    ]


def _forms() -> Callable[[str], str]:
    """Each name in one of the forms, always the same one."""
    return lambda name: _MEANT[sum(map(ord, name)) % len(_MEANT)].format(name)


def _objectives(items: Sequence[Item]) -> list[Asked]:
    """What a section wants to be explained; its own summary is the reference."""
    summaries: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for item in items:
        if item.role == "summary":
            summaries[place(item)].append(item.text)
    made = []
    for item in items:
        if item.role != "objective" or place(item) not in summaries:
            continue
        for line in item.text.splitlines():
            asked = line.removeprefix("- ").strip().rstrip(".")
            if _ASKS.match(asked) and 5 <= len(asked.split()) <= 20:
                reference = "\n".join(summaries[place(item)])
                made.append(Asked(f"{asked}.", "objective", reference, place(item), item.locator))
    return made


def _exercises(items: Sequence[Item]) -> list[Asked]:
    by_id = {i.id: i for i in items}
    made = []
    for solution in items:
        tasks = [by_id[n] for n in solution.neighbours if n in by_id]
        task = next((t for t in tasks if t.role == "exercise"), None)
        if solution.role == "solution" and task and len(task.text.split()) <= 80:
            made.append(Asked(task.text, "exercise", solution.text, place(task), solution.locator))
    return made


def _figures(items: Sequence[Item]) -> list[Asked]:
    """Asked for by the first sentence of its caption."""
    made = []
    for item in items:
        if item.kind != "figure" or not _NUMBERED.match(item.title):
            continue
        first, *rest = sentences(_NUMBERED.sub("", item.text.splitlines()[0])) or [""]
        if rest and 4 <= len(first.split()) <= 25:
            asked = f"What does the figure show? {first}"
            made.append(Asked(asked, "figure", item.text, place(item), item.locator))
    return made


def _foreign(others: Sequence[Item], known: frozenset[str]) -> list[Asked]:
    forms = _forms()
    return [
        Asked(forms(name), "other subject", locator=item.locator)
        for name, (item, _) in _terms(others).items()
        if stems(name) and not stems(name) & known
    ]


def _made_up(draw: random.Random, known: frozenset[str]) -> Asked:
    while True:
        parts = [
            draw.choice(_ONSETS) + draw.choice(_VOWELS) + draw.choice(_CODAS) * draw.randint(0, 1)
            for _ in range(3)
        ]
        word = "".join(parts) + draw.choice(("ic", "al", "ine", ""))
        if not stems(word) & known:
            name = f"the {word} {draw.choice(_THINGS)}"
            return Asked(_forms()(name), "made up")


def _swapped(items: Sequence[Item], draw: random.Random) -> list[Asked]:
    """A term with the definition of one from another chapter, and none of that one's words."""
    terms = _terms(items)
    made = []
    for name, (item, _) in terms.items():
        chapter = item.section[:2] or (item.source,)
        for other in draw.sample(sorted(terms), min(20, len(terms))):
            there, meaning = terms[other]
            apart = (there.section[:2] or (there.source,)) != chapter
            if apart and not stems(name) & stems(f"{other} {meaning}") and len(meaning) < 120:
                claim = meaning.rstrip(".")
                made.append(
                    Asked(f"Why does {name} mean: {claim}?", "false premise", locator=item.locator)
                )
                break
    return made
