"""Turn the blocks of a document into items: by structure first, by size second.

A passage never crosses a heading, and all of it has one role and one audience. Text longer than
`MAX_CHARS` is split between sentences, and neighbouring pieces share one sentence. Figures, terms,
examples, exercises, solutions and tables are separate items. A table longer than `MAX_CHARS` is
split between rows, and every piece has its caption and header.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.documents import Block, Document, Figure, Problem
from data.records import Item, Kind, Role, item_id
from data.sentences import split_sentences
from data.tables import parse_table, split_table

__all__ = ["MAX_CHARS", "ItemDraft", "chunk", "link_neighbours", "split_text"]

# About 180 words, which fit into a text retriever's window of 256 word pieces.
MAX_CHARS = 1_100
_MERGED_TAIL_FACTOR = 1.25  # how far a merged last piece may exceed the limit
_TITLE_CHARS = 90
# Neighbouring blocks of these roles are continuous text and join into one passage.
_CONTINUOUS: frozenset[Role] = frozenset({"text", "summary", "objective", "note"})


@dataclass(frozen=True, slots=True)
class ItemDraft:
    """An item whose picture is not stored yet, so its `image` digest is still empty.

    `item.neighbours` holds only the ids that the text refers to; `link_neighbours` adds the rest.
    """

    item: Item
    picture: Path | bytes | None = None


@dataclass
class _Run:
    """Consecutive blocks that become one passage or, if they are too long, several."""

    first: Block
    lines: list[str] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def continues_with(self, block: Block) -> bool:
        return (
            block.role in _CONTINUOUS
            and block.role == self.first.role
            and block.section == self.first.section
            and block.audience == self.first.audience
            and block.title == self.first.title
        )

    def add(self, block: Block) -> None:
        self.lines += block.text.splitlines()
        self.refs += block.refs
        self.blocks.append(block)


def chunk(document: Document, corpus: str) -> Iterator[ItemDraft | Problem]:
    """Yield the items of a document in reading order, with one section in memory at a time."""
    drafts = _DraftFactory(document, corpus)
    run: _Run | None = None
    for event in document.read():
        if isinstance(event, Block):
            if not event.text.strip():
                continue
            if run and not run.continues_with(event):
                yield from drafts.passages(run)
                run = None
            run = run or _Run(event)
            run.add(event)
        elif isinstance(event, Figure):
            # Running text continues after a figure. An exercise or example ends before its figure.
            if run and run.first.role not in _CONTINUOUS:
                yield from drafts.passages(run)
                run = None
            yield drafts.figure(event)
        else:
            yield event
    if run:
        yield from drafts.passages(run)


class _DraftFactory:
    """Make the items of a document: number them and give each a unique locator."""

    def __init__(self, document: Document, corpus: str) -> None:
        self._document = document
        self._corpus = corpus
        self._order = 0
        self._anchors: set[str] = set()

    def figure(self, figure: Figure) -> ItemDraft:
        caption, alt = figure.caption.strip(), figure.alt.strip()
        texts = (caption, alt if alt not in caption else "")
        item = self._item(
            "figure",
            figure.anchor or "figure",
            _figure_title(figure) or self._section_title(figure.section),
            "\n".join(text for text in texts if text),
        )
        return ItemDraft(
            replace(
                item,
                role=figure.role,
                section=figure.section,
                audience=figure.audience,
                page=figure.page,
                bbox=figure.bbox,
                labels=figure.text,
            ),
            figure.picture,
        )

    def passages(self, run: _Run) -> Iterator[ItemDraft]:
        block = run.first
        title = block.title or _table_title(block) or self._section_title(block.section)
        linked = [*dict.fromkeys(run.refs), *([block.partner] if block.partner else [])]
        pieces = self._pieces(run)
        for text, sources in zip(pieces, _sources(pieces, run.blocks), strict=True):
            item = self._item("passage", block.anchor or "passage", title, text)
            yield ItemDraft(
                replace(
                    item,
                    role=block.role,
                    audience=block.audience,
                    section=block.section,
                    page=sources[0].page,
                    boxes=tuple(dict.fromkeys(box for s in sources for box in s.boxes)),
                    neighbours=tuple(self._item_id(anchor) for anchor in linked),
                )
            )

    def _pieces(self, run: _Run) -> list[str]:
        if run.first.role == "table":
            return split_table("\n".join(run.lines), MAX_CHARS)
        return split_text(run.lines, self._document.language)

    def _section_title(self, section: tuple[str, ...]) -> str:
        return section[-1] if section else self._document.title

    def _item(self, kind: Kind, anchor: str, title: str, text: str) -> Item:
        self._order += 1
        locator = f"{self._document.source}#{self._unique(anchor)}"
        return Item(
            id=item_id(self._corpus, locator),
            kind=kind,
            corpus=self._corpus,
            locator=locator,
            title=title,
            text=text,
            order=self._order,
            source=self._document.source,
            licence=self._document.licence,
            attribution=self._document.attribution,
        )

    def _unique(self, anchor: str) -> str:
        """Return the anchor, with a number appended if an earlier item already uses it."""
        unique, count = anchor, 1
        while unique in self._anchors:
            count += 1
            unique = f"{anchor}~{count}"
        self._anchors.add(unique)
        return unique

    def _item_id(self, anchor: str) -> str:
        locator = anchor if "#" in anchor else f"{self._document.source}#{anchor}"
        return item_id(self._corpus, locator)


def _sources(pieces: Iterable[str], blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Yield the blocks that each piece of their text comes from, in order."""
    texts = [" ".join(block.text.split()) for block in blocks]
    current = 0
    for piece in pieces:
        sources: dict[int, Block] = {}
        for line in piece.splitlines():
            words = " ".join(line.split())
            later = (n for n in range(current, len(blocks)) if words in texts[n])
            current = next(later, current)
            sources[current] = blocks[current]
        yield list(sources.values())


