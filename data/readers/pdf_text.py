"""Read the type on an open PDF page: characters become words, and words become lines.

The loop over characters calls PDFium's raw interface: the helper classes would take more time than
the calls themselves.
"""

from __future__ import annotations

import ctypes
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from data.readers.pdf_layout import Line, Rectangle

__all__ = ["PageTransform", "page_transform", "read_lines"]

_FORCE_BOLD = 1 << 18  # font descriptor flag, PDF 32000-1 table 123


class PageTransform(NamedTuple):
    """Converts PDF page coordinates (origin bottom left, before /Rotate) to those of `Rectangle`.

    The fields are the page's box in PDF coordinates and its rotation in degrees.
    """

    left: float
    bottom: float
    right: float
    top: float
    rotation: int

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Convert a point."""
        match self.rotation:
            case 90:
                return y - self.bottom, x - self.left
            case 180:
                return self.right - x, y - self.bottom
            case 270:
                return self.top - y, self.right - x
            case _:
                return x - self.left, self.top - y

    def rectangle(self, left: float, bottom: float, right: float, top: float) -> Rectangle:
        """Convert a rectangle."""
        x0, y0 = self.point(left, bottom)
        x1, y1 = self.point(right, top)
        return Rectangle(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))

    def is_upright(self, a: float, b: float) -> bool:
        """Return whether type with the matrix entries `a` and `b` runs from left to right."""
        x0, y0 = self.point(0, 0)
        x1, y1 = self.point(a, b)
        return x1 - x0 > 0 and abs(y1 - y0) < 0.1 * (x1 - x0)


def page_transform(page: pdfium.PdfPage) -> tuple[PageTransform, Rectangle]:
    """Return the coordinate transform of a page, and its displayed rectangle.

    Raises `PdfiumError` if the page has no area or an absurd size.
    """
    left, bottom, right, top = page.get_bbox()
    transform = PageTransform(left, bottom, right, top, page.get_rotation())
    box = transform.rectangle(left, bottom, right, top)
    if not (0 < box.width < 1e6 and 0 < box.height < 1e6):
        raise pdfium.PdfiumError(f"the page measures {box.width:g} x {box.height:g} points")
    return transform, box


class _TypeStyle(NamedTuple):
    font_size: float
    font: str
    bold: bool
    upright: bool
    hidden: bool


class _Word(NamedTuple):
    """Characters of one text object without a space between them.

    `after_space` and `after_break` say whether a space or a line break precedes the word.
    """

    text: str
    style: _TypeStyle
    box: Rectangle
    baseline: float
    after_space: bool
    after_break: bool


class _LineDraft:
    """Words on one baseline, collected until a word starts elsewhere."""

    def __init__(self, word: _Word) -> None:
        self.texts = [word.text]
        self.characters: Counter[_TypeStyle] = Counter({word.style: len(word.text)})
        self.first_style = word.style
        self.box = word.box
        self.baseline = word.baseline

    def add(self, word: _Word) -> bool:
        """Add a word that follows the last one; return False if it stands elsewhere."""
        size = max(word.style.font_size, self.first_style.font_size)
        gap = word.box.left - self.box.right
        if word.style.upright != self.first_style.upright:
            return False
        if not word.style.upright:
            if not self.box.expanded(0.6 * size).touches(word.box):
                return False
        elif not (abs(word.baseline - self.baseline) < 0.5 * size and -size < gap < size):
            return False
        if word.after_space:
            self.texts.append(" ")
        self.texts.append(word.text)
        self.characters[word.style] += len(word.text)
        self.box = self.box.union(word.box)
        return True

    def line(self) -> Line:
        """Return the finished line, with the size and font that most of its characters have."""
        main_style = self.characters.most_common(1)[0][0]
        text = "".join(self.texts)
        if any("\ud800" <= c <= "\udfff" for c in text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return Line(
            text=" ".join(text.split()),
            box=self.box,
            baseline=self.baseline,
            font_size=main_style.font_size,
            font=main_style.font,
            bold=all(style.bold for style in self.characters),
            upright=main_style.upright,
        )


def read_lines(page: pdfium.PdfPage) -> tuple[Rectangle, list[Line], bool]:
    """Return the page's rectangle, its lines in file order, and whether all type is invisible."""
    transform, page_box = page_transform(page)
    textpage = page.get_textpage()
    try:
        drafts = list(_line_drafts(textpage, transform))
    finally:
        textpage.close()
    styles = [style for draft in drafts for style in draft.characters]
    lines = [line for draft in drafts if (line := draft.line()).text and page_box.touches(line.box)]
    is_hidden = bool(styles) and all(style.hidden for style in styles)
    return page_box, _join_parts(lines), is_hidden


def _line_drafts(textpage: pdfium.PdfTextPage, transform: PageTransform) -> Iterator[_LineDraft]:
    draft: _LineDraft | None = None
    for word in _words(textpage, transform):
        if draft is None or word.after_break or not draft.add(word):
            if draft:
                yield draft
            draft = _LineDraft(word)
    if draft:
        yield draft


