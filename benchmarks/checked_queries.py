"""A file of queries with the items that answer them, and whether both still fit the book."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import yaml

from benchmarks.query_pictures import WAYS
from data.chunking import ItemDraft, chunk
from data.errors import BadInput, Missing
from data.pictures import digest_of
from data.readers.cnxml import CnxmlReader
from data.records import Item, Kind

__all__ = ["GROUPS", "Query", "load", "read_items", "validate"]

Group = Literal["figure", "passage", "picture", "mixed"]
GROUPS: tuple[Group, ...] = get_args(Group)
Items = Mapping[str, tuple[Item, str]]  # by locator, with the digest of the picture


@dataclass(frozen=True)
class Query:
    """One entry of the query file; `relevant` holds locators."""

    group: Group
    relevant: tuple[str, ...]
    text: str = ""
    picture: str = ""
    made: str = ""
    kind: Kind | Literal["any"] = "any"

    @property
    def name(self) -> str:
        picture = f"{Path(self.picture).stem}, {self.made}" if self.picture else ""
        return "; ".join(part for part in (picture, self.text) if part)


def load(path: Path) -> tuple[str, list[Query]]:
    """The corpus and the queries of a file; unknown keys are refused."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    corpus = document.pop("corpus")
    if unknown := sorted(set(document) - set(GROUPS)):
        raise BadInput(f"{path.name}: unknown groups {unknown}; expected some of {list(GROUPS)}")
    queries = []
    for group in GROUPS:
        for entry in document.get(group, ()):
            try:
                query = Query(group=group, **entry)
            except TypeError as error:
                raise BadInput(f"{path.name}: {entry}: {error}; see the other entries") from None
            queries.append(replace(query, relevant=tuple(query.relevant)))
    return corpus, queries


def read_items(book: Path, corpus: str) -> Items:
    """Every item of the book."""
    if not book.is_dir():
        raise Missing(f"{book}: no such folder; put the book there or name another --corpora")
    found = {}
    for document in CnxmlReader().documents(book, book):
        for event in chunk(document, corpus):
            if isinstance(event, ItemDraft):
                path, digest = event.picture, ""
                if isinstance(path, Path) and path.is_file():
                    digest = digest_of(path.read_bytes())
                found[event.item.locator] = (event.item, digest)
    return found


def validate(queries: Sequence[Query], items: Items, book: Path, name: str) -> None:
    """Raise `BadInput` listing every query that does not fit the book."""
    faults = [f"{q.name}: {fault}" for q in queries for fault in _faults(q, items, book)]
    asked = Counter(q.name for q in queries)
    faults += [f"{query}: asked {n} times" for query, n in asked.items() if n > 1]
    if faults:
        raise BadInput(
            f"{name}: {len(faults)} faults; mend these entries:\n  " + "\n  ".join(faults)
        )


def _faults(query: Query, items: Items, book: Path) -> Iterable[str]:
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
        # a photo may well be of an exercise's figure; words ask for what explains
        drawn = bool(query.picture) and item.kind == "figure"
        unhelpful = item.role == "objective" or (item.role == "exercise" and not drawn)
        if item.audience == "teacher" or unhelpful:
            yield f"{locator} is for {item.audience}s, {item.role}; it explains nothing"
        if query.kind not in ("any", item.kind):
            yield f"{locator} is a {item.kind}, which kind {query.kind} leaves out"
    if query.picture:
        yield from _picture_faults(query, items, book / query.picture)


def _picture_faults(query: Query, items: Items, path: Path) -> Iterable[str]:
    if query.made not in WAYS:
        yield f"made {query.made!r}; expected one of {', '.join(WAYS)}"
    if not path.is_file():
        yield f"{query.picture} is not in the book"
        return
    digest = digest_of(path.read_bytes())
    owners = {
        locator
        for locator, (item, own) in items.items()
        if own == digest and item.audience == "student"
    }
    if not owners:
        yield f"no figure shows {query.picture}"
    for locator in sorted(owners - set(query.relevant)):
        yield f"{locator} shows the same picture and is not listed"
