"""Turn the pages of a PDF into blocks: sections, paragraphs across page breaks, and figures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import TypeVar

import pypdfium2 as pdfium

from data.documents import Block, Figure
from data.readers.pdf_captions import find_references, label_anchor, parse_caption, strip_label
from data.readers.pdf_compose import PageElement, PageLayout, compose_page
from data.readers.pdf_figures import FigureRegion
from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_hyphens import join_lines
from data.readers.pdf_layout import Paragraph, continues, is_unfinished
from data.readers.pdf_page import PageContent
from data.readers.pdf_pictures import extract_picture
from data.readers.pdf_sections import Bookmark, PageBookmarks, SectionPath, comparison_key
from data.readers.pdf_survey import MARGIN_SHARE, PdfSurvey, is_heading
from data.readers.pdf_table_stream import TableStream
from data.readers.pdf_tables import PdfTable
from data.readers.structure import Anchors, role_of
from data.records import Box

__all__ = ["PageStream"]

ContentT = TypeVar("ContentT", Block, Figure)

_MIN_PROSE_CHARACTERS = 80  # a paragraph of this length is running text, even on a title page


class PageStream:
    """Turn open pages into blocks, one after the other.

    Between pages it keeps only the section path, the used anchors, headings without text so far, an
    unfinished paragraph and the footnotes that wait for its end.
    """

    def __init__(
        self, title: str, survey: PdfSurvey, outline: Mapping[int, Sequence[Bookmark]]
    ) -> None:
        self._title = title
        self._survey = survey
        self._page_survey = survey  # of the current page
        self._outline = outline
        self._sections = SectionPath(title)
        self._anchors = Anchors()
        self._tables = TableStream(self._anchors)
        self._picture_digests: set[bytes] = set()  # of pictures without a figure number
        self._unfinished: Block | None = None  # a paragraph that the next page may continue
        self._footnotes: list[Block] = []  # of pages whose last paragraph is unfinished
        self._bare_headings: list[Block] = []  # headings without any text below them so far
        self._figure_page = 0  # the page of the last figure
        self._figure_count = 0  # figures so far on that page
        self._is_title_page = True  # no running text yet: large type may be an author or a date

    def read_page(
        self,
        page: pdfium.PdfPage,
        content: PageContent,
        number: int,
        scan: FigureRegion | None = None,
    ) -> Iterator[Block | Figure]:
        """Yield the blocks of page `number` (from 1), and any that the previous page left open.

        `scan` is the picture of the page, if the page is a scan.
        """
        bookmarks = PageBookmarks(self._outline.get(number - 1, ()), self._sections)
        graphics = [] if scan else content.graphics
        self._page_survey = self._survey_of(content)
        layout = compose_page(content.box, content.lines, graphics, self._page_survey)
        bookmarks.enter_unseen([e.text for e in layout.flow if isinstance(e, Paragraph)])
        self._is_title_page = self._is_title_page and number == 1
        if scan:
            yield self._scanned_page(scan, page, content, number, has_text=bool(content.lines))
        for index, element in enumerate(layout.flow):
            if isinstance(element, Paragraph):
                if self._is_title_page and self._names_author(layout.flow[index : index + 2]):
                    yield self._with_headings(self._block(element, content.box, number))
                    continue
                is_after_break = id(element) in layout.after_break
                yield from self._paragraph(element, is_after_break, bookmarks, content.box, number)
            else:
                yield from self._illustration(element, index == 0, layout, page, content, number)
        self._footnotes += [self._block(note, content.box, number) for note in layout.footnotes]
        if not self._unfinished:
            yield from self._waiting_footnotes()
        bookmarks.enter_remaining()

    @property
    def section(self) -> tuple[str, ...]:
        """The path of the headings that are open."""
        return self._sections.path

    def _survey_of(self, content: PageContent) -> PdfSurvey:
        """Return the survey for a page: recognised lines have sizes of their own."""
        if content.is_recognised and content.lines:
            size = median(line.font_size for line in content.lines)
            return replace(self._survey, body_size=size, body_font="")
        return self._survey

    def finish(self) -> Iterator[Block]:
        """Yield everything that is still open, at the end of the document."""
        yield from self._finish_paragraph()
        yield from self._bare_headings
        self._bare_headings = []

    def _finish_paragraph(self) -> Iterator[Block]:
        if self._unfinished:
            yield self._unfinished
        self._unfinished = None
        yield from self._waiting_footnotes()

    def _waiting_footnotes(self) -> Iterator[Block]:
        yield from self._footnotes
        self._footnotes = []

    def _illustration(
        self,
        element: FigureRegion | PdfTable,
        is_first: bool,
        layout: PageLayout,
        page: pdfium.PdfPage,
        content: PageContent,
        number: int,
    ) -> Iterator[Block | Figure]:
        caption = layout.captions.get(id(element))
        if isinstance(element, PdfTable):
            box = _box(element.page_box, content.box, number)
            if caption:
                box = _box(element.page_box.union(caption.page_box), content.box, number)
            block = self._tables.block(element, caption, is_first, self._sections.path, box)
            yield self._with_headings(block)
            return
        figure = None
        if not self._is_decoration(element, caption, content):
            figure = self._figure(element, caption, page, content, number)
        if figure:
            yield self._with_headings(figure)
        elif element.text:  # of a logo, or of a picture that stands here again
            boxes = (_box(element.box, content.box, number),)
            yield self._with_headings(self._text_block(element.text, boxes))

    def _paragraph(
        self,
        paragraph: Paragraph,
        is_after_break: bool,
        bookmarks: PageBookmarks,
        page_box: Rectangle,
        number: int,
    ) -> Iterator[Block | Figure]:
        text = paragraph.text
        label = parse_caption(text)
        if label and label[0] == "figure" and strip_label(text):
            # a caption without a picture: keep its words, so that references have a target
            figure = Figure(
                anchor=self._anchors.claim(label_anchor(*label)),
                picture=None,
                caption=strip_label(text),
                number=label[1],
                section=self._sections.path,
                page=number,
                bbox=paragraph.page_box.fractions_of(page_box),
            )
            yield self._with_headings(figure)
            return
        is_bookmark = bookmarks.enter_heading(text)
        if is_bookmark or is_heading(paragraph, self._page_survey):
            yield from self._finish_paragraph()
            heading = self._block(paragraph, page_box, number)
            if not is_bookmark:
                self._sections.enter_heading(text, paragraph.font_size, paragraph.bold)
            yield from self._headings_that_ended()
            self._bare_headings.append(heading)
            return
        self._is_title_page = self._is_title_page and len(text) < _MIN_PROSE_CHARACTERS
        if self._unfinished and is_after_break and continues(self._unfinished.text, text):
            block = self._continued(self._unfinished, paragraph, page_box, number)
        else:
            yield from self._finish_paragraph()
            block = self._with_headings(self._block(paragraph, page_box, number))
        if is_unfinished(block.text) and not paragraph.is_code:
            self._unfinished = block
        else:
            self._unfinished = None
            yield block

    def _continued(
        self, block: Block, paragraph: Paragraph, page_box: Rectangle, number: int
    ) -> Block:
        text = join_lines((block.text, paragraph.text), self._page_survey.vocabulary)
        boxes = (*block.boxes, _box(paragraph.page_box, page_box, number))
        return replace(block, text=text, refs=find_references(text), boxes=boxes)

    def _headings_that_ended(self) -> Iterator[Block]:
        """Yield the headings that ended without any text: their words must not be lost."""
        open_keys = {comparison_key(title) for title in self._sections.path}
        for heading in self._bare_headings:
            if comparison_key(heading.text) not in open_keys:
                yield heading
        self._bare_headings = [
            h for h in self._bare_headings if comparison_key(h.text) in open_keys
        ]

    def _with_headings(self, content: ContentT) -> ContentT:
        """Return content that stands below the open headings and carries their words."""
        self._bare_headings = []
        return content

    def _block(self, paragraph: Paragraph, page_box: Rectangle, number: int) -> Block:
        return self._text_block(paragraph.text, (_box(paragraph.page_box, page_box, number),))

    def _text_block(self, text: str, boxes: tuple[Box, ...]) -> Block:
        section = self._sections.path
        return Block(
            text=text,
            section=section,
            role=role_of(section[1:]),
            refs=find_references(text),
            page=boxes[0][0],
            boxes=boxes,
        )

    def _names_author(self, flow: Sequence[PageElement]) -> bool:
        """Return whether large type on the title page is an author or a date, not a heading.

        Running text follows a heading, but not an author or a date.
        """
        first, following = flow[0], flow[1] if len(flow) > 1 else None
        return (
            isinstance(first, Paragraph)
            and is_heading(first, self._page_survey)
            and not first.bold
            and not first.text[0].isdigit()
            and comparison_key(first.text) not in comparison_key(self._title)
            and not (
                isinstance(following, Paragraph) and len(following.text) >= _MIN_PROSE_CHARACTERS
            )
        )

    def _is_decoration(
        self, region: FigureRegion, caption: Paragraph | None, content: PageContent
    ) -> bool:
        """Return whether a picture without caption is a logo, or lies in the margin of the page."""
        if caption:
            return False
        images = [content.images[g.image_index] for g in region.graphics if g.kind == "image"]
        if images and all(image.key in self._page_survey.logos for image in images):
            return True
        margin = MARGIN_SHARE * content.box.height
        return region.box.bottom <= margin or region.box.top >= content.box.height - margin

    def _figure(
        self,
        region: FigureRegion,
        caption: Paragraph | None,
        page: pdfium.PdfPage,
        content: PageContent,
        number: int,
    ) -> Figure | None:
        """Return the figure of a region, or None if an unnumbered picture appears again."""
        label = parse_caption(caption.text) if caption else None
        picture = extract_picture(page, content, region)
        if not label:
            digest = hashlib.sha256(picture).digest()
            if digest in self._picture_digests:
                return None
            self._picture_digests.add(digest)
        anchor = label_anchor(*label) if label else self._next_figure_anchor(number)
        return Figure(
            anchor=self._anchors.claim(anchor),
            picture=picture,
            caption=strip_label(caption.text) if caption else "",
            number=label[1] if label else "",
            section=self._sections.path,
            page=number,
            bbox=region.box.fractions_of(content.box),
            text=region.text,
        )

    def _scanned_page(
        self,
        scan: FigureRegion,
        page: pdfium.PdfPage,
        content: PageContent,
        number: int,
        has_text: bool,
    ) -> Figure:
        """Return the picture of a scanned page; its text, if OCR found any, becomes passages."""
        return Figure(
            anchor=self._anchors.claim(self._next_figure_anchor(number)),
            picture=extract_picture(page, content, scan),
            alt="" if has_text else f"Scanned page {number} of {self._title}",
            section=self._sections.path,
            page=number,
            bbox=scan.box.fractions_of(content.box),
        )

    def _next_figure_anchor(self, number: int) -> str:
        self._figure_count = self._figure_count + 1 if self._figure_page == number else 1
        self._figure_page = number
        return f"p{number}-f{self._figure_count}"


def _box(box: Rectangle, page: Rectangle, number: int) -> Box:
    return (number, *box.fractions_of(page))
