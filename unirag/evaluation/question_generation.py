"""Questions with known answers, made out of what a corpus itself holds, and some without any.

Answerable: what its glossary defines, what its sections want the reader to learn, its exercises
that have a solution, its figures with a caption, statements of its text. The text that a question
was made from is its reference; its section is where a citation belongs. The search is a student's:
it finds glossary and figures. Objectives and exercises are no evidence, but they have a say in
which section is asked about (`unirag/search/context_selection.py`), and an exercise of the corpus is recognised.

Unanswerable: terms of another subject that the corpus never uses, terms that nobody uses, and
questions that take for granted what the corpus does not say: one term with the definition of
another, a statement with another term or another number in it. Statements that are left as they
are, asked in the same forms, show that it is not the form by which those are told.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from data.records import Item
from data.sentences import sentences
from generation.quantities import quantities
from generation.statements import FORMULA, alone
from generation.words import stems

__all__ = ["Asked", "QuestionKind", "places", "questions", "unanswerable"]

QuestionKind = Literal[
    "definition", "objective", "exercise", "figure", "statement", "checked",
    "other subject", "made up", "false premise",
]  # fmt: skip
_TERM = re.compile(r"[A-Za-z][A-Za-z' -]{2,39}")
_MEANT = ("What is meant by {}?", "What does the term {} mean?", "Explain {} in simple words.")
_BELIEVED = ("How do we know that {}?", "Why is it that {}?", "{} Can you explain that?")
# Sentences that begin with a clause, speak to the reader or hold a formula are no one's question.
_ASIDE = re.compile(
    rf"^(?:If|When|Since|Because|As|Although|While|To|For|In)\b|\b(?:you|your|let|example)\b"
    rf"|{FORMULA.pattern}",
    re.DOTALL,
)
_ASKS = re.compile(
    r"(?:Explain|Describe|Define|State|Discuss|Identify|Compare|Distinguish|List|Outline|Summarize"
    r"|Relate|Contrast)\b"
)
_NUMERAL = re.compile(r"^[\d.]+\s+")
_NUMBERED = re.compile(r"^\s*(?:fig(?:ure|\.)?|table)\s*[\d.]+[.:]?\s*", re.IGNORECASE)
_ONSETS = "br cl dr fl gr kl pl pr sk sp st tr th v z m n l r".split()
_VOWELS = "a e i o u ae io".split()
_CODAS = "n r l x m th nd rk st".split()
_THINGS = "effect law constant reaction principle coefficient equation process".split()


Place = Callable[[Item], tuple[str, ...]]


@dataclass(frozen=True)
class Asked:
    """A question. `place` is empty where it has no answer in the corpus, `reference` where no text
    is the answer: a statement would only have to be repeated."""

    text: str
    kind: QuestionKind
    reference: str = ""
    place: tuple[str, ...] = ()
    locator: str = ""

    @property
    def answerable(self) -> bool:
        return bool(self.place)


def places(items: Iterable[Item]) -> Callable[[Item], tuple[str, ...]]:
    """Tells the section of a book that an item belongs to: where a citation of it counts as right.

    A document that is one section is known by its title, without a number: two editions of a book
    that lie in one corpus have it in common. Where a book has that title more than once
    ("Introduction"), those above it count too. Else it is a section of a document.
    """
    shared: dict[str, tuple[str, ...]] = {}
    for item in items:
        known = shared.get(item.source, item.section)
        pairs = zip(known, item.section, strict=False)
        shared[item.source] = tuple(a for a, _ in takewhile(lambda p: p[0] == p[1], pairs))
    paths = {s: tuple(_NUMERAL.sub("", t) for t in known) for s, known in shared.items()}
    held = Counter((path[0], path[-1]) for path in paths.values() if len(path) > 1)
    often = {title for (_, title), count in held.items() if count > 1}
    titles = {s: p[1:] if p[-1] in often else p[-1:] for s, p in paths.items() if len(p) > 1}
    return lambda item: titles.get(item.source) or (item.source, *item.section[:3])


def questions(items: Iterable[Item], count: int, seed: int) -> list[Asked]:
    """About `count` answerable questions, a fifth of each kind as far as the corpus has them."""
    every = sorted(items, key=lambda i: i.locator)
    place = places(every)
    made = {
        "definition": _definitions(every, place),
        "objective": _objectives(every, place),
        "exercise": _exercises(every, place),
        "figure": _figures(every, place),
        "statement": [
            Asked(_believed(said), "statement", "", place(item), item.locator)
            for item, said in _statements(every)
        ],
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
        "false premise": _share(
            [_redefined(every, draw), _renamed(every, draw), _renumbered(every)], count, draw
        ),
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


def _definitions(items: Sequence[Item], place: Place) -> list[Asked]:
    return [
        Asked(_meant(name), "definition", meaning, place(item), item.locator)
        for name, (item, meaning) in _terms(items).items()
    ]


def _meant(name: str) -> str:
    """Each name in one of the forms, always the same one."""
    return _MEANT[sum(map(ord, name)) % len(_MEANT)].format(name)


def _believed(statement: str) -> str:
    """A sentence taken for granted, in one of the forms; `{}.` ends it where it stands first."""
    form = _BELIEVED[sum(map(ord, statement)) % len(_BELIEVED)]
    if form.startswith("{}"):
        return form.format(statement)
    first, rest = statement[0], statement[1:].rstrip(".")
    small = first.lower() if rest[:1].islower() or statement[1:2] == " " else first
    return form.format(small + rest)


def _statements(items: Sequence[Item]) -> list[tuple[Item, str]]:
    """Sentences of the running text that can be read alone, one of each passage."""
    found = []
    for item in items:
        if item.role not in ("text", "summary") or item.kind != "passage":
            continue
        said = [s for line in item.text.splitlines() for s in sentences(line)]
        fit = [s for s in said if alone(s) and len(stems(s)) >= 5 and not _ASIDE.search(s)]
        if fit:
            found.append((item, max(fit, key=lambda s: len(stems(s)))))
    return found


def _objectives(items: Sequence[Item], place: Place) -> list[Asked]:
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


def _exercises(items: Sequence[Item], place: Place) -> list[Asked]:
    by_id = {i.id: i for i in items}
    made = []
    for solution in items:
        tasks = [by_id[n] for n in solution.neighbours if n in by_id]
        task = next((t for t in tasks if t.role == "exercise"), None)
        if solution.role == "solution" and task and len(task.text.split()) <= 80:
            made.append(Asked(task.text, "exercise", solution.text, place(task), solution.locator))
    return made


def _figures(items: Sequence[Item], place: Place) -> list[Asked]:
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
    return [
        Asked(_meant(name), "other subject", locator=item.locator)
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
            return Asked(_meant(name), "made up")


def _redefined(items: Sequence[Item], draw: random.Random) -> list[Asked]:
    """A term with the definition of one from another chapter, and none of that one's words."""
    terms = _terms(items)
    made = []
    for name, (item, _) in terms.items():
        for other in draw.sample(sorted(terms), min(20, len(terms))):
            there, meaning = terms[other]
            apart = _chapter(there) != _chapter(item)
            if apart and not stems(name) & stems(f"{other} {meaning}") and len(meaning) < 120:
                said = f"{name[0].upper()}{name[1:]} is {meaning.rstrip('.')}."
                made.append(Asked(_believed(said), "false premise", locator=there.locator))
                break
    return made


