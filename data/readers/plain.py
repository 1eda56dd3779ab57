"""Plain text: paragraphs between blank lines; headings only where they are beyond doubt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from data.documents import Block, Document
from data.readers.files import decode, fingerprint, format_of, read_bytes, source_of
from data.readers.formulas import normalise
from data.readers.structure import Part, finish, humanise, role_of

__all__ = ["PlainReader"]

_UNDERLINE = re.compile(r"={3,}|-{3,}|~{3,}")
_NUMBERED = re.compile(r"(?P<number>\d{1,3}(?:\.\d{1,3})*)\.?\s+[^\W\d_][^\n]*[^\s.:;,?!]")
_NAMED = re.compile(r"(?i:chapter|part|unit|section|appendix|lesson)\s+(?:\d+|[A-Z])\b[^\n]*")
_LIST_ITEM = re.compile(r"\s*(?:[-*•–]|\d{1,3}[.)]|[a-z][.)])\s+\S")
_HEADING_CHARS = 80


class PlainReader:
    """`.txt` and `.text` files."""

    name = "plain"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "plain"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source, title = source_of(path, root), humanise(path.stem)
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read)


def _read(path: Path, source: str, title: str) -> Iterator[Part]:
    text = normalise(decode(read_bytes(path, source), source))
    yield from finish(_blocks(text, title))


def _blocks(text: str, title: str) -> Iterator[Part]:
    paragraphs = [
        lines
        for chunk in re.split(r"\n[ \t]*\n|\f", text)
        if (lines := [line.rstrip() for line in chunk.split("\n") if line.strip()])
    ]
    # "3 Forces" is a heading only in a text that also has a "3.1 …"; else it may be a list
    divided = any(
        len(lines) == 1
        and (found := _NUMBERED.fullmatch(lines[0].strip()))
        and "." in found["number"]
        for lines in paragraphs
    )
    headings: list[tuple[int, str]] = []
    for lines in paragraphs:
        heading = _heading(lines, divided)
        if heading:
            level, words, used = heading
            headings = [h for h in headings if h[0] < level]
            if headings or words.casefold() != title.casefold():
                headings.append((level, words))
            lines = lines[used:]
        if lines:
            names = tuple(words for _, words in headings)
            yield Block(_join(lines), (title, *names), role_of(names))


def _heading(lines: list[str], divided: bool) -> tuple[int, str, int] | None:
    """(level, text, lines used) where a paragraph opens with a heading."""
    first = lines[0].strip()
    if len(first) > _HEADING_CHARS:
        return None
    if len(lines) > 1 and _UNDERLINE.fullmatch(lines[1].strip()):
        fits = len(lines[1].strip()) >= len(first) - 1
        return ({"=": 1, "-": 2, "~": 3}[lines[1].strip()[0]], first, 2) if fits else None
    if len(lines) > 1:
        return None
    if _NAMED.fullmatch(first) and not first.endswith((".", ",", ";")):
        return 1, first, 1
    numbered = _NUMBERED.fullmatch(first)
    if numbered and (divided or "." in numbered["number"]):
        return numbered["number"].count(".") + 1, first, 1
    return None


def _join(lines: list[str]) -> str:
    """Wrapped lines become one; a list keeps its lines."""
    joined: list[str] = []
    for line in lines:
        if joined and not _LIST_ITEM.match(line):
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line.strip())
    return "\n".join(" ".join(line.split()) for line in joined)
