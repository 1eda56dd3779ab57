"""Read the lines of type and the drawn objects of one PDF page through PDFium.

PDFium's handles belong to the page: use a `PageContent` only while its page is open.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from data.readers.pdf_figures import Graphic
from data.readers.pdf_geometry import PageTransform, Rectangle, page_transform
from data.readers.pdf_layout import Line
from data.readers.pdf_text import read_lines

__all__ = ["MAX_OBJECTS", "PageContent", "PlacedImage", "image_keys", "read_page"]

MAX_OBJECTS = 60_000  # drawn objects read per page; a map may have a million
MAX_FORM_DEPTH = 8  # levels of nested form XObjects
_MAX_RULE_THICKNESS = 2.0  # points
_MAX_BAR = 250.0  # points: a longer rule is no bar of a fraction


class PlacedImage(NamedTuple):
    """A picture and the matrix that places it on the page, through any form XObjects."""

    handle: pdfium.PdfImage
    matrix: pdfium.PdfMatrix

    @property
    def key(self) -> tuple[int, int, int]:
        """Width, height and stored bytes: enough to recognise a logo without decoding it."""
        return (*self.handle.get_px_size(), raw.FPDFImageObj_GetImageDataRaw(self.handle, None, 0))


@dataclass
class PageContent:
    """The lines, graphics and pictures of a page.

    `hidden` is True if all type is invisible, as in the text layer of a scan after OCR.
    `unmapped_share` is the share of characters whose font has no mapping to Unicode.
    `is_cut_off` is true if the page has too many drawn objects to read all of them.
    `is_recognised` is true if the lines come from OCR.
    """

    box: Rectangle
    lines: list[Line]
    hidden: bool
    unmapped_share: float = 0.0
    is_cut_off: bool = False
    is_recognised: bool = False
    graphics: list[Graphic] = field(default_factory=list)
    images: list[PlacedImage] = field(default_factory=list)


def read_page(page: pdfium.PdfPage) -> PageContent:
    """Read the lines and graphics of an open page."""
    transform, box = page_transform(page)
    content = PageContent(box, [], hidden=False)
    for count, (handle, matrix) in enumerate(_objects(page.raw, pdfium.PdfMatrix(), 0)):
        if count >= MAX_OBJECTS:
            content.is_cut_off = True
            break
        graphic = _read_graphic(handle, matrix, transform, content, page)
        if graphic:
            content.graphics.append(graphic)
    bars = [
        g.box
        for g in content.graphics
        if g.kind == "rule" and g.box.height < g.box.width and 3 < g.box.width < _MAX_BAR
    ]
    _, content.lines, content.hidden, content.unmapped_share = read_lines(page, bars)
    return content


def image_keys(page: pdfium.PdfPage) -> set[tuple[int, int, int]]:
    """Return the `PlacedImage.key` of each picture on the page, except in form XObjects."""
    images = page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=1)
    return {PlacedImage(image, image.get_matrix()).key for image in images}


def _objects(
    parent: Any, matrix: pdfium.PdfMatrix, depth: int
) -> Iterator[tuple[Any, pdfium.PdfMatrix]]:
    """Yield paths, shadings and pictures with the matrix of the form XObjects around them."""
    if depth:
        count, get = raw.FPDFFormObj_CountObjects, raw.FPDFFormObj_GetObject
    else:
        count, get = raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject
    for index in range(count(parent)):
        handle = get(parent, index)
        kind = raw.FPDFPageObj_GetType(handle)
        if kind in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING):
            yield handle, matrix
        elif kind == raw.FPDF_PAGEOBJ_FORM and depth < MAX_FORM_DEPTH:
            form_matrix = raw.FS_MATRIX()
            if raw.FPDFPageObj_GetMatrix(handle, form_matrix):
                combined = pdfium.PdfMatrix.from_raw(form_matrix).multiply(matrix)
                yield from _objects(handle, combined, depth + 1)


def _read_graphic(
    handle: Any,
    matrix: pdfium.PdfMatrix,
    transform: PageTransform,
    content: PageContent,
    page: pdfium.PdfPage,
) -> Graphic | None:
    """Return the graphic of an object, or None if invisible. Adds pictures to `content.images`."""
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not raw.FPDFPageObj_GetBounds(handle, left, bottom, right, top):
        return None
    bounds = _clip_bounds(handle, (left.value, bottom.value, right.value, top.value))
    if bounds is None:
        return None
    box = transform.rectangle(*matrix.on_rect(*bounds)).intersection(content.box)
    if box.width < 0 or box.height < 0:
        return None
    match raw.FPDFPageObj_GetType(handle):
        case raw.FPDF_PAGEOBJ_IMAGE:
            image = pdfium.PdfImage(handle, page=page)
            if min(image.get_px_size()) < 2:
                return Graphic(box, "rule")  # one pixel wide or high: used as a line
            content.images.append(PlacedImage(image, image.get_matrix().multiply(matrix)))
            return Graphic(box, "image", len(content.images) - 1)
        case raw.FPDF_PAGEOBJ_SHADING:
            return Graphic(box, "rect")
        case _:
            kind = _path_kind(handle, box)
            return Graphic(box, kind) if kind else None


def _clip_bounds(
    handle: Any, bounds: tuple[float, float, float, float]
) -> tuple[float, float, float, float] | None:
    """Return the bounds inside the bounding box of the clip path; None if nothing is visible."""
    clip = raw.FPDFPageObj_GetClipPath(handle)
    left, bottom, right, top = bounds
    x, y = ctypes.c_float(), ctypes.c_float()
    for path in range(min(raw.FPDFClipPath_CountPaths(clip), 8) if clip else 0):
        count = raw.FPDFClipPath_CountPathSegments(clip, path)
        if not 2 < count <= 32:
            continue
        xs, ys = [], []
        for index in range(count):
            raw.FPDFPathSegment_GetPoint(raw.FPDFClipPath_GetPathSegment(clip, path, index), x, y)
            xs.append(x.value)
            ys.append(y.value)
        left, right = max(left, min(xs)), min(right, max(xs))
        bottom, top = max(bottom, min(ys)), min(top, max(ys))
    return (left, bottom, right, top) if left <= right and bottom <= top else None


def _path_kind(handle: Any, box: Rectangle) -> Literal["rule", "rect", "shape"] | None:
    """Return the kind of a path; None if it is invisible or white."""
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(handle, fill, stroke)
    if not fill.value and not stroke.value:
        return None
    # PDFium adds the width of the stroke on both sides of a line
    is_line = raw.FPDFPath_CountSegments(handle) == 2
    if min(box.width, box.height) < _MAX_RULE_THICKNESS * (2 if is_line else 1):
        return "rule"
    x, y = ctypes.c_float(), ctypes.c_float()
    previous: tuple[float, float] | None = None
    for index in range(min(raw.FPDFPath_CountSegments(handle), 40)):
        segment = raw.FPDFPath_GetPathSegment(handle, index)
        kind = raw.FPDFPathSegment_GetType(segment)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        point = (x.value, y.value)
        if kind == raw.FPDF_SEGMENT_BEZIERTO:
            return "shape"
        slant = 0.0
        if previous:
            slant = min(abs(point[0] - previous[0]), abs(point[1] - previous[1]))
        if kind == raw.FPDF_SEGMENT_LINETO and slant > 0.5:
            return "shape"
        previous = point
    if not stroke.value and _is_white(handle):
        return None  # a white background
    return "rect"


def _is_white(handle: Any) -> bool:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    raw.FPDFPageObj_GetFillColor(handle, red, green, blue, alpha)
    return min(red.value, green.value, blue.value) >= 250 or alpha.value < 5