def _renamed(items: Sequence[Item], draw: random.Random) -> list[Asked]:
    """A statement with one of its terms replaced by a term from another chapter."""
    terms = _terms(items)
    names = re.compile(rf"\b(?:{'|'.join(map(re.escape, terms))})\b") if terms else None
    made = []
    for item, said in _statements(items):
        match = names.search(said) if names else None
        if not match:
            continue
        text = f"{item.title} {item.text}"
        for other in draw.sample(sorted(terms), min(20, len(terms))):
            if _chapter(terms[other][0]) != _chapter(item) and not stems(other) & stems(text):
                changed = f"{said[: match.start()]}{other}{said[match.end() :]}"
                changed = changed[0].upper() + changed[1:]
                made.append(Asked(_believed(changed), "false premise", locator=item.locator))
                break
    return made


def _renumbered(items: Sequence[Item]) -> list[Asked]:
    """A statement whose only quantity is three times as large, where its passage has no such."""
    made = []
    for item, said in _statements(items):
        given = [q for q in quantities(said) if q.unit and said.count(q.written) == 1]
        if len(quantities(said)) != 1 or not given or not 1 < given[0].value < 10_000:
            continue
        number = re.match(r"[\d.,]+", given[0].written)
        value = f"{given[0].value * 3:g}"
        if not number or any(f"{q.value:g}" == value for q in quantities(item.text)):
            continue
        changed = said.replace(given[0].written, given[0].written.replace(number[0], value, 1))
        made.append(Asked(_believed(changed), "false premise", locator=item.locator))
    return made


def _chapter(item: Item) -> tuple[str, ...]:
    return item.section[:2] or (item.source,)
