"""Read Word files: headings, paragraphs, lists, tables, notes, text boxes, charts and pictures."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import docx
from docx.document import Document as WordDocument
from docx.opc.exceptions import OpcError
from docx.oxml.exceptions import InvalidXmlError
from lxml import etree

from data.documents import Document, Problem
from data.errors import BadInput
from data.readers.docx_walker import WordWalker
from data.readers.files import fingerprint, format_of, source_of
from data.readers.office import check_office_file, read_properties
from data.readers.office_package import OfficePackage, open_package
from data.readers.structure import Content, assemble, humanise

__all__ = ["DocxReader"]

_MAIN_PART = "word/document.xml"
_DOCX_ERRORS = (
    OpcError,
    InvalidXmlError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    zipfile.BadZipFile,
)
_XML_ERRORS = (etree.LxmlError, OSError)


class DocxReader:
    """Read `.docx`, `.docm`, `.dotx` and `.dotm` files."""

    name = "docx"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "docx"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        title, author = read_properties(path)
        title = title or humanise(path.stem)
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read, attribution=author)


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    check_office_file(path, source, "Word", _MAIN_PART)
    try:
        package, word = _open(path, source)
        walker = WordWalker(title, word)
        walker.walk()
        walker.contents += [
            Problem(
                "", f"the picture {p.target} is missing from the file; paste it again", "picture"
            )
            for p in package.unmentioned(word.part.partname, word.element.body)
        ]
    except (*_DOCX_ERRORS, *_XML_ERRORS) as error:
        raise BadInput(
            f"{source}: a damaged Word file ({type(error).__name__}: {error}); "
            "open it in Word and save it again"
        ) from None
    if not walker.contents:
        raise BadInput(f"{source}: no text and no pictures in this file; nothing to index")
    yield from assemble(walker.contents)


def _open(path: Path, source: str) -> tuple[OfficePackage, WordDocument]:
    """Return the document; parts beside it that are not well formed are left out."""
    package = open_package(path, source)
    try:
        return package, docx.Document(package.file)
    except etree.XMLSyntaxError:
        package = open_package(path, source, skip_broken=True)
        return package, docx.Document(package.file)
