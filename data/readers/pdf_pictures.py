"""Extract the picture of a figure from an open PDF page: the stored JPEG, or a rendered crop."""

from __future__ import annotations

import io

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from data.readers.pdf_figures import FigureRegion
from data.readers.pdf_geometry import Rectangle
from data.readers.pdf_page import PageContent, PlacedImage

__all__ = ["CROP_DPI", "MAX_SIDE_PIXELS", "extract_picture", "render_crop"]

CROP_DPI = 150
MAX_SIDE_PIXELS = 4000  # longest side of a rendered crop
_POINTS_PER_INCH = 72


def extract_picture(page: pdfium.PdfPage, content: PageContent, region: FigureRegion) -> bytes:
    """Return the picture of a figure.

    This is the stored JPEG if the figure is a single unchanged JPEG. Otherwise it is a PNG of that
    part of the page, rendered at the resolution of its finest picture.
    """
    images = [graphic for graphic in region.graphics if graphic.kind == "image"]
    shapes = [graphic for graphic in region.graphics if graphic.kind in ("rect", "shape")]
    if len(images) == 1 and not shapes and images[0].box == region.box:
        jpeg = _stored_jpeg(content.images[images[0].image_index], images[0].box)
        if jpeg:
            return jpeg
    scale = CROP_DPI / _POINTS_PER_INCH
    for image in images:
        width, height = content.images[image.image_index].handle.get_px_size()
        scale = max(scale, max(width, height) / max(image.box.width, image.box.height, 1.0))
    # strokes extend half their width beyond the box of their path
    has_strokes = len(images) < len(region.graphics)
    area = region.box.expanded(1.0) if has_strokes else region.box
    return render_crop(page, content.box, area, scale)


def _stored_jpeg(image: PlacedImage, displayed: Rectangle) -> bytes | None:
    """Return the stored JPEG, or None if it is no JPEG or the page displays it changed."""
    handle, matrix = image
    if handle.get_filters(skip_simple=True) != ["DCTDecode"] or raw.FPDFPageObj_HasTransparency(
        handle.raw
    ):
        return None
    is_upright = matrix.a > 0 and matrix.d > 0 and abs(matrix.b) + abs(matrix.c) < 0.01 * matrix.a
    is_uncropped = abs(matrix.a - displayed.width) < 2 and abs(matrix.d - displayed.height) < 2
    if not is_upright or not is_uncropped or handle.page.get_rotation():
        return None
    if handle.get_metadata().colorspace == raw.FPDF_COLORSPACE_DEVICECMYK:
        return None
    data = bytes(handle.get_data(decode_simple=True))
    return data if data.startswith(b"\xff\xd8") else None


def render_crop(
    page: pdfium.PdfPage,
    page_box: Rectangle,
    area: Rectangle,
    scale: float = CROP_DPI / _POINTS_PER_INCH,
) -> bytes:
    """Render an area of a page as a PNG of at most `MAX_SIDE_PIXELS` on each side.

    `scale` is in pixels per point.
    """
    area = area.intersection(page_box)
    scale = min(scale, MAX_SIDE_PIXELS / max(area.width, area.height) * 0.999)
    margins = (
        area.left,
        page_box.bottom - area.bottom,
        page_box.right - area.right,
        area.top,
    )
    bitmap = page.render(scale=scale, crop=tuple(max(m, 0.0) for m in margins))
    try:
        buffer = io.BytesIO()
        bitmap.to_pil().save(buffer, "PNG")
    finally:
        bitmap.close()
    return buffer.getvalue()
