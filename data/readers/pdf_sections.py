"""Track the path of headings in a PDF: its outline (bookmarks), then headings found by type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import pypdfium2 as pdfium

__all__ = ["Bookmark", "PageBookmarks", "SectionPath", "comparison_key", "read_outline"]

_MAX_BOOKMARKS = 20_000


def comparison_key(text: str) -> str:
    """Return only the letters and digits of a text, in lower case.

    The outline and the page may differ in spaces, dots and capitals.
    """
    return "".join(c for c in text.casefold() if c.isalnum())


class Bookmark(NamedTuple):
    """An entry of the outline; level 0 is the outermost."""

    level: int
    title: str


def read_outline(pdf: pdfium.PdfDocument) -> dict[int, list[Bookmark]]:
    """Return the entries of the outline by page index, in order."""
    pages: dict[int, list[Bookmark]] = defaultdict(list)
    for entry in islice(pdf.get_toc(max_depth=8), _MAX_BOOKMARKS):
        destination = entry.get_dest()
        index = destination.get_index() if destination else None
        try:
            title = " ".join(entry.get_title().split())
        except UnicodeDecodeError:
            continue
        if index is not None and title:
            pages[index].append(Bookmark(entry.level, title))
    return dict(pages)


class _Heading(NamedTuple):
    """A heading found by its type. Larger type ranks higher; of equal sizes, bold ranks higher."""

    title: str
    rank: float


class SectionPath:
    """The current path of headings: bookmarks of the outline, then headings found by type."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bookmark_titles: list[str] = []
        self._headings: list[_Heading] = []

    @property
    def path(self) -> tuple[str, ...]:
        titles = self._bookmark_titles
        if titles and comparison_key(titles[0]) == comparison_key(self._title):
            titles = titles[1:]  # the outline may have the book's title as its root
        return (self._title, *titles, *(h.title for h in self._headings))

    def enter_bookmark(self, bookmark: Bookmark) -> None:
        """Begin the section of a bookmark."""
        self._headings = []
        self._bookmark_titles = [*self._bookmark_titles[: bookmark.level], bookmark.title]

    def enter_heading(self, title: str, font_size: float, bold: bool) -> None:
        """Begin the section of a heading that the outline does not list."""
        rank = round(font_size * 2) / 2 + 0.25 * bold
        while self._headings and self._headings[-1].rank <= rank:
            self._headings.pop()
        if comparison_key(title) != comparison_key(self._title):
            self._headings.append(_Heading(title, rank))


class PageBookmarks:
    """The bookmarks of one page, entered one by one as their headings appear in the text."""

    def __init__(self, bookmarks: Sequence[Bookmark], sections: SectionPath) -> None:
        self._waiting = list(bookmarks)
        self._sections = sections

    def enter_unseen(self, texts: Sequence[str]) -> None:
        """Enter bookmarks up to the first one whose heading is among the texts of the page."""
        keys = {comparison_key(text) for text in texts if len(text) <= 300}
        while self._waiting and not any(_matches(key, self._waiting[0]) for key in keys):
            self._sections.enter_bookmark(self._waiting.pop(0))

    def enter_heading(self, text: str) -> bool:
        """Return whether a text is the heading of a bookmark of this page.

        If it is, enter the bookmark and all bookmarks before it.
        """
        key = comparison_key(text) if len(text) <= 300 else ""
        for index, bookmark in enumerate(self._waiting):
            if _matches(key, bookmark):
                for passed in self._waiting[: index + 1]:
                    self._sections.enter_bookmark(passed)
                del self._waiting[: index + 1]
                return True
        return False

    def enter_remaining(self) -> None:
        """Enter the bookmarks that have not appeared, at the end of the page."""
        for bookmark in self._waiting:
            self._sections.enter_bookmark(bookmark)
        self._waiting = []


def _matches(key: str, bookmark: Bookmark) -> bool:
    """Return whether a text is a bookmark's title. Either may lack the section number."""
    title = comparison_key(bookmark.title)
    longer, shorter = (key, title) if len(key) >= len(title) else (title, key)
    if not shorter or len(longer) - len(shorter) > 12:
        return False
    return longer == shorter or (
        longer.endswith(shorter) and any(map(str.isdigit, longer[: -len(shorter)]))
    )
