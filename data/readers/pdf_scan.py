"""Read pages without a usable text layer: scans, and fonts without a mapping to characters."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from statistics import median
from typing import Protocol

import pypdfium2 as pdfium
from PIL import Image

from data.errors import Missing
from data.ocr import LabelReader, OcrSettings
from data.readers.pdf_figures import FigureRegion
from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_layout import Line
from data.readers.pdf_page import PageContent
from data.readers.pdf_pictures import render_crop
from data.text_line_order import TextLine

__all__ = ["PageOcr", "PageText", "find_scan", "is_gibberish"]

_MIN_PAGE_CHARACTERS = 20  # a page with less text may be a scan
_MIN_SCAN_SHARE = 0.6  # the least share of a scanned page that its picture covers
_MARGIN_SHARE = 0.12  # of the page height: a stamp in it does not make a scan a text page
_MAX_STAMP_CHARACTERS = 250
_MAX_UNMAPPED_SHARE = 0.3
_MIN_LETTERS = 60  # fewer letters are no statistics
_COMMON_LETTERS = frozenset("eainrtsol")  # 60 to 70 % of the letters of a European language
_MIN_COMMON_SHARE = 0.45  # 35 % of letters that are drawn at random
_OCR_SCALE = 2.5  # pixels per point: 180 dpi
_TEXT_HEIGHT = 0.72  # size of the type, relative to the height of a recognised line
_HEADING = 1.35  # size of a heading, relative to the usual size on a recognised page
_MIN_SCORE = 0.85  # a page with a lower mean score may stand on its head
_FLAT = 1.5  # width to height of a line that stands upright


def find_scan(content: PageContent) -> FigureRegion | None:
    """Return the picture of a scanned page; None if the page has visible type or no picture."""
    if not content.hidden and _has_own_text(content):
        return None
    images = [g for g in content.graphics if g.kind == "image"]
    graphics = images or ([] if content.lines else content.graphics)
    if not graphics:
        return None
    box = graphics[0].box
    for graphic in graphics[1:]:
        box = box.union(graphic.box)
    return FigureRegion(box, graphics) if box.area >= _MIN_SCAN_SHARE * content.box.area else None


def _has_own_text(content: PageContent) -> bool:
    """Return whether a page has more type than the stamp of an archive in its margins."""
    characters = sum(len(line.text) for line in content.lines)
    if characters < _MIN_PAGE_CHARACTERS:
        return False
    height = content.box.height
    is_stamp = all(
        line.page_box.bottom <= _MARGIN_SHARE * height
        or line.page_box.top >= (1 - _MARGIN_SHARE) * height
        for line in content.lines
    )
    return not is_stamp or characters > _MAX_STAMP_CHARACTERS


def is_gibberish(content: PageContent) -> bool:
    """Return whether the text layer of a page says something else than the page shows.

    Fonts without a mapping to characters give letters at random: common letters become rare.
    """
    if content.unmapped_share > _MAX_UNMAPPED_SHARE:
        return True
    text = "".join(line.text for line in content.lines).casefold()
    letters = [c for c in text if c.isalpha()]
    if len(letters) < _MIN_LETTERS:
        return False
    # é counts as e; other alphabets have no such statistics here
    plain = [unicodedata.normalize("NFD", letter)[0] for letter in letters]
    if sum("a" <= letter <= "z" for letter in plain) < 0.9 * len(plain):
        return False
    common = sum(letter in _COMMON_LETTERS for letter in plain)
    return common < _MIN_COMMON_SHARE * len(plain)


class PageText(Protocol):
    """Reads the lines of type that a page shows, whatever its text layer says."""

    def read(self, page: pdfium.PdfPage, content: PageContent) -> list[Line]:
        """Return the lines of a page. Raise `Missing` if a package or model is missing."""
        ...


class PageOcr:
    """Reads the text of rendered pages. The first page that needs them loads the models."""

    @cached_property
    def _reader(self) -> LabelReader:
        # One line at a time: six lines as wide as a page need more memory than one file may take.
        return LabelReader(OcrSettings(threads=1, batch=1))

    def read(self, page: pdfium.PdfPage, content: PageContent) -> list[Line]:
        """Return the lines of type that a page shows, in place of those of its text layer."""
        data = render_crop(page, content.box, content.box, _OCR_SCALE)
        with Image.open(io.BytesIO(data)) as picture:
            try:
                lines, turn = self._read_upright(picture.convert("RGB"))
            except Missing:
                raise
            except Exception as error:  # noqa: BLE001 - the engine raises anything without memory
                raise Missing(
                    f"OCR failed ({type(error).__name__}); let a file take more memory with the "
                    "setting reading.file_megabytes"
                ) from None
        return _even_sizes([_line(line, turn, content.box) for line in lines])

    def _read_upright(self, picture: Image.Image) -> tuple[list[TextLine], int]:
        """Return the lines of a picture, read in the turn in which most of it is legible.

        The corners of lines are fractions of the turned picture. The turn is clockwise, in degrees.
        """
        lines = self._reader.read_lines(picture)
        if lines and _is_turned(lines, picture.size):
            attempts: dict[int, list[TextLine]] = {}
            turns: tuple[int, ...] = (90, 270)
        elif lines and sum(line.score for line in lines) < _MIN_SCORE * len(lines):
            attempts, turns = {0: lines}, (180,)
        else:
            return lines, 0
        for turn in turns:
            attempts[turn] = self._reader.read_lines(picture.rotate(turn, expand=True))
        turn = max(attempts, key=lambda t: _legible_characters(attempts[t]))
        return attempts[turn], turn


def _even_sizes(lines: Sequence[Line]) -> list[Line]:
    """Return the lines with one size for all body type: heights vary with the letters of a line."""
    if not lines:
        return []
    usual = median(line.font_size for line in lines)
    return [
        replace(line, font_size=usual) if 0.7 < line.font_size / usual < _HEADING else line
        for line in lines
    ]


def _is_turned(lines: Sequence[TextLine], size: tuple[int, int]) -> bool:
    """Return whether most lines of several letters run up or down."""
    width, height = size
    long = [line for line in lines if len(line.text) > 3]
    if not long:
        return False
    ratios = [
        (line.right - line.left) * width / max((line.bottom - line.top) * height, 1e-6)
        for line in long
    ]
    return median(ratios) < 1 / _FLAT


def _legible_characters(lines: Sequence[TextLine]) -> float:
    return sum(line.score * len(line.text) for line in lines)


def _line(line: TextLine, turn: int, page: Rectangle) -> Line:
    width, height = page.width, page.height
    if turn in (90, 270):
        width, height = height, width
    box = Rectangle(line.left * width, line.top * height, line.right * width, line.bottom * height)
    size = _TEXT_HEIGHT * box.height
    upright = Line(line.text, box, box.bottom - 0.22 * box.height, round(size, 1))
    return upright if not turn else replace(upright, turn=turn, turned_box=box.turned(turn, page))
