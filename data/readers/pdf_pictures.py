"""Pictures of parts of an open PDF page: the file's own JPEG, or a rendered crop."""

from __future__ import annotations

import io

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from data.readers.pdf_figures import Cluster
from data.readers.pdf_layout import Box
from data.readers.pdf_page import Image, PageContent

__all__ = ["DPI", "MAX_SIDE", "crop", "picture_of"]

DPI = 150
MAX_SIDE = 4000  # pixels of a rendered crop


def picture_of(page: pdfium.PdfPage, content: PageContent, cluster: Cluster) -> bytes:
    """The picture of a figure: the JPEG as it lies in the file where that alone is what one sees,
    else a PNG of that part of the page, at the resolution of its finest picture."""
    images = [part for part in cluster.parts if part.kind == "image"]
    others = [part for part in cluster.parts if part.kind in ("rect", "shape")]
    if len(images) == 1 and not others and images[0].box == cluster.box:
        jpeg = _jpeg(content.images[images[0].index], images[0].box)
        if jpeg:
            return jpeg
    scale = DPI / 72
    for part in images:
        width, height = content.images[part.index].handle.get_px_size()
        scale = max(scale, max(width, height) / max(part.box.width, part.box.height, 1.0))
    # strokes reach half their width beyond the box of their path
    area = cluster.box if len(images) == len(cluster.parts) else cluster.box.grown(1.0)
    return crop(page, content.box, area, scale)


def _jpeg(image: Image, shown: Box) -> bytes | None:
    """The file's own JPEG, None where it is another format or is shown otherwise than stored."""
    handle, matrix = image
    if handle.get_filters(skip_simple=True) != ["DCTDecode"] or raw.FPDFPageObj_HasTransparency(
        handle.raw
    ):
        return None
    upright = matrix.a > 0 and matrix.d > 0 and abs(matrix.b) + abs(matrix.c) < 0.01 * matrix.a
    whole = abs(matrix.a - shown.width) < 2 and abs(matrix.d - shown.height) < 2
    if not upright or not whole or handle.page.get_rotation():
        return None
    if handle.get_metadata().colorspace == raw.FPDF_COLORSPACE_DEVICECMYK:
        return None
    data = bytes(handle.get_data(decode_simple=True))
    return data if data.startswith(b"\xff\xd8") else None


def crop(page: pdfium.PdfPage, whole: Box, part: Box, scale: float = DPI / 72) -> bytes:
    """A PNG of `part` of a page, at most `MAX_SIDE` pixels on a side; `scale` is pixels a point."""
    part = part.cut(whole)
    scale = min(scale, MAX_SIDE / max(part.width, part.height) * 0.999)
    margins = (part.left, whole.bottom - part.bottom, whole.right - part.right, part.top)
    bitmap = page.render(scale=scale, crop=tuple(max(m, 0.0) for m in margins))
    try:
        buffer = io.BytesIO()
        bitmap.to_pil().save(buffer, "PNG")
    finally:
        bitmap.close()
    return buffer.getvalue()
