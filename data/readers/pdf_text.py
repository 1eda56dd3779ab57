"""The type on an open PDF page: characters put together to words, and words to lines.

The loop over characters calls PDFium's raw interface: the helper classes would cost more than the
calls.
"""

from __future__ import annotations

import ctypes
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from data.readers.pdf_layout import Box, Line

__all__ = ["Frame", "frame_of", "page_lines"]

_FORCE_BOLD = 1 << 18  # font descriptor flag, PDF 32000-1 table 123


class Frame(NamedTuple):
    """Turns PDF page coordinates (origin bottom left, before /Rotate) into those of `Box`."""

    left: float
    bottom: float
    right: float
    top: float
    rotation: int

    def point(self, x: float, y: float) -> tuple[float, float]:
        match self.rotation:
            case 90:
                return y - self.bottom, x - self.left
            case 180:
                return self.right - x, y - self.bottom
            case 270:
                return self.top - y, self.right - x
            case _:
                return x - self.left, self.top - y

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        x0, y0 = self.point(left, bottom)
        x1, y1 = self.point(right, top)
        return Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))

    def is_upright(self, a: float, b: float) -> bool:
        x0, y0 = self.point(0, 0)
        x1, y1 = self.point(a, b)
        return x1 - x0 > 0 and abs(y1 - y0) < 0.1 * (x1 - x0)


def frame_of(page: pdfium.PdfPage) -> tuple[Frame, Box]:
    """How to turn coordinates of the page, and its box as it is shown."""
    left, bottom, right, top = page.get_bbox()
    frame = Frame(left, bottom, right, top, page.get_rotation())
    box = frame.box(left, bottom, right, top)
    if not (0 < box.width < 1e6 and 0 < box.height < 1e6):
        raise pdfium.PdfiumError(f"the page measures {box.width:g} x {box.height:g} points")
    return frame, box


class _Style(NamedTuple):
    size: float
    font: str
    bold: bool
    upright: bool
    hidden: bool


class _Word(NamedTuple):
    """Characters of one text object without a space between; `spaced` and `breaks` say whether a
    space or the end of a line came before."""

    text: str
    style: _Style
    box: Box
    baseline: float
    spaced: bool
    breaks: bool


