"""Compose a page: its paragraphs, tables and figures in reading order, with their captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from data.readers.pdf_captions import CAPTION, parse_caption
from data.readers.pdf_figures import (
    FigureRegion,
    Graphic,
    find_figures,
    find_tables,
    match_captions,
    merge_by_caption,
    select_figures,
)
from data.readers.pdf_layout import Line, Paragraph, Rectangle, order_columns, split_paragraphs
from data.readers.pdf_survey import PdfSurvey, is_contents_entry, is_header_or_footer

__all__ = ["PageLayout", "RuledTable", "compose_page"]


@dataclass(frozen=True, eq=False)
class RuledTable:
    """A table with rules, and the lines of type inside it."""

    box: Rectangle
    lines: tuple[Line, ...]

    @cached_property
    def text(self) -> str:
        """The table with one row per line and cells separated by ` | `."""
        rows: list[list[Line]] = []
        for line in sorted(self.lines, key=lambda a: a.baseline):
            if rows and line.baseline - rows[-1][0].baseline < 0.5 * line.font_size:
                rows[-1].append(line)
            else:
                rows.append([line])
        return "\n".join(
            " | ".join(cell.text for cell in sorted(row, key=lambda a: a.box.left)) for row in rows
        )


PageElement = Paragraph | FigureRegion | RuledTable


@dataclass
class PageLayout:
    """The elements of a page in reading order.

    `captions` maps the `id` of a figure or table to its caption, which is not in `flow`.
    `after_break` holds the ids of paragraphs at the top of a column or after a figure: they may
    continue the text before the break.
    """

    flow: list[PageElement] = field(default_factory=list)
    captions: dict[int, Paragraph] = field(default_factory=dict)
    after_break: set[int] = field(default_factory=set)


def compose_page(
    page: Rectangle, lines: Sequence[Line], graphics: Sequence[Graphic], survey: PdfSurvey
) -> PageLayout:
    """Compose a page from its lines and graphics, without running headers and footers."""
    lines = [line for line in lines if not is_header_or_footer(line, page.height, survey)]
    regions = find_figures(graphics, lines, page, survey.body_size, survey.body_font)
    figures = select_figures(regions, lines)
    tables = [
        RuledTable(
            box, tuple(line for line in lines if line.upright and box.contains_centre(line.box))
        )
        for box in find_tables(graphics, lines, [f.box for f in figures])
        if not any(f.box.contains_centre(box) or box.contains_centre(f.box) for f in figures)
    ]
    occupied = [f.box for f in figures] + [t.box for t in tables]
    running_text = [
        line
        for line in lines
        if line.upright
        and (CAPTION.match(line.text) or not any(box.contains_centre(line.box) for box in occupied))
    ]
    elements: list[Line | FigureRegion | RuledTable] = [*running_text, *figures, *tables]
    layout = PageLayout()
    for column in order_columns(elements, survey.body_size):
        for element, is_after_break in _merge_lines(column):
            layout.flow.append(element)
            if is_after_break:
                layout.after_break.add(id(element))
    _assign_captions(layout, survey)
    return layout


def _merge_lines(
    column: Sequence[Line | FigureRegion | RuledTable],
) -> Iterator[tuple[PageElement, bool]]:
    """Yield each paragraph, figure and table of a column, and whether it follows a break."""
    right = max((e.box.right for e in column if isinstance(e, Line)), default=0.0)
    lines: list[Line] = []
    for element in [*column, None]:
        if isinstance(element, Line):
            lines.append(element)
            continue
        for index, paragraph in enumerate(split_paragraphs(lines, right, CAPTION)):
            if not is_contents_entry(paragraph):
                yield paragraph, index == 0
        lines = []
        if element is not None:
            yield element, False


def _assign_captions(layout: PageLayout, survey: PdfSurvey) -> None:
    """Move captions from the flow to their tables and figures, and merge the parts of figures."""
    texts = [element for element in layout.flow if isinstance(element, Paragraph)]
    tables = [element for element in layout.flow if isinstance(element, RuledTable)]
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
