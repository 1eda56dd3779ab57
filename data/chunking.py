"""From a document's blocks to items: structure first, size second.

A passage never crosses a heading, a change of role or of audience. Only text longer than
`MAX_CHARS` is split, between sentences, and its pieces share one sentence. Figures, terms,
examples, exercises and solutions are items of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.documents import Block, Document, Figure, Problem
from data.records import Item, Role, item_id
from data.sentences import sentences

__all__ = ["MAX_CHARS", "Draft", "chunk", "link"]

# About 180 words: what a text retriever with a window of 256 word pieces sees whole.
MAX_CHARS = 1_100
# Neighbouring blocks of these roles read on from one another.
_FLOWING: frozenset[Role] = frozenset({"text", "summary", "objective", "note", "table"})
_TITLE_CHARS = 90


@dataclass(frozen=True, slots=True)
class Draft:
    """An item before its picture has a digest; `neighbours` hold what the text itself names."""

    item: Item
    picture: Path | bytes | None = None


@dataclass
class _Run:
    """Blocks that become one passage or, when too long, several."""

    first: Block
    lines: list[str] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    size: int = 0

    def takes(self, block: Block) -> bool:
        return (
            block.role in _FLOWING
            and block.role == self.first.role
            and block.section == self.first.section
            and block.audience == self.first.audience
            and block.title == self.first.title
        )

    def add(self, block: Block) -> None:
        self.lines += block.text.splitlines()
        self.refs += block.refs
        self.size += len(block.text)


def chunk(document: Document, corpus: str) -> Iterator[Draft | Problem]:
    """Stream a document's items in reading order; memory holds one section's text."""
    maker = _Maker(document, corpus)
    run: _Run | None = None
    for event in document.read():
        if isinstance(event, Block):
            if not event.text.strip():
                continue
            if run and not run.takes(event):
                yield from maker.passages(run)
                run = None
            run = run or _Run(event)
            run.add(event)
        elif isinstance(event, Figure):
            # A figure does not break the running text around it, but follows a finished exercise.
            if run and run.first.role not in _FLOWING:
                yield from maker.passages(run)
                run = None
            yield maker.figure(event)
        else:
            yield event
    if run:
        yield from maker.passages(run)


class _Maker:
    def __init__(self, document: Document, corpus: str) -> None:
        self.document = document
        self.corpus = corpus
        self.order = 0
        self.used: set[str] = set()

    def figure(self, figure: Figure) -> Draft:
        caption, alt = figure.caption.strip(), figure.alt.strip()
        text = "\n".join(part for part in (caption, alt if alt not in caption else "") if part)
        name = f"Figure {figure.number}" if figure.number else ""
        gist = _first_sentence(caption or alt)
        if name and gist.startswith(name):
            title = gist
        else:
            title = ". ".join(part for part in (name, gist) if part)
        item = self._item(
            "figure",
            figure.anchor or "figure",
            title or (figure.section[-1] if figure.section else self.document.title),
            text,
        )
        return Draft(
            replace(
                item,
                role=figure.role,
                section=figure.section,
                audience=figure.audience,
                page=figure.page,
                bbox=figure.bbox,
            ),
            figure.picture,
        )

    def passages(self, run: _Run) -> Iterator[Draft]:
        block = run.first
        title = block.title or (block.section[-1] if block.section else self.document.title)
        linked = [*dict.fromkeys(run.refs), *([block.partner] if block.partner else [])]
        for text in split(run.lines, self.document.language):
            item = self._item("passage", block.anchor or "passage", title, text)
            yield Draft(
                replace(
                    item,
                    role=block.role,
                    audience=block.audience,
                    section=block.section,
                    page=block.page,
                    neighbours=tuple(self._id(anchor) for anchor in linked),
                )
            )

    def _item(self, kind: str, anchor: str, title: str, text: str) -> Item:
        unique, n = anchor, 1
        while unique in self.used:
            n += 1
            unique = f"{anchor}~{n}"
        self.used.add(unique)
        self.order += 1
        locator = f"{self.document.source}#{unique}"
        return Item(
            id=item_id(self.corpus, locator),
            kind=kind,  # type: ignore[arg-type]
            corpus=self.corpus,
            locator=locator,
            title=title,
            text=text,
            order=self.order,
            source=self.document.source,
            licence=self.document.licence,
            attribution=self.document.attribution,
        )

    def _id(self, anchor: str) -> str:
        locator = anchor if "#" in anchor else f"{self.document.source}#{anchor}"
        return item_id(self.corpus, locator)


def split(lines: Iterable[str], language: str = "en", limit: int = MAX_CHARS) -> list[str]:
    """Lines into pieces of at most `limit` characters, cut between sentences, sharing one.

    A sentence longer than `limit` stays whole and alone. A last piece that would be short is merged
    into the one before it where both together stay within a quarter over the limit.
    """
    units = [
        (s, "\n" if n == 0 else " ")
        for line in lines
        for n, s in enumerate(sentences(line, language))
    ]
    pieces: list[list[tuple[str, str]]] = []
    current: list[tuple[str, str]] = []
    size = 0
    for unit in units:
        if current and size + len(unit[0]) > limit:
            pieces.append(current)
            shared = current[-1]
            keep = len(current) > 1 and len(shared[0]) < limit // 4
            current, size = ([shared], len(shared[0])) if keep else ([], 0)
        current = [*current, unit]
        size += len(unit[0]) + 1
    if current:
        pieces.append(current)
    if len(pieces) > 1 and _length(pieces[-1]) < limit // 4:
        tail = pieces[-1][1:] if pieces[-1][0] == pieces[-2][-1] else pieces[-1]
        if _length(pieces[-2]) + _length(tail) <= limit * 1.25:
            pieces[-2:] = [pieces[-2] + tail]
    return ["".join(joint + s for s, joint in piece).strip() for piece in pieces]


def link(items: Iterable[Item]) -> list[Item]:
    """Make neighbours mutual; a figure that no text names gets the passage before it, or after."""
    ordered = sorted(items, key=lambda i: i.order)
    partners: dict[str, list[str]] = {i.id: list(i.neighbours) for i in ordered}
    for item in ordered:
        for other in item.neighbours:
            if other in partners and item.id not in partners[other]:
                partners[other].append(item.id)
    for direction in (ordered, ordered[::-1]):
        nearest: dict[tuple[str, ...], str] = {}
        for item in direction:
            if item.kind == "passage":
                nearest[item.section] = item.id
            elif not partners[item.id] and item.section in nearest:
                partners[item.id].append(nearest[item.section])
                partners[nearest[item.section]].append(item.id)
    return [replace(i, neighbours=tuple(partners[i.id])) for i in ordered]


def _length(piece: list[tuple[str, str]]) -> int:
    return sum(len(s) + 1 for s, _ in piece)


def _first_sentence(text: str) -> str:
    first = next(iter(sentences(text)), "")
    if len(first) <= _TITLE_CHARS:
        return first
    return first[:_TITLE_CHARS].rsplit(" ", 1)[0] + " …"
