"""Read what a PDF holds beside its pages' text: attachments, form fields and annotations."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from data.documents import Block, Problem
from data.readers.pdf_geometry import page_transform
from data.readers.pdf_page import PageContent

__all__ = ["read_annotations", "read_attachments"]

_MAX_ATTACHMENTS = 1_000
_MAX_ANNOTATIONS = 5_000
_NOTES = frozenset(
    {
        raw.FPDF_ANNOT_TEXT,
        raw.FPDF_ANNOT_FREETEXT,
        raw.FPDF_ANNOT_HIGHLIGHT,
        raw.FPDF_ANNOT_UNDERLINE,
        raw.FPDF_ANNOT_SQUIGGLY,
        raw.FPDF_ANNOT_STRIKEOUT,
        raw.FPDF_ANNOT_STAMP,
        raw.FPDF_ANNOT_CARET,
        raw.FPDF_ANNOT_INK,
        raw.FPDF_ANNOT_LINE,
        raw.FPDF_ANNOT_SQUARE,
        raw.FPDF_ANNOT_CIRCLE,
        raw.FPDF_ANNOT_POLYGON,
        raw.FPDF_ANNOT_POLYLINE,
    }
)
_MEDIA = {
    raw.FPDF_ANNOT_FILEATTACHMENT: "attached file",
    raw.FPDF_ANNOT_SOUND: "sound",
    raw.FPDF_ANNOT_MOVIE: "film",
    raw.FPDF_ANNOT_SCREEN: "film",
    raw.FPDF_ANNOT_RICHMEDIA: "film or model",
    raw.FPDF_ANNOT_THREED: "model",
}


def read_attachments(pdf: pdfium.PdfDocument) -> Iterator[Problem]:
    """Yield a problem for each file inside the document."""
    for index in range(min(pdf.count_attachments(), _MAX_ATTACHMENTS)):
        name = pdf.get_attachment(index).get_name() or f"attachment {index + 1}"
        yield Problem(
            "",
            f"{name} is attached to the PDF and is not read; save it as a file of its own",
            "attachment",
        )


def read_annotations(
    page: pdfium.PdfPage, content: PageContent, number: int, section: tuple[str, ...]
) -> Iterator[Block | Problem]:
    """Yield the filled form fields and the notes of a page, and a problem for other media."""
    transform, _ = page_transform(page)
    page_text = " ".join(line.text for line in content.lines)
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
        handle = raw.FPDFPage_GetAnnot(page, index)
        if not handle:
            continue
        try:
            kind = raw.FPDFAnnot_GetSubtype(handle)
            if kind in _MEDIA:
                yield Problem(
                    f"p{number}",
                    f"a {_MEDIA[kind]} on page {number} is not read",
                    "attachment",
                    number,
                )
                continue
            text = _text(handle, kind)
            if not text or " ".join(text.split()) in page_text:
                continue
            rect = raw.FS_RECTF()
            raw.FPDFAnnot_GetRect(handle, rect)
            box = transform.rectangle(rect.left, rect.bottom, rect.right, rect.top)
            yield Block(
                text=text,
                section=section,
                role="note",
                page=number,
                boxes=((number, *box.fractions_of(content.box)),),
            )
        finally:
            raw.FPDFPage_CloseAnnot(handle)


def _text(handle: Any, kind: int) -> str:
    """Return the text of a note, or the name and value of a filled form field."""
    if kind in _NOTES:
        return _value(handle, "Contents")
    if kind != raw.FPDF_ANNOT_WIDGET:
        return ""
    value = _value(handle, "V").lstrip("/")
    if not value or value == "Off":
        return ""
    name = _value(handle, "TU") or _value(handle, "T")
    return f"{name}: {value}" if name else value


def _value(handle: Any, key: str) -> str:
    name = key.encode()
    size = raw.FPDFAnnot_GetStringValue(handle, name, None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFAnnot_GetStringValue(
        handle, name, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size
    )
    return buffer.raw[: size - 2].decode("utf-16-le", "replace").strip()
