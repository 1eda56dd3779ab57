"""Turn the pages of a PDF into blocks: sections, paragraphs across page breaks, and figures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pypdfium2 as pdfium

from data.documents import Block, Figure
from data.readers.pdf_captions import find_references, label_anchor, parse_caption, strip_label
from data.readers.pdf_compose import PageElement, RuledTable, compose_page
from data.readers.pdf_figures import FigureRegion
from data.readers.pdf_layout import Paragraph, Rectangle, continues, is_unfinished, join_lines
from data.readers.pdf_page import PageContent
from data.readers.pdf_pictures import extract_picture
from data.readers.pdf_sections import Bookmark, PageBookmarks, SectionPath, comparison_key
from data.readers.pdf_survey import MARGIN_SHARE, PdfSurvey, is_heading
from data.readers.structure import Anchors, role_of

__all__ = ["PageStream"]

_MIN_PROSE_CHARACTERS = 80  # a paragraph of this length is running text, even on a title page
_MIN_PAGE_CHARACTERS = 20  # a page with less text may be a scan
_MIN_SCAN_SHARE = 0.6  # the least share of a scanned page that its picture covers


class PageStream:
    """Turn open pages into blocks, one after the other.

    Between pages it keeps only the section path, the used anchors and an unfinished paragraph.
    """

    def __init__(
        self, title: str, survey: PdfSurvey, outline: Mapping[int, Sequence[Bookmark]]
    ) -> None:
        self._title = title
        self._survey = survey
        self._outline = outline
        self._sections = SectionPath(title)
        self._anchors = Anchors()
        self._picture_digests: set[bytes] = set()  # of pictures without a figure number
        self._unfinished: Block | None = None  # a paragraph that the next page may continue
        self._figure_page = 0  # the page of the last figure
        self._figure_count = 0  # figures so far on that page
        self._is_title_page = True  # no running text yet: large type may be an author or a date

    def read_page(
        self, page: pdfium.PdfPage, content: PageContent, number: int
    ) -> Iterator[Block | Figure]:
        """Yield the blocks of page `number` (from 1), and any that the previous page left open."""
        bookmarks = PageBookmarks(self._outline.get(number - 1, ()), self._sections)
        scan = _find_scan(content)
        if scan:
            yield Figure(
                anchor=self._anchors.claim(f"p{number}-f1"),
                picture=extract_picture(page, content, scan),
                alt=f"Scanned page {number} of {self._title}",
                section=self._sections.path,
                page=number,
                bbox=_fractions(scan.box, content.box),
            )
        graphics = [] if scan else content.graphics
        layout = compose_page(content.box, content.lines, graphics, self._survey)
        bookmarks.enter_unseen([e.text for e in layout.flow if isinstance(e, Paragraph)])
        self._is_title_page = self._is_title_page and number == 1
        for index, element in enumerate(layout.flow):
            if isinstance(element, Paragraph):
                if self._is_title_page and self._names_author(layout.flow[index : index + 2]):
                    yield self._block(element.text, number)
                    continue
                is_after_break = id(element) in layout.after_break
                yield from self._paragraph(element, is_after_break, bookmarks, number)
            elif isinstance(element, RuledTable):
                yield self._table(element, layout.captions.get(id(element)), number)
            else:
                caption = layout.captions.get(id(element))
                if not self._is_decoration(element, caption, content):
                    figure = self._figure(element, caption, page, content, number)
                    if figure:
                        yield figure
        bookmarks.enter_remaining()

    def finish(self) -> Iterator[Block]:
        """Yield the unfinished paragraph, if there is one."""
        if self._unfinished:
            yield self._unfinished
        self._unfinished = None

    def _paragraph(
        self, paragraph: Paragraph, is_after_break: bool, bookmarks: PageBookmarks, number: int
    ) -> Iterator[Block | Figure]:
        text = paragraph.text
        label = parse_caption(text)
        if label and label[0] == "figure" and strip_label(text):
            # a caption without a picture: keep its words, so that references have a target
            yield Figure(
                anchor=self._anchors.claim(label_anchor(*label)),
                picture=None,
                caption=strip_label(text),
                number=label[1],
                section=self._sections.path,
                page=number,
            )
            return
        is_bookmark = bookmarks.enter_heading(text)
        if is_bookmark or is_heading(paragraph, self._survey):
            yield from self.finish()
            if not is_bookmark:
                self._sections.enter_heading(text, paragraph.font_size, paragraph.bold)
            return
        self._is_title_page = self._is_title_page and len(text) < _MIN_PROSE_CHARACTERS
        if self._unfinished and is_after_break and continues(self._unfinished.text, text):
            whole_text = join_lines((self._unfinished.text, text))
            refs = find_references(whole_text)
            block = replace(self._unfinished, text=whole_text, refs=refs)
        else:
            yield from self.finish()
            block = self._block(text, number)
        if is_unfinished(block.text):
            self._unfinished = block
        else:
            self._unfinished = None
            yield block

    def _block(self, text: str, number: int) -> Block:
        section = self._sections.path
        return Block(
            text=text,
            section=section,
            role=role_of(section[1:]),
            refs=find_references(text),
            page=number,
        )

    def _names_author(self, flow: Sequence[PageElement]) -> bool:
        """Return whether large type on the title page is an author or a date, not a heading.

        Running text follows a heading, but not an author or a date.
        """
        first, following = flow[0], flow[1] if len(flow) > 1 else None
        return (
            isinstance(first, Paragraph)
            and is_heading(first, self._survey)
            and not first.bold
            and not first.text[0].isdigit()
            and comparison_key(first.text) not in comparison_key(self._title)
            and not (
                isinstance(following, Paragraph) and len(following.text) >= _MIN_PROSE_CHARACTERS
            )
        )

    def _table(self, table: RuledTable, caption: Paragraph | None, number: int) -> Block:
        label = parse_caption(caption.text) if caption else None
        return Block(
            text=table.text,
            section=self._sections.path,
            role="table",
            title=caption.text if caption else "",
            anchor=self._anchors.claim(label_anchor(*label)) if label else "",
            page=number,
        )

    def _is_decoration(
        self, region: FigureRegion, caption: Paragraph | None, content: PageContent
    ) -> bool:
        """Return whether a picture without caption is a logo, or lies in the margin of the page."""
        if caption:
            return False
        images = [content.images[g.image_index] for g in region.graphics if g.kind == "image"]
        if images and all(image.key in self._survey.logos for image in images):
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
        self._figure_count = self._figure_count + 1 if self._figure_page == number else 1
        self._figure_page = number
        anchor = label_anchor(*label) if label else f"p{number}-f{self._figure_count}"
        return Figure(
            anchor=self._anchors.claim(anchor),
            picture=picture,
            caption=strip_label(caption.text) if caption else "",
            number=label[1] if label else "",
            section=self._sections.path,
            page=number,
            bbox=_fractions(region.box, content.box),
        )


def _find_scan(content: PageContent) -> FigureRegion | None:
    """Return the picture of a scanned page; None if the page has visible type or no picture."""
    characters = sum(len(line.text) for line in content.lines)
    if not content.hidden and characters >= _MIN_PAGE_CHARACTERS:
        return None
    images = [g for g in content.graphics if g.kind == "image"]
    graphics = images or ([] if content.lines else content.graphics)
    if not graphics:
        return None
    box = graphics[0].box
    for graphic in graphics[1:]:
        box = box.union(graphic.box)
    return FigureRegion(box, graphics) if box.area >= _MIN_SCAN_SHARE * content.box.area else None


def _fractions(box: Rectangle, page: Rectangle) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom as fractions of the page."""

    def clamp(value: float) -> float:
        return round(min(max(value, 0.0), 1.0), 5)

    return (
        clamp(box.left / page.width),
        clamp(box.top / page.height),
        clamp(box.right / page.width),
        clamp(box.bottom / page.height),
    )
