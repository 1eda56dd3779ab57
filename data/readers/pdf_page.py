"""One page through PDFium: its lines of type and what is drawn on it.

Handles of objects belong to the page: use a `PageContent` only while its page is open.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from data.readers.pdf_figures import Graphic
from data.readers.pdf_layout import Box, Line
from data.readers.pdf_text import Frame, frame_of, page_lines

__all__ = ["Image", "PageContent", "picture_keys", "read_page"]

MAX_OBJECTS = 60_000  # drawn objects looked at per page; a map may have a million
_THIN = 2.0  # points: anything thinner is a rule


class Image(NamedTuple):
    """A picture and the matrix that puts it on the page, form XObjects included."""

    handle: pdfium.PdfImage
    matrix: pdfium.PdfMatrix

    @property
    def key(self) -> tuple[int, int, int]:
        """Width, height and stored bytes: enough to know a logo again without decoding it."""
        return (*self.handle.get_px_size(), raw.FPDFImageObj_GetImageDataRaw(self.handle, None, 0))


@dataclass
class PageContent:
    """`hidden` is True where all type is invisible, as in the text layer of an OCR'd scan."""

    box: Box
    lines: list[Line]
    hidden: bool
    graphics: list[Graphic] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)


def read_page(page: pdfium.PdfPage) -> PageContent:
    """Lines and graphics of an open page."""
    box, lines, hidden = page_lines(page)
    content = PageContent(box, lines, hidden)
    frame, _ = frame_of(page)
    for number, (handle, matrix) in enumerate(_objects(page.raw, pdfium.PdfMatrix(), 0)):
        if number >= MAX_OBJECTS:
            break
        graphic = _graphic(handle, matrix, frame, content, page)
        if graphic:
            content.graphics.append(graphic)
    return content


def picture_keys(page: pdfium.PdfPage) -> set[tuple[int, int, int]]:
    """`Image.key` of the pictures that stand on the page itself (not in form XObjects)."""
    found = page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=1)
    return {Image(image, image.get_matrix()).key for image in found}


def _objects(
    parent: Any, matrix: pdfium.PdfMatrix, depth: int
) -> Iterator[tuple[Any, pdfium.PdfMatrix]]:
    """Paths and pictures with the matrix of the form XObjects around them."""
    if depth:
        count, get = raw.FPDFFormObj_CountObjects, raw.FPDFFormObj_GetObject
    else:
        count, get = raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject
    for at in range(count(parent)):
        handle = get(parent, at)
        kind = raw.FPDFPageObj_GetType(handle)
        if kind in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING):
            yield handle, matrix
        elif kind == raw.FPDF_PAGEOBJ_FORM and depth < 8:
            own = raw.FS_MATRIX()
            if raw.FPDFPageObj_GetMatrix(handle, own):
                inner = pdfium.PdfMatrix.from_raw(own).multiply(matrix)
                yield from _objects(handle, inner, depth + 1)


def _graphic(
    handle: Any, matrix: pdfium.PdfMatrix, frame: Frame, content: PageContent, page: pdfium.PdfPage
) -> Graphic | None:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not raw.FPDFPageObj_GetBounds(handle, left, bottom, right, top):
        return None
    bounds = _clipped(handle, (left.value, bottom.value, right.value, top.value))
    if bounds is None:
        return None
    box = frame.box(*matrix.on_rect(*bounds)).cut(content.box)
    if box.width < 0 or box.height < 0:
        return None
    match raw.FPDFPageObj_GetType(handle):
        case raw.FPDF_PAGEOBJ_IMAGE:
            image = pdfium.PdfImage(handle, page=page)
            if min(image.get_px_size()) < 2:
                return Graphic(box, "rule")  # a stretched pixel is a coloured line
            content.images.append(Image(image, image.get_matrix().multiply(matrix)))
            return Graphic(box, "image", len(content.images) - 1)
        case raw.FPDF_PAGEOBJ_SHADING:
            return Graphic(box, "rect")
        case _:
            kind = _path_kind(handle, box)
            return Graphic(box, kind) if kind else None


def _clipped(
    handle: Any, bounds: tuple[float, float, float, float]
) -> tuple[float, float, float, float] | None:
    """The bounds inside the object's clip path (its bounding box), None where nothing shows."""
    clip = raw.FPDFPageObj_GetClipPath(handle)
    left, bottom, right, top = bounds
    x, y = ctypes.c_float(), ctypes.c_float()
    for path in range(min(raw.FPDFClipPath_CountPaths(clip), 8) if clip else 0):
        count = raw.FPDFClipPath_CountPathSegments(clip, path)
        if not 2 < count <= 32:
            continue
        xs, ys = [], []
        for at in range(count):
            raw.FPDFPathSegment_GetPoint(raw.FPDFClipPath_GetPathSegment(clip, path, at), x, y)
            xs.append(x.value)
            ys.append(y.value)
        left, right = max(left, min(xs)), min(right, max(xs))
        bottom, top = max(bottom, min(ys)), min(top, max(ys))
    return (left, bottom, right, top) if left <= right and bottom <= top else None


def _path_kind(handle: Any, box: Box) -> Literal["rule", "rect", "shape"] | None:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(handle, fill, stroke)
    if not fill.value and not stroke.value:
        return None
    if min(box.width, box.height) < _THIN:
        return "rule"
    x, y = ctypes.c_float(), ctypes.c_float()
    last: tuple[float, float] | None = None
    for at in range(min(raw.FPDFPath_CountSegments(handle), 40)):
        segment = raw.FPDFPath_GetPathSegment(handle, at)
        kind = raw.FPDFPathSegment_GetType(segment)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        point = (x.value, y.value)
        if kind == raw.FPDF_SEGMENT_BEZIERTO:
            return "shape"
        slant = min(abs(point[0] - last[0]), abs(point[1] - last[1])) if last else 0.0
        if kind == raw.FPDF_SEGMENT_LINETO and slant > 0.5:
            return "shape"
        last = point
    if not stroke.value and _is_white(handle):
        return None  # paper laid under something
    return "rect"


def _is_white(handle: Any) -> bool:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    raw.FPDFPageObj_GetFillColor(handle, red, green, blue, alpha)
    return min(red.value, green.value, blue.value) >= 250 or alpha.value < 5
