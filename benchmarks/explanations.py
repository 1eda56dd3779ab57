"""Read the groups that teach and judge answers: evidence, a question, right and wrong sentences.

A group has evidence (passages with labels), a student's question, faithful sentences with the
labels that they cite, subtly wrong sentences with their kind, a question that the evidence does not
answer, and, in our own groups, a question with a false premise and its correction.

`shared_groups` reads the set of `shared/benchmarks/explanations`, `written_groups` our own
(data/explanations). Groups on a textbook name their passages only; the words are read from the
book.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.books import read_items
from benchmarks.environment import CORPORA, REPOSITORY, SHARED
from data.sentences import split_sentences

__all__ = [
    "HELD_OUT_BOOK",
    "KINDS",
    "Claim",
    "Correction",
    "Group",
    "Passage",
    "shared_groups",
    "written_groups",
]

KINDS = (
    "swapped_relation", "overclaim", "wrong_entity", "wrong_number_or_unit", "wrong_cause",
    "negation", "unsupported_true", "invented_definition", "mixed_sources",
)  # fmt: skip
HELD_OUT_BOOK = "openstax-organic-chemistry"  # 81 of the 427 shared groups
_SHARED = SHARED / "benchmarks" / "explanations" / "explanations.jsonl"
_WRITTEN = REPOSITORY / "data" / "explanations"


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of the evidence."""

    label: int
    title: str
    text: str

    @property
    def sentences(self) -> list[str]:
        """The sentences of the passage."""
        return split_sentences(self.text)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence with the labels that it cites. `kind` is empty for a faithful one."""

    text: str
    cites: tuple[int, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """A question with a false premise, and the sentence that puts it right."""

    question: str
    text: str
    cites: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The evidence of one question and everything that was written about it.

    `book` is empty if the passages are our own.
    """

    id: str
    book: str
    evidence: tuple[Passage, ...]
    question: str
    faithful: tuple[Claim, ...]
    wrong: tuple[Claim, ...]
    unanswerable: str
    correction: Correction | None

    def cited(self, labels: Iterable[int]) -> list[Passage]:
        """Return the passages with these labels."""
        wanted = set(labels)
        return [passage for passage in self.evidence if passage.label in wanted]


def shared_groups() -> list[Group]:
    """Return the 427 groups on six textbooks."""
    return [_group(row, _inline(row)) for row in _rows(_SHARED)]


def written_groups(name: str) -> list[Group]:
    """Return our own groups: `train`, or `heldout` on the three books that nothing is trained on.

    Groups whose passage is no longer in its book are left out.
    """
    groups = []
    for row in _rows(_WRITTEN / f"{name}.jsonl"):
        evidence = _from_book(row) if row.get("book") else _inline(row)
        if evidence:
            groups.append(_group(row, evidence))
    return groups


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _inline(row: Mapping[str, Any]) -> tuple[Passage, ...]:
    return tuple(Passage(e["label"], e["title"], _one_line(e["text"])) for e in row["evidence"])


def _from_book(row: Mapping[str, Any]) -> tuple[Passage, ...]:
    texts = _texts(row["book"])
    places = [e["locator"] for e in row["evidence"]]
    if not all(place in texts for place in places):
        return ()
    return tuple(Passage(e["label"], e["title"], texts[e["locator"]]) for e in row["evidence"])


@cache
def _texts(book: str) -> dict[str, str]:
    """Return the text of every passage of a book, by locator."""
    items = read_items(CORPORA / book)
    return {item.locator: _one_line(item.text) for item in items if item.kind == "passage"}


def _group(row: Mapping[str, Any], evidence: tuple[Passage, ...]) -> Group:
    premise = row.get("false_premise")
    return Group(
        row["id"],
        row.get("book", ""),
        evidence,
        row["question"],
        _claims(row["answer"]),
        _claims(row["wrong"]),
        row["unanswerable"],
        Correction(premise["question"], premise["correction"], tuple(premise["cites"]))
        if premise
        else None,
    )


def _claims(rows: Sequence[Mapping[str, Any]]) -> tuple[Claim, ...]:
    return tuple(Claim(r["text"], tuple(r["cites"]), r.get("kind", "")) for r in rows)


def _one_line(text: str) -> str:
    return " ".join(text.split())
