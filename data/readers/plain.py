"""Read plain text: paragraphs between blank lines, and unmistakable headings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from data.documents import Block, Document
from data.readers.files import decode, fingerprint, format_of, read_text_bytes, source_of
from data.readers.formulas import normalise_formulas
from data.readers.structure import Content, assemble, humanise, role_of
from data.readers.white_space import collapse

__all__ = ["PlainReader"]

_UNDERLINE = re.compile(r"={3,}|-{3,}|~{3,}")
_NUMBERED_HEADING = re.compile(r"(?P<number>\d{1,3}(?:\.\d{1,3})*)\.?\s+[^\W\d_][^\n]*[^\s.:;,?!]")
_NAMED_HEADING = re.compile(
    r"(?i:chapter|part|unit|section|appendix|lesson)\s+(?:\d+|[A-Z])\b[^\n]*"
)
_LIST_ITEM = re.compile(r"\s*(?:[-*•–]|\d{1,3}[.)]|[a-z][.)])\s+\S")
_MAX_HEADING_CHARACTERS = 80


class PlainReader:
    """Read `.txt` and `.text` files."""

    name = "plain"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "plain"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source, title = source_of(path, root), humanise(path.stem)
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read)


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    text = normalise_formulas(decode(read_text_bytes(path, source), source))
    yield from assemble(_blocks(text, title))


def _blocks(text: str, title: str) -> Iterator[Content]:
    paragraphs = [
        lines
        for chunk in re.split(r"\n[ \t]*\n|\f", text)
        if (lines := [line.rstrip() for line in chunk.split("\n") if line.strip()])
    ]
    # "3 Forces" is a heading only if the text also has a "3.1 …"; else it may be a list item
    has_subsections = any(
        len(lines) == 1
        and (heading_match := _NUMBERED_HEADING.fullmatch(lines[0].strip()))
        and "." in heading_match["number"]
        for lines in paragraphs
    )
    headings: list[tuple[int, str]] = []
    for lines in paragraphs:
        heading = _leading_heading(lines, has_subsections)
        if heading:
            level, text, line_count = heading
            headings = [h for h in headings if h[0] < level]
            if headings or text.casefold() != title.casefold():
                headings.append((level, text))
            lines = lines[line_count:]
        if lines:
            section = tuple(text for _, text in headings)
            yield Block(_unwrap(lines), (title, *section), role_of(section))


def _leading_heading(lines: list[str], has_subsections: bool) -> tuple[int, str, int] | None:
    """Return (level, text, number of lines) of the heading that a paragraph starts with."""
    first = lines[0].strip()
    if len(first) > _MAX_HEADING_CHARACTERS:
        return None
    if len(lines) > 1 and _UNDERLINE.fullmatch(lines[1].strip()):
        underline = lines[1].strip()
        is_long_enough = len(underline) >= len(first) - 1
        return ({"=": 1, "-": 2, "~": 3}[underline[0]], first, 2) if is_long_enough else None
    if len(lines) > 1:
        return None
    if _NAMED_HEADING.fullmatch(first) and not first.endswith((".", ",", ";")):
        return 1, first, 1
    numbered = _NUMBERED_HEADING.fullmatch(first)
    if numbered and (has_subsections or "." in numbered["number"]):
        return numbered["number"].count(".") + 1, first, 1
    return None


def _unwrap(lines: list[str]) -> str:
    """Join wrapped lines; a list keeps one line per item."""
    unwrapped: list[str] = []
    for line in lines:
        if unwrapped and not _LIST_ITEM.match(line):
            unwrapped[-1] += f"\n{line.strip()}"
        else:
            unwrapped.append(line.strip())
    return "\n".join(collapse(line) for line in unwrapped)
