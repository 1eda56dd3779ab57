"""Read PDF files through PDFium: text in reading order, headings, figures with their captions.

`pdf_page` reads the lines and graphics of a page, `pdf_compose` arranges them into paragraphs,
tables and figures, and `pdf_stream` turns those into blocks. PDFium is not thread safe: only one
thread of a process may read PDFs at a time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from data.documents import Document, Problem
from data.errors import BadInput, Missing
from data.readers.files import format_of, sha256_of, source_of
from data.readers.pdf_extras import read_annotations, read_attachments
from data.readers.pdf_hyphens import join_lines
from data.readers.pdf_layout import Line
from data.readers.pdf_page import MAX_OBJECTS, image_keys, read_page
from data.readers.pdf_scan import PageOcr, PageText, find_scan, is_gibberish
from data.readers.pdf_sections import read_outline
from data.readers.pdf_stream import PageStream
from data.readers.pdf_survey import PdfSurvey, survey_pages
from data.readers.pdf_text import read_lines
from data.readers.structure import Content, humanise

__all__ = ["PdfReader"]

_MAX_SURVEYED_PAGES = 36
_PAGES_PER_SAMPLE = 3  # neighbours: left and right pages have different headers
_PAGES_PER_OPENING = 200  # then reopen: PDFium frees its objects only on closing
_USELESS_TITLE = re.compile(
    r"untitled.*|\(?anonymous\)?|unknown|title|document\d*|slide \d+|powerpoint presentation"
    r"|microsoft (word|powerpoint) - .*|.*\.(docx?|pptx?|tex|dvi|indd|qxd|pdf|rtf|odt|fm)",
    re.IGNORECASE,
)


_OCR = PageOcr()  # loads its models for the first page that needs them


class PdfReader:
    """Read `*.pdf`, and files with another suffix whose content begins like a PDF."""

    name = "pdf"

    def __init__(self, ocr: PageText | None = _OCR) -> None:
        """Without `ocr`, pages without a usable text layer become problems."""
        self._ocr = ocr

    def claims(self, path: Path) -> bool:
        try:
            return path.is_file() and (path.suffix.lower() == ".pdf" or format_of(path) == "pdf")
        except OSError:
            return False

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        """Yield one document; reading it raises `BadInput` if PDFium cannot open the file."""
        source = source_of(path, root)
        try:
            digest = sha256_of(path)
        except OSError as error:
            raise BadInput(f"{source}: cannot be read ({error.strerror}); check the file") from None
        title = _find_title(path, source)
        yield Document(
            source=source,
            path=path,
            fingerprint=digest,
            title=title,
            read=lambda: _read(path, source, title, self._ocr),
        )


def _read(path: Path, source: str, title: str, ocr: PageText | None) -> Iterator[Content]:
    with _opened(path, source) as pdf:
        page_count = len(pdf)
        stream = PageStream(title, _survey(pdf), read_outline(pdf))
        yield from read_attachments(pdf)
    for start in range(0, page_count, _PAGES_PER_OPENING):
        with _opened(path, source) as pdf:
            for index in range(start, min(start + _PAGES_PER_OPENING, page_count)):
                yield from _read_page(pdf, index, stream, ocr)
    yield from stream.finish()


def _read_page(
    pdf: pdfium.PdfDocument, index: int, stream: PageStream, ocr: PageText | None
) -> Iterator[Content]:
    number = index + 1
    try:
        page = pdf[index]
    except pdfium.PdfiumError as error:
        yield Problem(f"p{number}", f"page {number} is left out: {error}", page=number)
        return
    try:
        # read the whole page first: a page that fails half-way yields only its problem
        contents = list(_page_contents(page, number, stream, ocr))
    except (pdfium.PdfiumError, ValueError, MemoryError) as error:
        contents = [Problem(f"p{number}", f"page {number} is left out: {error}", page=number)]
    finally:
        page.close()
    yield from contents


def _page_contents(
    page: pdfium.PdfPage, number: int, stream: PageStream, ocr: PageText | None
) -> Iterator[Content]:
    content = read_page(page)
    scan = find_scan(content)
    if is_gibberish(content) or (scan and not content.hidden):
        try:
            if ocr is None:
                raise Missing("OCR is switched off; index without --no-ocr")
            content.lines = ocr.read(page, content)
            content.is_recognised = True
        except Missing as error:
            message = f"the words of page {number} are only a picture and are not read: {error}"
            yield Problem(f"p{number}", message, "text", number)
            content.lines = [] if scan is None else content.lines
    if content.is_cut_off:
        yield Problem(
            f"p{number}", f"page {number}: only the first {MAX_OBJECTS} drawings", "picture", number
        )
    yield from stream.read_page(page, content, number, scan)
    yield from read_annotations(page, content, number, stream.section)


@contextmanager
def _opened(path: Path, source: str) -> Iterator[pdfium.PdfDocument]:
    """Open a document for a `with` block; raise `BadInput` if PDFium cannot open it."""
    try:
        with path.open("rb") as handle:
            head = handle.read(1024)
        if not head:
            raise BadInput(f"{source}: the file is empty; copy or download it again")
        if b"%PDF-" not in head:
            raise BadInput(
                f"{source}: not a PDF (it does not begin with %PDF); "
                "give it the suffix of its real format, or export it as PDF"
            )
        pdf = pdfium.PdfDocument(path)
    except OSError as error:
        raise BadInput(f"{source}: cannot be read ({error.strerror}); check the file") from None
    except pdfium.PdfiumError as error:
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise BadInput(
                f"{source}: the PDF is encrypted; save a copy without password and index that"
            ) from None
        raise BadInput(
            f"{source}: the PDF is damaged or cut off and has no readable page; "
            "download it again, or open it in a viewer and save a copy"
        ) from None
    try:
        yield pdf
    finally:
        pdf.close()


def _survey(pdf: pdfium.PdfDocument) -> PdfSurvey:
    """Survey a sample of the pages; broken pages are skipped here and reported by `_read_page`."""
    pages: dict[int, tuple[float, list[Line]]] = {}
    picture_counts: Counter[tuple[int, int, int]] = Counter()
    for index in _sample_pages(len(pdf)):
        try:
            page = pdf[index]
        except pdfium.PdfiumError:
            continue
        with closing(page), suppress(pdfium.PdfiumError):
            box, lines, *_ = read_lines(page)
            pages[index] = box.height, lines
            picture_counts.update(image_keys(page))
    min_repeats = max(3, len(pages) // 4)
    logos = frozenset(key for key, count in picture_counts.items() if count >= min_repeats)
    return replace(survey_pages(pages), logos=logos)


def _sample_pages(page_count: int) -> list[int]:
    """Return the indices of the pages to survey: all, or groups of neighbours spread evenly."""
    if page_count <= _MAX_SURVEYED_PAGES:
        return list(range(page_count))
    groups = _MAX_SURVEYED_PAGES // _PAGES_PER_SAMPLE
    starts = (group * (page_count - _PAGES_PER_SAMPLE) // (groups - 1) for group in range(groups))
    return sorted({start + step for start in starts for step in range(_PAGES_PER_SAMPLE)})


def _metadata_title(pdf: pdfium.PdfDocument) -> str:
    try:
        return " ".join(pdf.get_metadata_value("Title").split())
    except UnicodeDecodeError:
        return ""


def _find_title(path: Path, source: str) -> str:
    """Return the title from the metadata, the largest type at the top of page 1, or the name."""
    try:
        with _opened(path, source) as pdf:
            title = _metadata_title(pdf)
            if len(title) > 1 and not _USELESS_TITLE.fullmatch(title):
                return title
            with closing(pdf[0]) as page:
                box, lines, *_ = read_lines(page)
    except (BadInput, pdfium.PdfiumError):
        return humanise(path.stem)
    survey = survey_pages({0: (box.height, lines)})
    candidates = [
        line
        for line in lines
        if line.upright
        and line.box.top < 0.6 * box.height
        and line.font_size >= 1.12 * survey.body_size
        and any(map(str.isalpha, line.text))
    ]
    largest = max((line.font_size for line in candidates), default=0.0)
    title = join_lines(line.text for line in candidates if line.font_size >= 0.98 * largest)
    return title if 2 <= len(title) <= 200 else humanise(path.stem)
