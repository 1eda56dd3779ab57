"""Find where a sentence stands on a page of a PDF, from the page's text layer.

Only letters and digits are compared, so that hyphens at line ends, spaces and formulas written as
LaTeX do not matter. Like the PDF reader, only one thread of a process may use this at a time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from data.errors import BadInput
from data.readers.pdf_geometry import Rectangle, page_transform
from data.records import Box

__all__ = ["sentence_boxes"]

_LATEX_COMMAND = re.compile(r"\\[a-zA-Z]+")
_MIN_PIECE = 12  # letters of the shortest piece of a sentence that is searched for alone


def sentence_boxes(path: Path, page_number: int, sentence: str) -> tuple[Box, ...]:
    """Return the boxes of a sentence on a page (from 1), one for each line, in reading order.

    A sentence that the page holds in parts only, such as one that goes on overleaf, gives the boxes
    of its longest part. Returns no boxes if the page does not have it, or has no text layer. Raises
    `BadInput` if the file or the page cannot be opened.
    """
    try:
        with closing(pdfium.PdfDocument(path)) as pdf, closing(pdf[page_number - 1]) as page:
            return _boxes(page, page_number, sentence)
    except (pdfium.PdfiumError, OSError, IndexError) as error:
        raise BadInput(f"{path.name}: page {page_number} cannot be opened ({error})") from None


def _boxes(page: pdfium.PdfPage, page_number: int, sentence: str) -> tuple[Box, ...]:
    transform, page_box = page_transform(page)
    textpage = page.get_textpage()
    try:
        letters, indices = _letters(textpage)
        start, length = _find(_key(_LATEX_COMMAND.sub("", sentence)), letters)
        if not length:
            return ()
        first, last = indices[start], indices[start + length - 1]
        count = raw.FPDFText_CountRects(textpage.raw, first, last - first + 1)
        rects = [textpage.get_rect(index) for index in range(count)]
    finally:
        textpage.close()
    lines = _join_lines([transform.rectangle(*rect) for rect in rects])
    return tuple((page_number, *line.fractions_of(page_box)) for line in lines)


def _letters(textpage: pdfium.PdfTextPage) -> tuple[str, list[int]]:
    """Return the letters and digits of a page, and the number of the character that drew each."""
    letters: list[str] = []
    indices: list[int] = []
    for index in range(textpage.count_chars()):
        code = raw.FPDFText_GetUnicode(textpage.raw, index)
        for letter in _key(chr(code)) if 0 < code < 0xFFFE else "":
            letters.append(letter)
            indices.append(index)
    return "".join(letters), indices


def _key(text: str) -> str:
    """Return only the letters and digits of a text, without accents, case and ligatures."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _find(key: str, letters: str) -> tuple[int, int]:
    """Return the start and the length of the longest part of `key` at its beginning or its end."""
    if not key:
        return 0, 0
    start = letters.find(key)
    if start >= 0:
        return start, len(key)
    head = _longest_prefix(key, letters)
    tail = _longest_prefix(key[::-1], letters[::-1])
    if max(head, tail) < min(_MIN_PIECE, len(key)):
        return 0, 0
    if head >= tail:
        return letters.find(key[:head]), head
    return letters.rfind(key[-tail:]), tail


def _longest_prefix(key: str, letters: str) -> int:
    """Return the length of the longest prefix of `key` in `letters`, by bisection."""
    low, high = 0, len(key)
    while low < high:
        middle = (low + high + 1) // 2
        if key[:middle] in letters:
            low = middle
        else:
            high = middle - 1
    return low


def _join_lines(rects: Sequence[Rectangle]) -> list[Rectangle]:
    """Join the rectangles that stand side by side on one line."""
    lines: list[Rectangle] = []
    for rect in rects:
        last = lines[-1] if lines else None
        overlap = min(last.bottom, rect.bottom) - max(last.top, rect.top) if last else 0.0
        if last and overlap > 0.5 * min(last.height, rect.height):
            lines[-1] = last.union(rect)
        else:
            lines.append(rect)
    return lines
