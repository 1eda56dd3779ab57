"""The path of headings in a PDF: its outline (bookmarks), and below that headings by their type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import pypdfium2 as pdfium

__all__ = ["Bookmark", "Marks", "Sections", "key_of", "outline_of"]

_MAX_BOOKMARKS = 20_000


def key_of(text: str) -> str:
    """Letters and digits only: outline and page differ in spaces, dots and capitals."""
    return "".join(c for c in text.casefold() if c.isalnum())


class Bookmark(NamedTuple):
    """An entry of the outline; `level` 0 is the outermost."""

    level: int
    title: str


def outline_of(pdf: pdfium.PdfDocument) -> dict[int, list[Bookmark]]:
    """The outline's entries by page index, in order."""
    pages: dict[int, list[Bookmark]] = defaultdict(list)
    for entry in islice(pdf.get_toc(max_depth=8), _MAX_BOOKMARKS):
        dest = entry.get_dest()
        index = dest.get_index() if dest else None
        try:
            title = " ".join(entry.get_title().split())
        except UnicodeDecodeError:
            continue
        if index is not None and title:
            pages[index].append(Bookmark(entry.level, title))
    return dict(pages)


class _Heading(NamedTuple):
    """`rank` orders headings by their type: larger, then bolder, stands higher."""

    title: str
    rank: float


class Sections:
    """The path of headings: entries of the outline first, headings by their type below them."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._marks: list[str] = []
        self._below: list[_Heading] = []

    @property
    def path(self) -> tuple[str, ...]:
        # the book itself may be the root of its outline
        root = bool(self._marks) and key_of(self._marks[0]) == key_of(self._title)
        return (self._title, *self._marks[root:], *(h.title for h in self._below))

    def bookmark(self, mark: Bookmark) -> None:
        self._below = []
        self._marks = [*self._marks[: mark.level], mark.title]

    def heading(self, title: str, size: float, bold: bool) -> None:
        rank = round(size * 2) / 2 + 0.25 * bold
        while self._below and self._below[-1].rank <= rank:
            self._below.pop()
        if key_of(title) != key_of(self._title):
            self._below.append(_Heading(title, rank))


class Marks:
    """The bookmarks of one page, taken one by one as their headings come up in the text."""

    def __init__(self, marks: Sequence[Bookmark], sections: Sections) -> None:
        self._waiting = list(marks)
        self._sections = sections

    def skip_unseen(self, texts: Sequence[str]) -> None:
        """Take those at the head of the page that no text of the page shows."""
        keys = {key_of(text) for text in texts if len(text) <= 300}
        while self._waiting and not any(_shows(key, self._waiting[0]) for key in keys):
            self._sections.bookmark(self._waiting.pop(0))

    def take(self, text: str) -> bool:
        """Whether `text` is the heading of a bookmark of this page; those before it count too."""
        key = key_of(text) if len(text) <= 300 else ""
        for at, mark in enumerate(self._waiting):
            if _shows(key, mark):
                for passed in self._waiting[: at + 1]:
                    self._sections.bookmark(passed)
                del self._waiting[: at + 1]
                return True
        return False

    def take_all(self) -> None:
        for mark in self._waiting:
            self._sections.bookmark(mark)
        self._waiting = []


def _shows(key: str, mark: Bookmark) -> bool:
    """Whether a text is this heading; either may have the section number and the other not."""
    title = key_of(mark.title)
    longer, shorter = (key, title) if len(key) >= len(title) else (title, key)
    if not shorter or len(longer) - len(shorter) > 12:
        return False
    return longer == shorter or (
        longer.endswith(shorter) and any(map(str.isdigit, longer[: -len(shorter)]))
    )
