"""PDF files, through PDFium: text in reading order, headings, figures with their captions.

`pdf_layout` and `pdf_figures` decide from boxes what is what; `pdf_page` gets the boxes. PDFium is
not thread safe: all PDFs of a process must be read by one thread at a time.
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

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.files import format_of, sha256_of, source_of
from data.readers.pdf_layout import Line, join_text
from data.readers.pdf_page import picture_keys, read_page
from data.readers.pdf_sections import outline_of
from data.readers.pdf_stream import PageStream
from data.readers.pdf_survey import Survey, survey
from data.readers.pdf_text import page_lines
from data.readers.structure import humanise

__all__ = ["PdfReader"]

_SURVEYED = 36  # pages whose lines are looked at before the first page is given
_TOGETHER = 3  # of them side by side: headers of left and right pages differ
_REOPEN = 200  # pages: PDFium keeps every object it has met until the file is closed
_JUNK_TITLE = re.compile(
    r"untitled.*|\(?anonymous\)?|unknown|title|document\d*|slide \d+|powerpoint presentation"
    r"|microsoft (word|powerpoint) - .*|.*\.(docx?|pptx?|tex|dvi|indd|qxd|pdf|rtf|odt|fm)",
    re.IGNORECASE,
)


class PdfReader:
    """Reads `*.pdf`, and files that begin as a PDF does whatever they are called."""

    name = "pdf"

    def claims(self, path: Path) -> bool:
        try:
            return path.is_file() and (path.suffix.lower() == ".pdf" or format_of(path) == "pdf")
        except OSError:
            return False

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        """One document. A file that PDFium cannot open still gives one; its `read` says why."""
        source = source_of(path, root)
        try:
            digest = sha256_of(path)
        except OSError as error:
            raise BadInput(f"{source}: cannot be read ({error.strerror}); check the file") from None
        title = _title(path, source)
        yield Document(
            source=source,
            path=path,
            fingerprint=digest,
            title=title,
            read=lambda: _read(path, source, title),
        )


def _read(path: Path, source: str, title: str) -> Iterator[Block | Figure | Problem]:
    with _opened(path, source) as pdf:
        total = len(pdf)
        stream = PageStream(title, _survey(pdf), outline_of(pdf))
    for start in range(0, total, _REOPEN):
        with _opened(path, source) as pdf:
            for index in range(start, min(start + _REOPEN, total)):
                yield from _page(pdf, index, stream)
    yield from stream.finish()


def _page(
    pdf: pdfium.PdfDocument, index: int, stream: PageStream
) -> Iterator[Block | Figure | Problem]:
    number = index + 1
    try:
        page = pdf[index]
    except pdfium.PdfiumError as error:
        yield Problem(f"p{number}", f"page {number} left out: {error}")
        return
    try:
        # one page's blocks at once: a page that breaks half-way gives its problem and no halves
        parts: list[Block | Figure | Problem] = list(stream.page(page, read_page(page), number))
    except (pdfium.PdfiumError, ValueError, MemoryError) as error:
        parts = [Problem(f"p{number}", f"page {number} left out: {error}")]
    finally:
        page.close()
    yield from parts


@contextmanager
def _opened(path: Path, source: str) -> Iterator[pdfium.PdfDocument]:
    """An open document; `BadInput` where there is none to be had."""
    try:
        with path.open("rb") as handle:
            head = handle.read(1024)
        if not head:
            raise BadInput(f"{source}: the file is empty; copy or download it again")
        if b"%PDF-" not in head:
            raise BadInput(
                f"{source}: not a PDF (it does not begin with %PDF); "
                "give it the suffix of what it is, or export it as PDF"
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
            f"{source}: the PDF is damaged or cut off and has no page that can be read; "
            "download it again, or open it in a viewer and save a copy"
        ) from None
    try:
        yield pdf
    finally:
        pdf.close()


def _survey(pdf: pdfium.PdfDocument) -> Survey:
    """A broken page is passed over here: `_page` reports it."""
    total = len(pdf)
    if total <= _SURVEYED:
        chosen = list(range(total))
    else:
        groups = _SURVEYED // _TOGETHER
        starts = (at * (total - _TOGETHER) // (groups - 1) for at in range(groups))
        chosen = sorted({start + step for start in starts for step in range(_TOGETHER)})
    pages: dict[int, tuple[float, list[Line]]] = {}
    pictures: Counter[tuple[int, int, int]] = Counter()
    for index in chosen:
        try:
            page = pdf[index]
        except pdfium.PdfiumError:
            continue
        with closing(page), suppress(pdfium.PdfiumError):
            box, lines, _ = page_lines(page)
            pages[index] = box.height, lines
            pictures.update(picture_keys(page))
    often = max(3, len(pages) // 4)
    logos = frozenset(key for key, count in pictures.items() if count >= often)
    return replace(survey(pages), logos=logos)


def _metadata_title(pdf: pdfium.PdfDocument) -> str:
    try:
        return " ".join(pdf.get_metadata_value("Title").split())
    except UnicodeDecodeError:
        return ""


def _title(path: Path, source: str) -> str:
    """From the metadata, else the largest type at the head of page 1, else the file's name."""
    try:
        with _opened(path, source) as pdf:
            title = _metadata_title(pdf)
            if len(title) > 1 and not _JUNK_TITLE.fullmatch(title):
                return title
            with closing(pdf[0]) as page:
                box, lines, _ = page_lines(page)
    except (BadInput, pdfium.PdfiumError):
        return humanise(path.stem)
    known = survey({0: (box.height, lines)})
    head = [
        line
        for line in lines
        if line.upright
        and line.box.top < 0.6 * box.height
        and line.size >= 1.12 * known.size
        and any(map(str.isalpha, line.text))
    ]
    largest = max((line.size for line in head), default=0.0)
    text = join_text(line.text for line in head if line.size >= 0.98 * largest)
    return text if 2 <= len(text) <= 200 else humanise(path.stem)
