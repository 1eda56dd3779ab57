"""Find what the pages of a PDF have in common: the body type and the running headers and footers.

Pure functions over lines, as in `pdf_layout`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.readers.pdf_hyphens import words_with_hyphens
from data.readers.pdf_layout import Line, Paragraph

__all__ = [
    "MARGIN_SHARE",
    "PdfSurvey",
    "is_contents_entry",
    "is_footnote",
    "is_header_or_footer",
    "is_heading",
    "survey_pages",
]

MARGIN_SHARE = 0.12  # of the page height: pictures and numbers in it are no content
_HEADER_FOOTER_SHARE = 0.15  # of the page height: headers and footers lie within it
_PAGE_NUMBER = re.compile(r"^\W*(page\s+)?(\d+|[ivxlc]+)(\s*(of|/)\s*\d+)?\W*$", re.IGNORECASE)
_COUNTER = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_FOOTNOTE = re.compile(r"(\d{1,3}|[*†‡§¶]{1,3}|[a-z](?=\s[A-Z]))\s*[^\W\d_]|[⁰¹²³⁴⁵⁶⁷⁸⁹]+\s?\S")
_DOT_LEADERS = re.compile(r"(\.\s?){6}")


@dataclass(frozen=True)
class PdfSurvey:
    """Properties that the pages of a PDF share.

    `body_size` (in points), `body_font` and `body_bold` describe the body type.
    `header_footer_slots` are the places of running headers and footers: an edge of the page and
    the distance from it in points. `logos` are the keys of pictures that many pages repeat.
    `vocabulary` holds the words of the document, in lower case.
    """

    body_size: float = 10.0
    body_font: str = ""
    body_bold: bool = False
    header_footer_slots: frozenset[tuple[str, int]] = frozenset()
    logos: frozenset[tuple[int, int, int]] = frozenset()
    vocabulary: frozenset[str] = frozenset()


def survey_pages(pages: Mapping[int, tuple[float, Sequence[Line]]]) -> PdfSurvey:
    """Survey some pages, given as a map from page index to (height, lines).

    The pages should include neighbours. A slot is a height near an edge of the page. On a page, the
    text of a slot repeats if it equals, apart from numbers, the text on one of the two pages before
    or after. A slot holds a running header or footer if its text repeats on at least half of the
    pages that have one, and on a fifth of all surveyed pages.
    """
    characters: Counter[tuple[float, str, bool]] = Counter()
    slots: dict[tuple[str, int], dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for index, (height, lines) in pages.items():
        for line in lines:
            characters[round(line.font_size * 2) / 2, line.font, line.bold] += len(line.text)
            slot = _slot(line, height)
            if slot:
                slots[slot][index].add(_COUNTER.sub("#", line.text.casefold()))
    header_footer_slots = set()
    for slot, texts in slots.items():
        repeats = [
            any(texts[index] & texts.get(index + step, set()) for step in (-2, -1, 1, 2))
            for index in list(texts)
        ]
        if sum(repeats) >= max(2, 0.2 * len(pages), 0.5 * len(repeats)):
            header_footer_slots.add(slot)
    if not characters:
        return PdfSurvey()
    characters_by_size: Counter[float] = Counter()
    for (size, _, _), count in characters.items():
        characters_by_size[size] += count
    body_size = characters_by_size.most_common(1)[0][0]
    (_, font, bold), _ = max(
        ((style, count) for style, count in characters.items() if style[0] == body_size),
        key=lambda entry: entry[1],
    )
    vocabulary = words_with_hyphens(line.text for _, lines in pages.values() for line in lines)
    return PdfSurvey(
        body_size, font, bold, frozenset(header_footer_slots), vocabulary=frozenset(vocabulary)
    )


def _slot(line: Line, height: float) -> tuple[str, int] | None:
    if line.box.bottom <= _HEADER_FOOTER_SHARE * height:
        return "top", round(line.baseline)
    if line.box.top >= (1 - _HEADER_FOOTER_SHARE) * height:
        return "bottom", round(height - line.baseline)
    return None


def is_header_or_footer(line: Line, height: float, survey: PdfSurvey) -> bool:
    """Return whether a line is a running header, a footer or a page number."""
    slot = _slot(line, height)
    if slot is None:
        return False
    edge, distance = slot
    if any((edge, distance + step) in survey.header_footer_slots for step in (-1, 0, 1)):
        return line.font_size <= 1.1 * survey.body_size  # larger type is a repeated heading
    is_in_margin = (
        line.box.bottom <= MARGIN_SHARE * height or line.box.top >= (1 - MARGIN_SHARE) * height
    )
    return is_in_margin and bool(_PAGE_NUMBER.match(line.text)) and len(line.text) <= 12


def is_footnote(line: Line) -> bool:
    """Return whether a line begins a footnote: a number or sign, then text."""
    return bool(_FOOTNOTE.match(line.text))


def is_contents_entry(paragraph: Paragraph) -> bool:
    """Return whether a paragraph belongs to a table of contents: words, dots, a page number."""
    return bool(_DOT_LEADERS.search(paragraph.text))


def is_heading(paragraph: Paragraph, survey: PdfSurvey) -> bool:
    """Return whether a short paragraph is a heading, judging by its type.

    A heading is larger than body type, or bold in a document whose body type is not bold.
    """
    text = paragraph.text
    if len(paragraph.lines) > 4 or not 2 <= len(text) <= 200 or not any(map(str.isalpha, text)):
        return False
    if paragraph.font_size >= 1.12 * survey.body_size:
        return sum(map(str.isalpha, text)) >= 0.4 * len(text)
    return (
        paragraph.bold
        and not survey.body_bold
        and paragraph.font_size >= 0.98 * survey.body_size
        and len(text) <= 120
        and not text.endswith((".", ",", ";"))
        and sum(map(str.isalpha, text)) >= 0.5 * len(text)
    )
