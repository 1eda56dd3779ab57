"""From the pages of a PDF to its blocks: sections, paragraphs across page breaks, figures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pypdfium2 as pdfium

from data.documents import Block, Figure
from data.readers.pdf_compose import Table, laid_out
from data.readers.pdf_figures import CAPTION, Cluster, anchor_of, caption_of, references
from data.readers.pdf_layout import Box, Paragraph, continues, join_text, may_continue
from data.readers.pdf_page import PageContent
from data.readers.pdf_pictures import picture_of
from data.readers.pdf_sections import Bookmark, Marks, Sections, key_of
from data.readers.pdf_survey import MARGIN, Survey, is_heading
from data.readers.structure import Anchors, role_of

__all__ = ["PageStream"]

_PROSE = 80  # characters: a paragraph of this length is text, on a title page too
_SCANNED = 0.6  # of the page: a picture of this size on a page without text is a scan


class PageStream:
    """Turns one open page after the other into blocks; keeps only what the next page needs."""

    def __init__(
        self, title: str, known: Survey, outline: Mapping[int, Sequence[Bookmark]]
    ) -> None:
        self._title = title
        self._known = known
        self._outline = outline
        self._sections = Sections(title)
        self._anchors = Anchors()
        self._seen: set[bytes] = set()  # digests of the pictures without a number
        self._open: Block | None = None  # a paragraph that may go on behind a break
        self._counted = self._count = 0  # the page last counted on, and figures there so far
        self._in_front = True  # no running text yet: authors and dates are no headings

    def page(
        self, page: pdfium.PdfPage, content: PageContent, number: int
    ) -> Iterator[Block | Figure]:
        """The blocks of page `number` (1-based), and what was left open on the page before."""
        marks = Marks(self._outline.get(number - 1, ()), self._sections)
        scan = _scan_of(content)
        if scan:
            yield Figure(
                anchor=self._anchors.claim(f"p{number}-f1"),
                picture=picture_of(page, content, scan),
                alt=f"Scanned page {number} of {self._title}",
                section=self._sections.path,
                page=number,
                bbox=_fractions(scan.box, content.box),
            )
        laid = laid_out(content.box, content.lines, [] if scan else content.graphics, self._known)
        marks.skip_unseen([p.text for p in laid.flow if isinstance(p, Paragraph)])
        self._in_front = self._in_front and number == 1
        for at, part in enumerate(laid.flow):
            if isinstance(part, Paragraph):
                if self._in_front and self._names_an_author(laid.flow[at : at + 2]):
                    yield self._block(part.text, number)
                    continue
                yield from self._paragraph(part, id(part) in laid.after_break, marks, number)
            elif isinstance(part, Table):
                yield self._table(part, laid.captions.get(id(part)), number)
            else:
                caption = laid.captions.get(id(part))
                if not self._is_decoration(part, caption, content):
                    figure = self._figure(part, caption, page, content, number)
                    if figure:
                        yield figure
        marks.take_all()

    def finish(self) -> Iterator[Block]:
        """What the last page left open."""
        if self._open:
            yield self._open
        self._open = None

    def _paragraph(
        self, paragraph: Paragraph, after_break: bool, marks: Marks, number: int
    ) -> Iterator[Block | Figure]:
        text = paragraph.text
        label = caption_of(text)
        if label and label[0] == "figure" and _without_label(text):
            # its picture was not found: the words are kept, so that what refers to it finds them
            yield Figure(
                anchor=self._anchors.claim(anchor_of(*label)),
                picture=None,
                caption=_without_label(text),
                number=label[1],
                section=self._sections.path,
                page=number,
            )
            return
        marked = marks.take(text)
        heading = not marked and is_heading(paragraph, self._known)
        if marked or heading:
            yield from self.finish()
            if heading:
                self._sections.heading(text, paragraph.size, paragraph.bold)
            return
        self._in_front = self._in_front and len(text) < _PROSE
        if self._open and after_break and continues(self._open.text, text):
            whole = join_text((self._open.text, text))
            block = replace(self._open, text=whole, refs=references(whole))
        else:
            yield from self.finish()
            block = self._block(text, number)
        if may_continue(block.text):
            self._open = block
        else:
            self._open = None
            yield block

    def _block(self, text: str, number: int) -> Block:
        section = self._sections.path
        return Block(
            text=text,
            section=section,
            role=role_of(section[1:]),
            refs=references(text),
            page=number,
        )

    def _names_an_author(self, flow: Sequence[Paragraph | Cluster | Table]) -> bool:
        """Whether large type on the title page is an author or a date: no text hangs on it."""
        first, after = flow[0], flow[1] if len(flow) > 1 else None
        return (
            isinstance(first, Paragraph)
            and is_heading(first, self._known)
            and not first.bold
            and not first.text[0].isdigit()
            and key_of(first.text) not in key_of(self._title)
            and not (isinstance(after, Paragraph) and len(after.text) >= _PROSE)
        )

    def _table(self, table: Table, caption: Paragraph | None, number: int) -> Block:
        label = caption_of(caption.text) if caption else None
        return Block(
            text=table.text,
            section=self._sections.path,
            role="table",
            title=caption.text if caption else "",
            anchor=self._anchors.claim(anchor_of(*label)) if label else "",
            page=number,
        )

    def _is_decoration(
        self, cluster: Cluster, caption: Paragraph | None, content: PageContent
    ) -> bool:
        if caption:
            return False
        images = [content.images[p.index] for p in cluster.parts if p.kind == "image"]
        if images and all(image.key in self._known.logos for image in images):
            return True
        margin = MARGIN * content.box.height
        return cluster.box.bottom <= margin or cluster.box.top >= content.box.height - margin

    def _figure(
        self,
        cluster: Cluster,
        caption: Paragraph | None,
        page: pdfium.PdfPage,
        content: PageContent,
        number: int,
    ) -> Figure | None:
        label = caption_of(caption.text) if caption else None
        picture = picture_of(page, content, cluster)
        if not label:
            digest = hashlib.sha256(picture).digest()
            if digest in self._seen:
                return None
            self._seen.add(digest)
        self._count = self._count + 1 if self._counted == number else 1
        self._counted = number
        wanted = anchor_of(*label) if label else f"p{number}-f{self._count}"
        return Figure(
            anchor=self._anchors.claim(wanted),
            picture=picture,
            caption=_without_label(caption.text) if caption else "",
            number=label[1] if label else "",
            section=self._sections.path,
            page=number,
            bbox=_fractions(cluster.box, content.box),
        )


def _scan_of(content: PageContent) -> Cluster | None:
    """The picture that is the whole page, where the page has no type of its own to be read."""
    if not content.hidden and sum(len(line.text) for line in content.lines) >= 20:
        return None
    images = [g for g in content.graphics if g.kind == "image"]
    parts = images or ([] if content.lines else content.graphics)
    if not parts:
        return None
    box = parts[0].box
    for part in parts[1:]:
        box = box.union(part.box)
    return Cluster(box, parts) if box.area >= _SCANNED * content.box.area else None


def _fractions(box: Box, page: Box) -> tuple[float, float, float, float]:
    def clamp(value: float) -> float:
        return round(min(max(value, 0.0), 1.0), 5)

    return (
        clamp(box.left / page.width),
        clamp(box.top / page.height),
        clamp(box.right / page.width),
        clamp(box.bottom / page.height),
    )


def _without_label(caption: str) -> str:
    """The words behind "Figure 3.2.": the number has its own field."""
    found = CAPTION.match(caption)
    return caption[found.end() :].lstrip(" .:|–—-)") if found else caption
