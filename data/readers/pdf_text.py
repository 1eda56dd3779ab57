"""Read the lines of type on an open PDF page: words become lines, with raised and lowered type.

Type that is turned by a quarter is read in a frame of its own, in which it runs from left to right.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pypdfium2 as pdfium

from data.readers.pdf_fractions import join_fractions
from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_layout import Line
from data.readers.pdf_scripts import compose_text
from data.readers.pdf_words import PageWords, TypeStyle, Word, read_words

__all__ = ["PageLines", "lines_of", "read_lines"]

_TURNS = (0, 90, 180, 270, -1)
_SPACE_SHARE = 0.12  # the least width of a space, in sizes of the type
_ROW = 30.0  # points: the parts of a line lie in the same or in neighbouring rows of this height
_DROP_CAP_FACTOR = 1.8  # size of a drop cap, relative to the text beside it


class PageLines(NamedTuple):
    """The page's rectangle, its lines in file order, and what is wrong with its text layer.

    `hidden` is true if all type is invisible, as in the text layer of a scan after OCR.
    `unmapped_share` is the share of characters whose font has no mapping to Unicode.
    """

    page_box: Rectangle
    lines: list[Line]
    hidden: bool
    unmapped_share: float


class _LineDraft:
    """Words on one baseline, collected until a word starts elsewhere."""

    def __init__(self, word: Word) -> None:
        self.words = [word]
        self.box = word.box
        self.baseline = word.baseline
        self.is_right_to_left = _is_right_to_left(word.text)
        self._characters: dict[TypeStyle, int] = {word.style: len(word.text)}

    @property
    def main_style(self) -> TypeStyle:
        """The style of most characters."""
        if len(self._characters) == 1:
            return next(iter(self._characters))
        return max(self._characters, key=lambda style: self._characters[style])

    def add(self, word: Word) -> bool:
        """Add a word that follows the last one; return False if it stands elsewhere."""
        sizes = word.style.font_size, self.words[0].style.font_size
        size = max(sizes)
        if _stands_beside(*sizes, word.baseline - self.baseline):
            return False
        if word.style.turn < 0:
            if not self.box.expanded(0.6 * size).touches(word.box):
                return False
        else:
            gap = word.box.left - self.box.right
            if self.is_right_to_left or _is_right_to_left(word.text):
                gap = max(gap, self.box.left - word.box.right)
                last = self.words[-1].box
                distance = max(word.box.left - last.right, last.left - word.box.right)
                if distance > _SPACE_SHARE * size and not unicodedata.combining(word.text[0]):
                    word = word._replace(after_space=True)
            if not (abs(word.baseline - self.baseline) < 0.5 * size and -size < gap < size):
                return False
        self._append(word)
        return True

    def absorb(self, other: _LineDraft) -> None:
        """Add the words of a draft that stands directly behind this one."""
        gap = max(other.box.left - self.box.right, self.box.left - other.box.right)
        size = max(self.main_style.font_size, other.main_style.font_size)
        if len(other.words) > len(self.words) or other.main_style.font_size > size:
            self.baseline = other.baseline
        first, *rest = other.words
        is_spaced = first.after_space or gap > _SPACE_SHARE * size
        for word in (first._replace(after_space=is_spaced), *rest):
            self._append(word)

    def _append(self, word: Word) -> None:
        self.words.append(word)
        self._characters[word.style] = self._characters.get(word.style, 0) + len(word.text)
        self.box = self.box.union(word.box)
        self.is_right_to_left = self.is_right_to_left or _is_right_to_left(word.text)

    def line(self, page_box: Rectangle) -> Line:
        """Return the finished line, with the size and font that most of its characters have."""
        style = self.main_style
        baselines = Counter(w.baseline for w in self.words if w.style == style)
        baseline = baselines.most_common(1)[0][0]
        return Line(
            text=compose_text(self.words, style.font_size, baseline),
            box=self.box,
            baseline=baseline,
            font_size=style.font_size,
            font=style.font,
            bold=all(word.style.bold for word in self.words),
            fixed_pitch=style.fixed_pitch,
            turn=style.turn,
            words=tuple((word.text, word.box) for word in self.words),
            turned_box=self.box.turned(style.turn, page_box) if style.turn > 0 else None,
        )


def read_lines(page: pdfium.PdfPage, bars: Sequence[Rectangle] = ()) -> PageLines:
    """Read the lines of a page. `bars` are short rules that may be the bars of fractions."""
    return lines_of(read_words(page), bars)


def lines_of(content: PageWords, bars: Sequence[Rectangle] = ()) -> PageLines:
    """Return the lines that the words of a page form, upright lines first."""
    page_box, words, unmapped = content
    drafts = {
        turn: list(_drafts([word for word in words if word.style.turn == turn])) for turn in _TURNS
    }
    if bars and drafts[0]:
        upright = [word for word in words if word.style.turn == 0]
        drafts[0] = list(_drafts(join_fractions(upright, bars)))
    lines = [
        line
        for turn, group in drafts.items()
        for draft in (_join_parts(group) if turn >= 0 else group)
        if (line := draft.line(page_box)).text and page_box.touches(line.page_box)
    ]
    characters = sum(len(word.text) for word in words)
    is_hidden = bool(words) and all(word.style.hidden for word in words)
    return PageLines(page_box, lines, is_hidden, unmapped / characters if characters else 0.0)


def _drafts(words: Iterable[Word]) -> Iterator[_LineDraft]:
    draft: _LineDraft | None = None
    for word in words:
        if draft is None or word.after_break or not draft.add(word):
            if draft:
                yield draft
            draft = _LineDraft(word)
    if draft:
        yield draft


def _join_parts(drafts: list[_LineDraft]) -> list[_LineDraft]:
    """Join the parts of a line that the file draws separately, such as raised and lowered type.

    Each part, from left to right, is added to the line that ends where the part begins.
    """
    drafts = _join_drop_caps(drafts)
    joined: list[_LineDraft] = []
    rows: dict[int, list[_LineDraft]] = defaultdict(list)  # by height on the page
    for part in sorted(drafts, key=lambda d: d.box.left):
        row = round(part.baseline / _ROW)
        near = [line for step in (-1, 0, 1) for line in rows[row + step]]
        line = next((line for line in near if _is_next_part(line, part)), None)
        if line:
            line.absorb(part)
        else:
            joined.append(part)
            rows[row].append(part)
    return _join_right_to_left(joined)


def _join_right_to_left(drafts: list[_LineDraft]) -> list[_LineDraft]:
    """Join lines that run from right to left with the part to the left of them."""
    if not any(draft.is_right_to_left for draft in drafts):
        return drafts
    joined: list[_LineDraft] = []
    for part in sorted(drafts, key=lambda d: -d.box.right):
        line = next(
            (
                line
                for line in joined
                if (line.is_right_to_left or part.is_right_to_left)
                and _is_level(line, part)
                and -0.3 * part.box.height < line.box.left - part.box.right < part.box.height
            ),
            None,
        )
        if line:
            line.absorb(part)
        else:
            joined.append(part)
    return joined


def _is_next_part(line: _LineDraft, part: _LineDraft) -> bool:
    """Return whether a part stands directly after a line, at the same height."""
    if line.is_right_to_left or part.is_right_to_left:
        return False
    size = max(line.main_style.font_size, part.main_style.font_size)
    return -0.3 * size < part.box.left - line.box.right < 0.6 * size and _is_level(line, part)


def _is_level(line: _LineDraft, part: _LineDraft) -> bool:
    line_size, part_size = line.main_style.font_size, part.main_style.font_size
    size = max(line_size, part_size)
    if _stands_beside(line_size, part_size, line.baseline - part.baseline):
        return False
    if abs(line_size - part_size) < 0.1 * size:
        return abs(line.baseline - part.baseline) < 1.0
    overlap = min(line.box.bottom, part.box.bottom) - max(line.box.top, part.box.top)
    return overlap > 0.4 * min(line.box.height, part.box.height)


def _stands_beside(size: float, other_size: float, step: float) -> bool:
    """Return whether small type stands beside much larger type, on a baseline of its own."""
    smaller, larger = sorted((size, other_size))
    return larger >= _DROP_CAP_FACTOR * smaller and abs(step) > 0.25 * smaller


def _join_drop_caps(drafts: list[_LineDraft]) -> list[_LineDraft]:
    """Put each drop cap before the first of the lines beside it."""
    rest = list(drafts)
    for cap in drafts:
        text = "".join(word.text for word in cap.words)
        if not (len(text) <= 2 and text[-1:].isupper()):
            continue
        size = cap.main_style.font_size
        neighbours = [
            line
            for line in rest
            if size >= _DROP_CAP_FACTOR * line.main_style.font_size
            and -1.0 < line.box.left - cap.box.right < 1.5 * line.main_style.font_size
            and cap.box.top - 0.5 * size < line.box.top
            and line.baseline <= cap.baseline + 0.1 * size
        ]
        if not neighbours:
            continue
        first = min(neighbours, key=lambda line: line.baseline)
        is_word = len(text) == 1 and text in "AI" and first.words[0].text[:1].islower() is False
        first.words = [
            cap.words[0]._replace(style=first.words[0].style, baseline=first.words[0].baseline),
            *(word._replace(after_space=False) for word in cap.words[1:]),
            first.words[0]._replace(after_space=is_word),
            *first.words[1:],
        ]
        rest.remove(cap)
    return rest


def _is_right_to_left(text: str) -> bool:
    return not text.isascii() and any(
        unicodedata.bidirectional(letter) in ("R", "AL") for letter in text
    )