class _Run:
    """Words on one baseline, gathered until the next one does not follow."""

    def __init__(self, word: _Word) -> None:
        self.texts = [word.text]
        self.styles: Counter[_Style] = Counter({word.style: len(word.text)})
        self.first = word.style
        self.box = word.box
        self.baseline = word.baseline

    def takes(self, word: _Word) -> bool:
        """Add the word where it follows; False where it stands elsewhere."""
        size = max(word.style.size, self.first.size)
        gap = word.box.left - self.box.right
        if word.style.upright != self.first.upright:
            return False
        if not word.style.upright:
            if not self.box.grown(0.6 * size).touches(word.box):
                return False
        elif not (abs(word.baseline - self.baseline) < 0.5 * size and -size < gap < size):
            return False
        if word.spaced:
            self.texts.append(" ")
        self.texts.append(word.text)
        self.styles[word.style] += len(word.text)
        self.box = self.box.union(word.box)
        return True

    def line(self) -> Line:
        main = self.styles.most_common(1)[0][0]
        text = "".join(self.texts)
        if any("\ud800" <= c <= "\udfff" for c in text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return Line(
            text=" ".join(text.split()),
            box=self.box,
            baseline=self.baseline,
            size=main.size,
            font=main.font,
            bold=all(style.bold for style in self.styles),
            upright=main.upright,
        )


def page_lines(page: pdfium.PdfPage) -> tuple[Box, list[Line], bool]:
    """The page's box, its lines in the order of the file, and whether all type is invisible."""
    frame, page_box = frame_of(page)
    textpage = page.get_textpage()
    try:
        runs = list(_runs(textpage, frame))
    finally:
        textpage.close()
    styles = [style for run in runs for style in run.styles]
    lines = [line for run in runs if (line := run.line()).text and page_box.touches(line.box)]
    return page_box, _joined(lines), bool(styles) and all(style.hidden for style in styles)


def _runs(textpage: pdfium.PdfTextPage, frame: Frame) -> Iterator[_Run]:
    run: _Run | None = None
    for word in _words(textpage, frame):
        if run is None or word.breaks or not run.takes(word):
            if run:
                yield run
            run = _Run(word)
    if run:
        yield run


def _words(textpage: pdfium.PdfTextPage, frame: Frame) -> Iterator[_Word]:
    """Only the first and last characters of a word are measured: calls cost more than all else."""
    handle = textpage.raw
    owner: int | None = None
    style: _Style | None = None
    letters: list[str] = []
    start = end = 0
    spaced = breaks = False

    def word() -> _Word:
        assert style is not None
        box, baseline = _place(handle, start, frame)
        if end > start:
            box = box.union(_place(handle, end, frame)[0])
        return _Word("".join(letters), style, box, baseline, spaced, breaks)

    for at in range(textpage.count_chars()):
        code = raw.FPDFText_GetUnicode(handle, at)
        text = _character(code)
        if not text and code not in (10, 13):
            continue
        drawn_by = owner
        if text.strip():
            found = raw.FPDFText_GetTextObject(handle, at)
            drawn_by = ctypes.cast(found, ctypes.c_void_p).value
            if letters and drawn_by == owner:
                letters.append(text)
                end = at
                continue
        if letters:
            yield word()
            letters, spaced, breaks = [], False, False
        if not text.strip():
            spaced = spaced or bool(text)
            breaks = breaks or not text
            continue
        if style is None or drawn_by != owner:
            style, owner = _style(handle, at, frame), drawn_by
        letters, start, end = [text], at, at
    if letters:
        yield word()


def _place(handle: Any, at: int, frame: Frame) -> tuple[Box, float]:
    """Box and baseline of a character."""
    rect, x, y = raw.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetLooseCharBox(handle, at, rect)
    raw.FPDFText_GetCharOrigin(handle, at, x, y)
    box = frame.box(rect.left, rect.bottom, rect.right, rect.top)
    return box, frame.point(x.value, y.value)[1]


def _character(code: int) -> str:
    """The text of a code; PDFium marks a hyphen that ends a line as U+0002 or U+FFFE."""
    if code in (2, 0xFFFE):
        return "-"
    if 0xFB00 <= code <= 0xFB06:
        return unicodedata.normalize("NFKC", chr(code))  # fi, fl, ffi
    if code in (9, 0xA0):
        return " "
    return chr(code) if 32 <= code < 0x110000 and code != 0xFFFF else ""


def _style(handle: Any, at: int, frame: Frame) -> _Style:
    matrix, flags = raw.FS_MATRIX(), ctypes.c_int()
    raw.FPDFText_GetMatrix(handle, at, matrix)
    scale = (matrix.c**2 + matrix.d**2) ** 0.5 or 1.0
    name = ctypes.create_string_buffer(128)
    raw.FPDFText_GetFontInfo(handle, at, name, 128, flags)
    font = name.value.decode("utf-8", "replace").partition("+")[2] or name.value.decode(
        "utf-8", "replace"
    )
    bold = (
        bool(flags.value & _FORCE_BOLD)
        or any(mark in font.lower() for mark in ("bold", "black", "heavy", "cmbx", "demi"))
        or raw.FPDFText_GetFontWeight(handle, at) >= 650
    )
    owner = raw.FPDFText_GetTextObject(handle, at)
    hidden = bool(owner) and (
        raw.FPDFTextObj_GetTextRenderMode(owner) == raw.FPDF_TEXTRENDERMODE_INVISIBLE
    )
    size = round(raw.FPDFText_GetFontSize(handle, at) * scale, 2)
    return _Style(size, font, bold, frame.is_upright(matrix.a, matrix.b), hidden)


def _joined(lines: list[Line]) -> list[Line]:
    """Put together the parts of a line that the file draws one by one, raised and lowered ones too.

    From left to right: each part goes to the line that ends where it begins.
    """
    joined = [line for line in lines if not line.upright]
    ended: list[Line] = []
    for part in sorted((line for line in lines if line.upright), key=lambda a: a.box.left):
        at = next((at for at, line in enumerate(ended) if _is_next(line, part)), None)
        if at is None:
            ended.append(part)
            continue
        line = ended[at]
        main = line if line.size > part.size or len(line.text) >= len(part.text) else part
        gap = part.box.left - line.box.right
        ended[at] = Line(
            text=line.text + (" " if gap > 0.12 * main.size else "") + part.text,
            box=line.box.union(part.box),
            baseline=main.baseline,
            size=main.size,
            font=main.font,
            bold=line.bold and part.bold,
        )
    return joined + ended


def _is_next(line: Line, part: Line) -> bool:
    size = max(line.size, part.size)
    if not -0.3 * size < part.box.left - line.box.right < 0.6 * size:
        return False
    if abs(line.size - part.size) < 0.1 * size:
        return abs(line.baseline - part.baseline) < 1.0
    overlap = min(line.box.bottom, part.box.bottom) - max(line.box.top, part.box.top)
    return overlap > 0.4 * min(line.box.height, part.box.height)
