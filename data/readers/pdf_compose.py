"""A page put together: its paragraphs, tables and figures in reading order, captions assigned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from data.readers.pdf_figures import (
    CAPTION,
    Cluster,
    Graphic,
    caption_of,
    clusters,
    drawings,
    match_captions,
    tables,
    unite_by_caption,
)
from data.readers.pdf_layout import Box, Line, Paragraph, paragraphs, reading_order
from data.readers.pdf_survey import Survey, is_contents, is_furniture

__all__ = ["LaidOut", "Table", "laid_out"]


@dataclass(frozen=True, eq=False)
class Table:
    box: Box
    lines: tuple[Line, ...]

    @cached_property
    def text(self) -> str:
        """A row a line, cells parted by ` | `."""
        rows: list[list[Line]] = []
        for line in sorted(self.lines, key=lambda a: a.baseline):
            if rows and line.baseline - rows[-1][0].baseline < 0.5 * line.size:
                rows[-1].append(line)
            else:
                rows.append([line])
        return "\n".join(
            " | ".join(cell.text for cell in sorted(row, key=lambda a: a.box.left)) for row in rows
        )


@dataclass
class LaidOut:
    """`captions` is by `id` of the figure or table; the paragraphs in it are not in `flow`.

    `after_break` has the ids of paragraphs that open a column or follow a figure: what stands
    before the break may go on in them.
    """

    flow: list[Paragraph | Cluster | Table] = field(default_factory=list)
    captions: dict[int, Paragraph] = field(default_factory=dict)
    after_break: set[int] = field(default_factory=set)


def laid_out(
    page: Box, lines: Sequence[Line], graphics: Sequence[Graphic], known: Survey
) -> LaidOut:
    """Put a page together from its lines and graphics, without running headers and footers."""
    lines = [line for line in lines if not is_furniture(line, page.height, known)]
    figures = drawings(clusters(graphics, lines, page, known.size, known.font), lines)
    grids = [
        Table(box, tuple(line for line in lines if line.upright and box.holds(line.box)))
        for box in tables(graphics, lines, [c.box for c in figures])
        if not any(c.box.holds(box) or box.holds(c.box) for c in figures)
    ]
    taken = [c.box for c in figures] + [g.box for g in grids]
    free = [
        line
        for line in lines
        if line.upright
        and (CAPTION.match(line.text) or not any(box.holds(line.box) for box in taken))
    ]
    elements: list[Line | Cluster | Table] = [*free, *figures, *grids]
    laid = LaidOut()
    for column in reading_order(elements, known.size):
        for part, after_break in _parts(column):
            laid.flow.append(part)
            if after_break:
                laid.after_break.add(id(part))
    _assign_captions(laid, known)
    return laid


def _parts(
    column: Sequence[Line | Cluster | Table],
) -> Iterator[tuple[Paragraph | Cluster | Table, bool]]:
    """Paragraphs of a column between its figures and tables; True for the first after a break."""
    right = max((e.box.right for e in column if isinstance(e, Line)), default=0.0)
    segment: list[Line] = []
    for element in [*column, None]:
        if isinstance(element, Line):
            segment.append(element)
            continue
        for at, paragraph in enumerate(paragraphs(segment, right, CAPTION)):
            if not is_contents(paragraph):
                yield paragraph, at == 0
        segment = []
        if element is not None:
            yield element, False


def _assign_captions(laid: LaidOut, known: Survey) -> None:
    texts = [part for part in laid.flow if isinstance(part, Paragraph)]
    grids = [part for part in laid.flow if isinstance(part, Table)]
    figures = [part for part in laid.flow if isinstance(part, Cluster)]
    for_tables = [t for t in texts if (caption_of(t.text) or ("",))[0] == "table"]
    for at, on in match_captions([g.box for g in grids], for_tables, known).items():
        laid.captions[id(grids[at])] = for_tables[on]
    used = {id(text) for text in laid.captions.values()}
    rest = [text for text in texts if id(text) not in used]
    kept, matched = unite_by_caption(figures, rest, known)
    for at, on in matched.items():
        laid.captions[id(kept[at])] = rest[on]
    gone = {id(text) for text in laid.captions.values()}
    gone |= {id(c) for c in figures} - {id(c) for c in kept}
    laid.flow = [part for part in laid.flow if id(part) not in gone]