def split_text(lines: Iterable[str], language: str = "en", limit: int = MAX_CHARS) -> list[str]:
    """Split lines into pieces of at most `limit` characters, between sentences.

    Neighbouring pieces share one sentence, unless it is longer than a quarter of the limit. A
    sentence longer than `limit` becomes a piece by itself. A short last piece is merged into the
    piece before it if the merged piece exceeds the limit by at most a quarter.
    """
    sentences = [
        _Sentence(text, "\n" if n == 0 else " ")
        for line in lines
        for n, text in enumerate(split_sentences(line, language))
    ]
    pieces: list[list[_Sentence]] = []
    piece: list[_Sentence] = []
    size = 0
    for sentence in sentences:
        if piece and size + len(sentence.text) > limit:
            pieces.append(piece)
            last = piece[-1]
            is_shared = len(piece) > 1 and len(last.text) < limit // 4
            piece, size = ([last], len(last.text)) if is_shared else ([], 0)
        piece = [*piece, sentence]
        size += len(sentence.text) + 1
    if piece:
        pieces.append(piece)
    if len(pieces) > 1 and _length(pieces[-1]) < limit // 4:
        tail = pieces[-1][1:] if pieces[-1][0] == pieces[-2][-1] else pieces[-1]
        if _length(pieces[-2]) + _length(tail) <= limit * _MERGED_TAIL_FACTOR:
            pieces[-2:] = [pieces[-2] + tail]
    return ["".join(s.separator + s.text for s in piece).strip() for piece in pieces]


def link_neighbours(items: Iterable[Item]) -> list[Item]:
    """Make the neighbours of items mutual and return the items in reading order.

    A figure without a neighbour gets the passage before it in its section, or else the one after.
    """
    ordered = sorted(items, key=lambda item: item.order)
    neighbours: dict[str, list[str]] = {item.id: list(item.neighbours) for item in ordered}
    for item in ordered:
        for other in item.neighbours:
            if other in neighbours and item.id not in neighbours[other]:
                neighbours[other].append(item.id)
    for direction in (ordered, ordered[::-1]):
        nearest_passage: dict[tuple[str, ...], str] = {}
        for item in direction:
            if item.kind == "passage":
                nearest_passage[item.section] = item.id
            elif not neighbours[item.id] and item.section in nearest_passage:
                passage = nearest_passage[item.section]
                neighbours[item.id].append(passage)
                neighbours[passage].append(item.id)
    return [replace(item, neighbours=tuple(neighbours[item.id])) for item in ordered]


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    separator: str  # before the sentence: a line break at the start of a line, else a space


def _length(piece: list[_Sentence]) -> int:
    return sum(len(sentence.text) + 1 for sentence in piece)


def _figure_title(figure: Figure) -> str:
    name = f"Figure {figure.number}" if figure.number else ""
    summary = _first_sentence(figure.caption.strip() or figure.alt.strip())
    if name and summary.startswith(name):
        return summary
    return ". ".join(text for text in (name, summary) if text)


def _table_title(block: Block) -> str:
    table = parse_table(block.text) if block.role == "table" else None
    return _cut(table.caption.replace("\n", " ")) if table else ""


def _first_sentence(text: str) -> str:
    return _cut(next(iter(split_sentences(text)), ""))


def _cut(text: str) -> str:
    """Return a text, cut between words to the length of a title."""
    if len(text) <= _TITLE_CHARS:
        return text
    return text[:_TITLE_CHARS].rsplit(" ", 1)[0] + " …"
