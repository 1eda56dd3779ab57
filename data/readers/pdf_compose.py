"""Compose a page: its paragraphs, tables and figures in reading order, with their captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from data.readers.pdf_captions import CAPTION, parse_caption
from data.readers.pdf_figures import (
    FigureRegion,
    Graphic,
    find_figures,
    find_ruled_areas,
    match_captions,
    merge_by_caption,
    select_figures,
)
from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_layout import Line, Paragraph, order_columns, split_paragraphs
from data.readers.pdf_survey import PdfSurvey, is_footnote, is_header_or_footer
from data.readers.pdf_tables import PdfTable, find_tables

__all__ = ["PageElement", "PageLayout", "compose_page"]

PageElement = Paragraph | FigureRegion | PdfTable

_BACKGROUND_SHARE = 0.5  # of the page: text on a larger figure is text of the page
_MIN_SENTENCE_WORDS = 8  # a longer paragraph inside a figure is running text
_TURNS = (90, 180, 270)


@dataclass
class PageLayout:
    """The elements of a page in reading order, and the footnotes below them.

    `captions` maps the `id` of a figure or table to its caption, which is not in `flow`.
    `after_break` holds the ids of paragraphs at the top of a column or after a figure: they may
    continue the text before the break.
    """

    flow: list[PageElement] = field(default_factory=list)
    footnotes: list[Paragraph] = field(default_factory=list)
    captions: dict[int, Paragraph] = field(default_factory=dict)
    after_break: set[int] = field(default_factory=set)

    def extend(self, other: PageLayout) -> None:
        """Add the elements of another layout behind this one's."""
        self.flow += other.flow
        self.footnotes += other.footnotes
        self.captions |= other.captions


def compose_page(
    page: Rectangle, lines: Sequence[Line], graphics: Sequence[Graphic], survey: PdfSurvey
) -> PageLayout:
    """Compose a page from its lines and graphics, without running headers and footers."""
    lines = [line for line in lines if not is_header_or_footer(line, page.height, survey)]
    placed = [line if line.upright else replace(line, box=line.page_box) for line in lines]
    regions = find_figures(graphics, placed, page, survey.body_size, survey.body_font)
    figures = select_figures(regions, placed)
    tables = _find_tables(graphics, placed, figures)
    figures = [
        f for f in figures if not any(f.is_frame and t.box.contains_centre(f.box) for t in tables)
    ]
    tables = [t for t in tables if not any(f.box.contains_centre(t.box) for f in figures)]
    in_table = {id(line) for table in tables for line in table.lines}
    free = [
        (line, own) for line, own in zip(placed, lines, strict=True) if id(line) not in in_table
    ]
    outside = _move_into_figures(free, figures, page, survey)
    running_text = [line for line in outside if line.upright]
    layout = _compose_frame(running_text, figures, tables, survey)
    for turn in _TURNS:
        turned = [line for line in outside if line.turn == turn]
        if turned:
            layout.extend(_compose_turned(turned, turn, page, graphics, survey))
    slanted = [line for line in outside if line.turn < 0]
    layout.flow += [Paragraph((line,), survey.vocabulary) for line in slanted]
    return layout


def _find_tables(
    graphics: Sequence[Graphic], lines: Sequence[Line], figures: Sequence[FigureRegion]
) -> list[PdfTable]:
    drawings = [figure.box for figure in figures if not figure.is_frame]
    areas = find_ruled_areas(graphics, lines, drawings)
    free = [
        line
        for line in lines
        if not CAPTION.match(line.text) and not any(b.contains_centre(line.box) for b in drawings)
    ]
    return find_tables(graphics, free, areas)


def _compose_turned(
    lines: Sequence[Line],
    turn: int,
    page: Rectangle,
    graphics: Sequence[Graphic],
    survey: PdfSurvey,
) -> PageLayout:
    """Compose the text that is set sideways, in the frame in which it stands upright."""
    rules = [
        replace(g, box=g.box.turned_back(turn, page))
        for g in graphics
        if g.kind in ("rule", "rect")
    ]
    lines = [replace(line, turn=0) for line in lines]  # they stand upright in their own frame
    tables = _find_tables(rules, lines, [])
    in_table = {id(line) for table in tables for line in table.lines}
    text = [line for line in lines if id(line) not in in_table]
    return _compose_frame(text, [], tables, survey)


def _compose_frame(
    lines: Sequence[Line],
    figures: Sequence[FigureRegion],
    tables: Sequence[PdfTable],
    survey: PdfSurvey,
) -> PageLayout:
    elements: list[Line | FigureRegion | PdfTable] = [*lines, *figures, *tables]
    layout = PageLayout()
    for column in order_columns(elements, survey.body_size):
        notes = _trailing_footnotes(column, survey)
        body = column[: len(column) - len(notes)]
        for element, is_after_break in _merge_lines(body, survey):
            layout.flow.append(element)
            if is_after_break:
                layout.after_break.add(id(element))
        layout.footnotes += _split_footnotes(notes, survey)
    _assign_captions(layout, survey)
    return layout