def _words(textpage: pdfium.PdfTextPage, transform: PageTransform) -> Iterator[_Word]:
    """Yield the words of a page; only their first and last characters are measured, for speed."""
    handle = textpage.raw
    text_object: int | None = None  # address of the object that drew the current word
    style: _TypeStyle | None = None
    letters: list[str] = []
    start = end = 0
    after_space = after_break = False

    def finish_word() -> _Word:
        assert style is not None
        box, baseline = _measure_character(handle, start, transform)
        if end > start:
            box = box.union(_measure_character(handle, end, transform)[0])
        return _Word("".join(letters), style, box, baseline, after_space, after_break)

    for index in range(textpage.count_chars()):
        code = raw.FPDFText_GetUnicode(handle, index)
        text = _decode_character(code)
        if not text and code not in (10, 13):
            continue
        drawn_by = text_object
        if text.strip():
            pointer = raw.FPDFText_GetTextObject(handle, index)
            drawn_by = ctypes.cast(pointer, ctypes.c_void_p).value
            if letters and drawn_by == text_object:
                letters.append(text)
                end = index
                continue
        if letters:
            yield finish_word()
            letters, after_space, after_break = [], False, False
        if not text.strip():
            after_space = after_space or bool(text)
            after_break = after_break or not text
            continue
        if style is None or drawn_by != text_object:
            style, text_object = _read_style(handle, index, transform), drawn_by
        letters, start, end = [text], index, index
    if letters:
        yield finish_word()


def _measure_character(
    handle: Any, index: int, transform: PageTransform
) -> tuple[Rectangle, float]:
    """Return the box and the baseline of a character."""
    rect, x, y = raw.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetLooseCharBox(handle, index, rect)
    raw.FPDFText_GetCharOrigin(handle, index, x, y)
    box = transform.rectangle(rect.left, rect.bottom, rect.right, rect.top)
    return box, transform.point(x.value, y.value)[1]


def _decode_character(code: int) -> str:
    """Return the text of a character code; '' for control characters."""
    if code in (2, 0xFFFE):  # PDFium's marks for a hyphen at the end of a line
        return "-"
    if 0xFB00 <= code <= 0xFB06:
        return unicodedata.normalize("NFKC", chr(code))  # ligatures: fi, fl, ffi
    if code in (9, 0xA0):
        return " "
    return chr(code) if 32 <= code < 0x110000 and code != 0xFFFF else ""


def _read_style(handle: Any, index: int, transform: PageTransform) -> _TypeStyle:
    matrix, flags = raw.FS_MATRIX(), ctypes.c_int()
    raw.FPDFText_GetMatrix(handle, index, matrix)
    scale = (matrix.c**2 + matrix.d**2) ** 0.5 or 1.0
    buffer = ctypes.create_string_buffer(128)
    raw.FPDFText_GetFontInfo(handle, index, buffer, 128, flags)
    full_name = buffer.value.decode("utf-8", "replace")
    font = full_name.partition("+")[2] or full_name  # without the tag of a font subset
    bold = (
        bool(flags.value & _FORCE_BOLD)
        or any(mark in font.lower() for mark in ("bold", "black", "heavy", "cmbx", "demi"))
        or raw.FPDFText_GetFontWeight(handle, index) >= 650
    )
    text_object = raw.FPDFText_GetTextObject(handle, index)
    hidden = bool(text_object) and (
        raw.FPDFTextObj_GetTextRenderMode(text_object) == raw.FPDF_TEXTRENDERMODE_INVISIBLE
    )
    font_size = round(raw.FPDFText_GetFontSize(handle, index) * scale, 2)
    return _TypeStyle(font_size, font, bold, transform.is_upright(matrix.a, matrix.b), hidden)


def _join_parts(lines: list[Line]) -> list[Line]:
    """Join the parts of a line that the file draws separately, such as raised and lowered type.

    Each part, from left to right, is added to the line that ends where the part begins.
    """
    rotated = [line for line in lines if not line.upright]
    joined: list[Line] = []
    for part in sorted((line for line in lines if line.upright), key=lambda a: a.box.left):
        index = next((i for i, line in enumerate(joined) if _is_next_part(line, part)), None)
        if index is None:
            joined.append(part)
            continue
        line = joined[index]
        is_line_main = line.font_size > part.font_size or len(line.text) >= len(part.text)
        main = line if is_line_main else part
        gap = part.box.left - line.box.right
        joined[index] = Line(
            text=line.text + (" " if gap > 0.12 * main.font_size else "") + part.text,
            box=line.box.union(part.box),
            baseline=main.baseline,
            font_size=main.font_size,
            font=main.font,
            bold=line.bold and part.bold,
        )
    return rotated + joined


def _is_next_part(line: Line, part: Line) -> bool:
    """Return whether a part stands directly after a line, at the same height."""
    size = max(line.font_size, part.font_size)
    if not -0.3 * size < part.box.left - line.box.right < 0.6 * size:
        return False
    if abs(line.font_size - part.font_size) < 0.1 * size:
        return abs(line.baseline - part.baseline) < 1.0
    overlap = min(line.box.bottom, part.box.bottom) - max(line.box.top, part.box.top)
    return overlap > 0.4 * min(line.box.height, part.box.height)
