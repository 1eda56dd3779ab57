"""Load a file of queries with the items that answer them, and check both against the book."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import yaml

from benchmarks.query_pictures import RENDITIONS
from data.chunking import ItemDraft, chunk
from data.errors import BadInput, Missing
from data.pictures import digest_of
from data.readers.cnxml import CnxmlReader
from data.records import Item, Kind

__all__ = ["GROUPS", "CheckedQuery", "load", "read_items", "validate"]

Group = Literal["figure", "passage", "picture", "mixed"]
GROUPS: tuple[Group, ...] = get_args(Group)
Items = Mapping[str, tuple[Item, str]]  # locator -> item and the digest of its picture


@dataclass(frozen=True)
class CheckedQuery:
    """One entry of the query file.

    `relevant` holds the locators of the items that answer it. `picture` is a file of the book, and
    `rendition` the way in which it reaches the student. `kind` is the student's filter.
    """

    group: Group
    relevant: tuple[str, ...]
    text: str = ""
    picture: str = ""
    rendition: str = ""
    kind: Kind | Literal["any"] = "any"

    @property
    def name(self) -> str:
        """The picture and the words, as they appear in the results."""
        picture = f"{Path(self.picture).stem}, {self.rendition}" if self.picture else ""
        return "; ".join(part for part in (picture, self.text) if part)


def load(path: Path) -> tuple[str, list[CheckedQuery]]:
    """Return the corpus and the queries of a file. Raises `BadInput` for an unknown key."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    corpus = document.pop("corpus")
    if unknown := sorted(set(document) - set(GROUPS)):
        raise BadInput(f"{path.name}: unknown groups {unknown}; expected some of {list(GROUPS)}")
    queries = []
    for group in GROUPS:
        for entry in document.get(group, ()):
            try:
                query = CheckedQuery(group=group, **entry)
            except TypeError as error:
                raise BadInput(f"{path.name}: {entry}: {error}; see the other entries") from None
            queries.append(replace(query, relevant=tuple(query.relevant)))
    return corpus, queries


def read_items(book: Path, corpus: str) -> Items:
    """Return every item of the book. Raises `Missing` if there is no such folder."""
    if not book.is_dir():
        raise Missing(f"{book}: no such folder; put the book there or pass another --corpora")
    items = {}
    for document in CnxmlReader().documents(book, book):
        for event in chunk(document, corpus):
            if isinstance(event, ItemDraft):
                path, digest = event.picture, ""
                if isinstance(path, Path) and path.is_file():
                    digest = digest_of(path.read_bytes())
                items[event.item.locator] = (event.item, digest)
    return items


def validate(queries: Sequence[CheckedQuery], items: Items, book: Path, name: str) -> None:
    """Raise `BadInput` with a list of the queries that do not fit the book."""
    faults = [f"{q.name}: {fault}" for q in queries for fault in _faults(q, items, book)]
    counts = Counter(q.name for q in queries)
    faults += [f"{query}: occurs {n} times" for query, n in counts.items() if n > 1]
    if faults:
        raise BadInput(
            f"{name}: {len(faults)} faults; correct these entries:\n  " + "\n  ".join(faults)
        )


def _faults(query: CheckedQuery, items: Items, book: Path) -> Iterable[str]:
    if bool(query.picture) != (query.group in ("picture", "mixed")):
        yield f"a query of group {query.group} with{'' if query.picture else 'out'} a picture"
    if bool(query.text) != (query.group != "picture"):
        yield f"a query of group {query.group} with{'' if query.text else 'out'} words"
    if not query.relevant:
        yield "no relevant items"
    if query.kind not in ("any", *get_args(Kind)):
        yield f"kind {query.kind!r}; expected any, figure or passage"
    for locator in query.relevant:
        if locator not in items:
            yield f"{locator} is not in the book"
            continue
        item = items[locator][0]
        # A photo may show the figure of an exercise. A query in words needs an explanation.
        by_picture = bool(query.picture) and item.kind == "figure"
        unhelpful = item.role == "objective" or (item.role == "exercise" and not by_picture)
        if item.audience == "teacher" or unhelpful:
            yield f"{locator} is for {item.audience}s, {item.role}; it explains nothing"
        if query.kind not in ("any", item.kind):
            yield f"{locator} is a {item.kind}, but the query's kind is {query.kind}"
    if query.picture:
        yield from _picture_faults(query, items, book / query.picture)


def _picture_faults(query: CheckedQuery, items: Items, path: Path) -> Iterable[str]:
    if query.rendition not in RENDITIONS:
        yield f"rendition {query.rendition!r}; expected one of {', '.join(RENDITIONS)}"
    if not path.is_file():
        yield f"{query.picture} is not in the book"
        return
    digest = digest_of(path.read_bytes())
    owners = {
        locator
        for locator, (item, item_digest) in items.items()
        if item_digest == digest and item.audience == "student"
    }
    if not owners:
        yield f"no figure shows {query.picture}"
    for locator in sorted(owners - set(query.relevant)):
        yield f"{locator} shows the same picture and is not listed"
