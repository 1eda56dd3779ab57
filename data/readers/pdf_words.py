"""Read the words on an open PDF page: characters of one text object without a space between them.

The loop over characters calls PDFium's raw interface: the helper classes would take more time than
the calls themselves.
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from data.readers.pdf_geometry import PageTransform, Rectangle, page_transform

__all__ = ["PageWords", "TypeStyle", "Word", "read_words"]

_FIXED_PITCH = 1  # font descriptor flags, PDF 32000-1 table 123
_FORCE_BOLD = 1 << 18
_BOLD_NAMES = ("bold", "black", "heavy", "cmbx", "demi")
_FIXED_PITCH_NAMES = ("mono", "courier", "consol", "typewriter", "cmtt", "menlo", "inconsolata")
_REVERSED_LIGATURE = re.compile("[\u0622\u0623\u0625\u0627]\u0644")  # alef, then lam
_MAX_LETTER_WIDTH = 1.2  # of the letters of a word on average, in sizes of the type
_MIN_GAP = 1.0  # between letters that are words of their own, in sizes of the type
_PRIVATE_USE = range(0xE000, 0xF900)


class TypeStyle(NamedTuple):
    """The type of a text object. `turn` is the clockwise quarter turn of the type, in degrees.

    `turn` is -1 for type at any other angle.
    """

    font_size: float
    font: str
    bold: bool
    fixed_pitch: bool
    turn: int
    hidden: bool


class Word(NamedTuple):
    """Characters of one text object without a space between them.

    `box` and `baseline` are in the frame in which the word reads from left to right.
    `after_space` and `after_break` say whether a space or a line break precedes the word.
    """

    text: str
    style: TypeStyle
    box: Rectangle
    baseline: float
    after_space: bool
    after_break: bool


class PageWords(NamedTuple):
    """The words of a page in file order, and how many of its characters have no Unicode value."""

    page_box: Rectangle
    words: list[Word]
    unmapped_characters: int


def read_words(page: pdfium.PdfPage) -> PageWords:
    """Read the words of an open page."""
    transform, page_box = page_transform(page)
    textpage = page.get_textpage()
    try:
        reader = _WordReader(textpage.raw, transform, page_box)
        words = list(reader.words(textpage.count_chars()))
    finally:
        textpage.close()
    return PageWords(page_box, words, reader.unmapped_characters)


class _WordReader:
    """Reads the words of a text page; only first and last characters are measured, for speed."""

    def __init__(self, handle: Any, transform: PageTransform, page_box: Rectangle) -> None:
        self._handle, self._transform, self._page_box = handle, transform, page_box
        self._faces: dict[int | None, tuple[str, bool, bool]] = {}  # by the address of a font
        self.unmapped_characters = 0

    def words(self, character_count: int) -> Iterator[Word]:
        pointer: Any = None
        text_object: int | None = None  # address of the object that drew the current word
        style: TypeStyle | None = None
        letters: list[str] = []
        start = end = 0
        after_space = after_break = False
        for index in range(character_count):
            code = raw.FPDFText_GetUnicode(self._handle, index)
            text = _decode_character(code)
            if not text and code not in (10, 13):
                continue
            drawn_by = text_object
            if text.strip():
                pointer = raw.FPDFText_GetTextObject(self._handle, index)
                drawn_by = ctypes.cast(pointer, ctypes.c_void_p).value
                if letters and drawn_by == text_object and not _turns_round(letters[-1], text):
                    letters.append(text)
                    end = index
                    continue
            if letters and style:
                yield from self._words_of(letters, style, (start, end), after_space, after_break)
                letters, after_space, after_break = [], False, False
            if not text.strip():
                after_space = after_space or bool(text)
                after_break = after_break or not text
                continue
            if style is None or drawn_by != text_object:
                style, text_object = self._style(index, pointer), drawn_by
            letters, start, end = [text], index, index
        if letters and style:
            yield from self._words_of(letters, style, (start, end), after_space, after_break)

    def _words_of(
        self,
        letters: list[str],
        style: TypeStyle,
        span: tuple[int, int],
        after_space: bool,
        after_break: bool,
    ) -> Iterator[Word]:
        """Yield one word, or several if a file sets its letters far apart, as marks in a table."""
        word = self._word(letters, style, span, after_space, after_break)
        start, end = span
        usual_width = _MAX_LETTER_WIDTH * style.font_size * len(letters)
        if word.box.width <= usual_width or end - start != len(letters) - 1 or style.turn < 0:
            yield word
            return
        boxes = [self._measure(start + n, style.turn)[0] for n in range(len(letters))]
        begin = 0
        for n in range(1, len(letters) + 1):
            is_apart = n < len(letters) and (
                boxes[n].left - boxes[n - 1].right > _MIN_GAP * style.font_size
            )
            if is_apart or n == len(letters):
                part = self._word(
                    letters[begin:n],
                    style,
                    (start + begin, start + n - 1),
                    *((after_space, after_break) if begin == 0 else (True, False)),
                )
                yield part
                begin = n

    def _word(
        self,
        letters: list[str],
        style: TypeStyle,
        span: tuple[int, int],
        after_space: bool,
        after_break: bool,
    ) -> Word:
        start, end = span
        if raw.FPDFText_HasUnicodeMapError(self._handle, start) > 0 or (
            ord(letters[0]) in _PRIVATE_USE
        ):
            self.unmapped_characters += len(letters)
        if _REVERSED_LIGATURE.search("".join(letters)) and end - start == len(letters) - 1:
            self._mend_ligatures(letters, start, style.turn)
        box, baseline = self._measure(start, style.turn)
        if end > start:
            box = box.union(self._measure(end, style.turn)[0])
        text = "".join(letters)
        if any("\ud800" <= c <= "\udfff" for c in text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return Word(text, style, box, baseline, after_space, after_break)

    def _mend_ligatures(self, letters: list[str], start: int, turn: int) -> None:
        """Put lam before alef where one glyph draws both: PDFium reverses the two, in place."""
        for index in range(len(letters) - 1):
            if _REVERSED_LIGATURE.match(letters[index] + letters[index + 1]):
                first, second = (self._measure(start + index + n, turn)[0] for n in (0, 1))
                if first.left == second.left:
                    letters[index : index + 2] = letters[index + 1], letters[index]

    def _measure(self, index: int, turn: int) -> tuple[Rectangle, float]:
        """Return the box and the baseline of a character in the frame of its type."""
        rect, x, y = raw.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
        raw.FPDFText_GetLooseCharBox(self._handle, index, rect)
        raw.FPDFText_GetCharOrigin(self._handle, index, x, y)
        box = self._transform.rectangle(rect.left, rect.bottom, rect.right, rect.top)
        x_origin, y_origin = self._transform.point(x.value, y.value)
        origin = Rectangle(x_origin, y_origin, x_origin, y_origin)
        if turn > 0:
            box = box.turned_back(turn, self._page_box)
            origin = origin.turned_back(turn, self._page_box)
        return box, origin.top

    def _style(self, index: int, text_object: Any) -> TypeStyle:
        matrix = raw.FS_MATRIX()
        raw.FPDFText_GetMatrix(self._handle, index, matrix)
        scale = (matrix.c**2 + matrix.d**2) ** 0.5 or 1.0
        font = raw.FPDFTextObj_GetFont(text_object) if text_object else None
        address = ctypes.cast(font, ctypes.c_void_p).value if font else None
        face = self._faces.get(address) if address else None
        if face is None:
            face = self._faces[address] = self._face(index)
        hidden = bool(text_object) and (
            raw.FPDFTextObj_GetTextRenderMode(text_object) == raw.FPDF_TEXTRENDERMODE_INVISIBLE
        )
        font_size = round(raw.FPDFText_GetFontSize(self._handle, index) * scale, 2)
        return TypeStyle(font_size, *face, self._transform.turn(matrix.a, matrix.b), hidden)

    def _face(self, index: int) -> tuple[str, bool, bool]:
        """Return the name of a character's font, and whether it is bold and of fixed pitch."""
        buffer, flags = ctypes.create_string_buffer(128), ctypes.c_int()
        raw.FPDFText_GetFontInfo(self._handle, index, buffer, 128, flags)
        full_name = buffer.value.decode("utf-8", "replace")
        font = full_name.partition("+")[2] or full_name  # without the tag of a font subset
        lower_case = font.lower()
        bold = (
            bool(flags.value & _FORCE_BOLD)
            or any(name in lower_case for name in _BOLD_NAMES)
            or raw.FPDFText_GetFontWeight(self._handle, index) >= 650
        )
        fixed_pitch = bool(flags.value & _FIXED_PITCH) or any(
            name in lower_case for name in _FIXED_PITCH_NAMES
        )
        return font, bold, fixed_pitch


def _turns_round(last: str, letter: str) -> bool:
    """Return whether the direction of writing changes between two letters of a text object."""
    if last.isascii() and letter.isascii():
        return False
    directions = unicodedata.bidirectional(last[-1]), unicodedata.bidirectional(letter[0])
    return "L" in directions and bool({"R", "AL"} & set(directions))


def _decode_character(code: int) -> str:
    """Return the text of a character code; '' for control characters."""
    if code in (2, 0xFFFE):  # PDFium's marks for a hyphen at the end of a line
        return "-"
    if 0xFB00 <= code <= 0xFB06:
        return unicodedata.normalize("NFKC", chr(code))  # ligatures: fi, fl, ffi
    if 0x80 <= code < 0xA0:
        return "•"  # symbol fonts draw bullets with these control characters
    if code in (9, 0xA0):
        return " "
    return chr(code) if 32 <= code < 0x110000 and code != 0xFFFF else ""
