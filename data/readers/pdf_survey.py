"""What one page cannot tell: the size of the body type, and what comes again on every page.

Pure, as `pdf_layout`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.readers.pdf_layout import Line, Paragraph

__all__ = [
    "MARGIN",
    "Survey",
    "is_contents",
    "is_furniture",
    "is_heading",
    "survey",
]

MARGIN = 0.12  # of the page height: what stands alone here is no part of the text
_HEADER = 0.2  # of the page height: running headers and footers stand no further in
_PAGE_NUMBER = re.compile(r"^\W*(page\s+)?(\d+|[ivxlc]+)(\s*(of|/)\s*\d+)?\W*$", re.IGNORECASE)
_COUNTER = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_LEADERS = re.compile(r"(\.\s?){6}")


@dataclass(frozen=True)
class Survey:
    """What is alike on all pages: the body type, the places of running headers and footers, and the
    keys of pictures that come again and again."""

    size: float = 10.0
    font: str = ""
    bold: bool = False
    slots: frozenset[tuple[str, int]] = frozenset()
    logos: frozenset[tuple[int, int, int]] = frozenset()


def survey(pages: Mapping[int, tuple[float, Sequence[Line]]]) -> Survey:
    """`pages` maps a page index to its height and lines; neighbours should be among them.

    A slot (a height near the edge) belongs to the furniture where what stands in it on one page,
    digits aside, mostly stands there on one of the two pages before or after too, and where that
    is so on a fifth of the pages.
    """
    sizes: Counter[tuple[float, str, bool]] = Counter()
    slots: dict[tuple[str, int], dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for index, (height, lines) in pages.items():
        for line in lines:
            sizes[round(line.size * 2) / 2, line.font, line.bold] += len(line.text)
            slot = _slot(line, height)
            if slot:
                slots[slot][index].add(_COUNTER.sub("#", line.text.casefold()))
    repeated = set()
    for slot, texts in slots.items():
        near = [
            any(texts[index] & texts.get(index + step, set()) for step in (-2, -1, 1, 2))
            for index in list(texts)
        ]
        if sum(near) >= max(2, 0.2 * len(pages), 0.5 * len(near)):
            repeated.add(slot)
    if not sizes:
        return Survey()
    by_size: Counter[float] = Counter()
    for (size, _, _), count in sizes.items():
        by_size[size] += count
    body = by_size.most_common(1)[0][0]
    (_, font, bold), _ = max(
        ((key, count) for key, count in sizes.items() if key[0] == body), key=lambda kc: kc[1]
    )
    return Survey(body, font, bold, frozenset(repeated))


def _slot(line: Line, height: float) -> tuple[str, int] | None:
    if line.box.bottom <= _HEADER * height:
        return "top", round(line.baseline)
    if line.box.top >= (1 - _HEADER) * height:
        return "bottom", round(height - line.baseline)
    return None


def is_furniture(line: Line, height: float, known: Survey) -> bool:
    """Whether a line is a running header, a footer or a page number."""
    slot = _slot(line, height)
    if slot is None:
        return False
    edge, at = slot
    if any((edge, at + step) in known.slots for step in (-1, 0, 1)):
        return line.size <= 1.1 * known.size  # larger type is a heading that comes again
    outside = line.box.bottom <= MARGIN * height or line.box.top >= (1 - MARGIN) * height
    return outside and bool(_PAGE_NUMBER.match(line.text)) and len(line.text) <= 12


def is_contents(paragraph: Paragraph) -> bool:
    """Whether it is part of a table of contents: words, a row of dots, a page number."""
    return bool(_LEADERS.search(paragraph.text))


def is_heading(paragraph: Paragraph, known: Survey) -> bool:
    """By type: larger than the body, or bold in a document whose body is not; and short."""
    text = paragraph.text
    if len(paragraph.lines) > 4 or not 2 <= len(text) <= 200 or not any(map(str.isalpha, text)):
        return False
    if paragraph.size >= 1.12 * known.size:
        return sum(map(str.isalpha, text)) >= 0.4 * len(text)
    return (
        paragraph.bold
        and not known.bold
        and paragraph.size >= 0.98 * known.size
        and len(text) <= 120
        and not text.endswith((".", ",", ";"))
        and sum(map(str.isalpha, text)) >= 0.5 * len(text)
    )