def _trailing_footnotes(
    column: Sequence[Line | FigureRegion | PdfTable], survey: PdfSurvey
) -> list[Line]:
    """Return the lines of footnotes at the foot of a column."""
    notes: list[Line] = []
    begins = 0  # how many of the last lines begin at a footnote's mark
    for element in reversed(column):
        if not isinstance(element, Line) or element.font_size > 0.92 * survey.body_size:
            break
        notes.append(element)
        if is_footnote(element):
            begins = len(notes)
    return notes[:begins][::-1]


def _split_footnotes(notes: Sequence[Line], survey: PdfSurvey) -> list[Paragraph]:
    groups: list[list[Line]] = []
    for line in notes:
        if is_footnote(line) or not groups:
            groups.append([line])
        else:
            groups[-1].append(line)
    return [Paragraph(tuple(group), survey.vocabulary) for group in groups]


def _move_into_figures(
    lines: Sequence[tuple[Line, Line]],
    figures: Sequence[FigureRegion],
    page: Rectangle,
    survey: PdfSurvey,
) -> list[Line]:
    """Give each figure the words inside its area; return the lines that belong to the page.

    Each line comes as it stands on the page and as it stands in its own frame. Paragraphs inside a
    figure, and all text on a picture that is the background of a page, belong to the page.
    """
    inside: dict[int, list[Line]] = {}
    outside: list[Line] = []
    for placed, own in lines:
        owner = next((f for f in figures if f.box.contains_centre(placed.box)), None)
        is_background = owner is not None and owner.box.area > _BACKGROUND_SHARE * page.area
        if owner is None or CAPTION.match(own.text) or (is_background and placed.upright):
            outside.append(own)
        else:
            inside.setdefault(id(owner), []).append(placed)
    for figure in figures:
        labels: list[str] = []
        for paragraph in _paragraphs(inside.get(id(figure), []), survey):
            if _is_running_text(paragraph):
                outside += paragraph.lines
            else:
                labels.append(paragraph.text)
        figure.text = "\n".join(labels)
    return outside


def _is_running_text(paragraph: Paragraph) -> bool:
    words = paragraph.text.split()
    sentence_words = sum(word[:1].isalpha() and len(word) > 1 for word in words)
    return paragraph.lines[0].upright and sentence_words >= _MIN_SENTENCE_WORDS


def _paragraphs(lines: Sequence[Line], survey: PdfSurvey) -> Iterator[Paragraph]:
    for column in order_columns(lines, survey.body_size):
        right = max(line.box.right for line in column)
        yield from split_paragraphs(column, right, CAPTION, survey.vocabulary)


def _merge_lines(
    column: Sequence[Line | FigureRegion | PdfTable], survey: PdfSurvey
) -> Iterator[tuple[PageElement, bool]]:
    """Yield each paragraph, figure and table of a column, and whether it follows a break."""
    right = max((e.box.right for e in column if isinstance(e, Line)), default=0.0)
    lines: list[Line] = []
    for element in [*column, None]:
        if isinstance(element, Line):
            lines.append(element)
            continue
        paragraphs = split_paragraphs(lines, right, CAPTION, survey.vocabulary)
        yield from ((paragraph, index == 0) for index, paragraph in enumerate(paragraphs))
        lines = []
        if element is not None:
            yield element, False


def _assign_captions(layout: PageLayout, survey: PdfSurvey) -> None:
    """Move captions from the flow to their tables and figures, and merge the parts of figures."""
    texts = [element for element in layout.flow if isinstance(element, Paragraph)]
    tables = [element for element in layout.flow if isinstance(element, PdfTable)]
    figures = [element for element in layout.flow if isinstance(element, FigureRegion)]
    table_captions = [t for t in texts if (parse_caption(t.text) or ("",))[0] == "table"]
    matched = match_captions([t.box for t in tables], table_captions, survey)
    for table_index, text_index in matched.items():
        layout.captions[id(tables[table_index])] = table_captions[text_index]
    used_ids = {id(text) for text in layout.captions.values()}
    other_texts = [text for text in texts if id(text) not in used_ids]
    merged, matched = merge_by_caption(figures, other_texts, survey)
    for figure_index, text_index in matched.items():
        layout.captions[id(merged[figure_index])] = other_texts[text_index]
    removed_ids = {id(text) for text in layout.captions.values()}
    removed_ids |= {id(figure) for figure in figures} - {id(figure) for figure in merged}
    layout.flow = [element for element in layout.flow if id(element) not in removed_ids]
