"""Read PowerPoint files: each slide is a section with texts, tables, pictures and notes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pptx
from lxml import etree
from pptx.exc import PythonPptxError
from pptx.oxml.ns import qn
from pptx.presentation import Presentation

from data.documents import Document, Problem
from data.errors import BadInput
from data.readers.files import fingerprint, format_of, source_of
from data.readers.office import check_office_file, read_properties
from data.readers.office_package import OfficePackage, open_package
from data.readers.pptx_comments import CommentAuthors
from data.readers.pptx_slide import SlideReader
from data.readers.structure import Content, assemble, humanise

__all__ = ["PptxReader"]

_DEFAULT_TITLE = "PowerPoint Presentation"  # the title that PowerPoint and python-pptx write
_PPTX_ERRORS = (
    PythonPptxError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    zipfile.BadZipFile,
)
_XML_ERRORS = (etree.LxmlError, OSError)


class PptxReader:
    """Read `.pptx`, `.pptm`, `.ppsx` and `.potx` files."""

    name = "pptx"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "pptx"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        title, author = read_properties(path)
        title = humanise(path.stem) if title in ("", _DEFAULT_TITLE) else title
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read, attribution=author)


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    check_office_file(path, source, "PowerPoint", "ppt/presentation.xml")
    try:
        package, presentation = _open(path, source)
        contents = [c for slide in _slides(package, presentation, title) for c in slide]
    except (*_PPTX_ERRORS, *_XML_ERRORS) as error:
        raise BadInput(
            f"{source}: a damaged PowerPoint file ({type(error).__name__}: {error}); "
            "open it in PowerPoint and save it again"
        ) from None
    if not contents:
        raise BadInput(f"{source}: no text and no pictures on the slides; nothing to index")
    yield from assemble(contents)


def _open(path: Path, source: str) -> tuple[OfficePackage, Presentation]:
    """Return the presentation; parts that are not well formed are left out."""
    package = open_package(path, source)
    try:
        return package, pptx.Presentation(package.file)
    except etree.XMLSyntaxError:
        package = open_package(path, source, skip_broken=True)
        return package, pptx.Presentation(package.file)


def _slides(
    package: OfficePackage, presentation: Presentation, title: str
) -> Iterator[list[Content]]:
    """Yield the contents of each slide. A slide that cannot be read is a problem."""
    size = (presentation.slide_width or 0, presentation.slide_height or 0)
    authors = CommentAuthors(presentation.part)
    for number, entry in enumerate(presentation.element.iter(qn("p:sldId")), start=1):
        try:
            slide = presentation.part.related_slide(entry.rId)
            contents = SlideReader(title, number, size, authors).read(slide)
        except (BadInput, *_PPTX_ERRORS, *_XML_ERRORS) as error:
            message = f"slide {number} cannot be read ({error}); open it in PowerPoint and save it"
            yield [Problem("", message, page=number)]
            continue
        for picture in package.unmentioned(slide.part.partname, slide._element):
            message = f"slide {number}: the picture {picture.target} is missing; paste it again"
            contents.append(Problem("", message, "picture", number))
        yield contents
