"""Read EPUB books: their pages in the order of the package document, each as HTML.

An EPUB is a zip of web pages and a package document that lists them. The one library for it that is
kept well, EbookLib, is under the AGPL and opens archives without limits. The format needs little
beyond the readers for zip, XML and HTML that are here anyway.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from lxml import etree

from data.documents import Document, Figure, Problem
from data.errors import BadInput
from data.readers.archive import ARCHIVE_ERRORS, UnpackedArchive, open_zip
from data.readers.files import fingerprint, format_of, source_of
from data.readers.html import parse_page
from data.readers.page import page_contents, picture_finder
from data.readers.structure import Content, assemble, humanise
from data.readers.xml import MAX_XML_BYTES, local_name, parse_xml

__all__ = ["EpubReader"]

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGE_TYPES = ("application/xhtml+xml", "text/html")


@dataclass(frozen=True)
class _Package:
    """What the package document says: metadata, and the paths of the pages in reading order."""

    title: str = ""
    creators: str = ""
    rights: str = ""
    language: str = "en"
    pages: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class EpubReader:
    """Read `.epub` files, version 2 and 3, without copy protection."""

    name = "epub"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "epub"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        try:
            package = _read_package(path, source)
        except BadInput:
            package = _Package()  # `read` raises the error
        title = package.title or humanise(path.stem)
        yield Document(
            source=source,
            path=path,
            fingerprint=fingerprint(path),
            title=title,
            read=partial(_read, path, source, title),
            licence=package.rights,
            attribution=package.creators,
            language=package.language,
        )


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    package = _read_package(path, source)
    unpacked = UnpackedArchive(path, source)
    contents: list[Content] = list(package.problems)
    for page in package.pages:
        try:
            contents += _page_contents(unpacked.root, page, title)
        except BadInput as error:
            contents.append(Problem(page, str(error), "text"))
    if all(isinstance(content, Problem) for content in contents):
        raise BadInput(f"{source}: no text and no figures in this book; nothing to index")
    yield from assemble(contents)


def _page_contents(root: Path, name: str, title: str) -> Iterator[Content]:
    path = root / name
    page = parse_page(path, name)
    for content in page_contents(page, title, picture_finder(path.parent, root)):
        if isinstance(content, Figure) and isinstance(content.picture, Path):
            # the folder of the unpacked book is temporary
            yield replace(content, picture=content.picture.read_bytes())
        else:
            yield content


# -- the package document --------------------------------------------------------------------------


def _read_package(path: Path, source: str) -> _Package:
    with open_zip(path, source) as archive:
        members = {info.filename: info.file_size for info in archive.infolist()}

        def parse(member: str) -> etree._Element:
            label = f"{source}: {member}"
            if member not in members:
                raise BadInput(f"{label} is missing; export the book again")
            if members[member] > MAX_XML_BYTES:
                raise BadInput(f"{label} has more than {MAX_XML_BYTES:,} bytes; split the book")
            try:
                return parse_xml(archive.read(member), label)
            except ARCHIVE_ERRORS as error:
                raise BadInput(f"{label} cannot be unpacked ({error}); export it again") from None

        files = _attributes(parse(_CONTAINER), "rootfile", "full-path")
        if not files:
            raise BadInput(f"{source}: names no package document; export the book again")
        package = _package(parse(files[0]), posixpath.dirname(files[0]), set(members))
        locked = (
            _attributes(parse(_ENCRYPTION), "CipherReference", "URI")
            if (_ENCRYPTION in members)
            else []
        )
    if not set(locked).isdisjoint(package.pages):
        raise BadInput(f"{source}: the book is copy-protected; index an unprotected copy")
    return package


def _attributes(root: etree._Element, name: str, attribute: str) -> list[str]:
    elements = (e for e in root.iter(etree.Element) if local_name(e) == name)
    return [unquote(value) for e in elements if (value := e.get(attribute))]


def _package(root: etree._Element, folder: str, members: set[str]) -> _Package:
    texts: dict[str, list[str]] = {}
    items: dict[str, etree._Element] = {}
    order: list[str] = []
    for element in root.iter(etree.Element):
        name = local_name(element)
        if name == "item":
            items[element.get("id", "")] = element
        elif name == "itemref":
            order.append(element.get("idref", ""))
        elif element.text and element.text.strip():
            texts.setdefault(name, []).append(" ".join(element.text.split()))
    pages: list[str] = []
    problems: list[Problem] = []
    for identifier in order:
        item = items.get(identifier)
        if item is None or "nav" in item.get("properties", "").split():
            continue
        page = posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        if page not in members:
            problems.append(Problem(page, f"{page}: this page is missing in the book", "text"))
        elif item.get("media-type") in _PAGE_TYPES:
            pages.append(page)
        else:
            problems.append(Problem(page, f"{page}: not a page of text; it is not read", "part"))
    return _Package(
        title=next(iter(texts.get("title", ())), ""),
        creators=", ".join(texts.get("creator", ())),
        rights=next(iter(texts.get("rights", ())), ""),
        language=next(iter(texts.get("language", ())), "en").split("-")[0].lower(),
        pages=tuple(pages),
        problems=tuple(problems),
    )
