"""Read OpenStax repositories: books as collections of CNXML modules with MathML.

    META-INF/books.xml                  the books, with their order and style
    collections/*.collection.xml        the chapters and sections of a book
    modules/m12345/index.cnxml          one section: a `Document`
    media/*                             the pictures

A module that several books share is read once, as a part of the first book. Only one module is
parsed at a time. A survey of every module (ids, titles, links) stays in memory, because links name
the numbers of elements in other modules.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from lxml import etree

from data.documents import Document
from data.errors import BadInput
from data.readers.cnxml_blocks import read_module
from data.readers.cnxml_figures import locate_picture
from data.readers.cnxml_numbers import (
    NUMBERING_STYLES,
    LinkLabels,
    ModulePlace,
    ModuleSurvey,
    NumberingStyle,
    survey_module,
)
from data.readers.structure import Content
from data.readers.xml import local_name, parse_xml, read_xml_bytes

__all__ = ["CnxmlReader"]

_VERSION = "2"  # part of every fingerprint: raise it when the same bytes yield other blocks
_MODULE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_CC_URL = re.compile(r"creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/(\d\.\d)")
_LICENCE_NAME = re.compile(
    r"Attribution(?P<nc>-NonCommercial)?(?P<sa>-ShareAlike)?(?P<nd>-NoDerivatives)? (?P<v>\d\.\d)"
)


@dataclass(frozen=True)
class _Book:
    title: str
    licence: str
    attribution: str
    language: str
    style: NumberingStyle
    places: tuple[ModulePlace, ...]


class CnxmlReader:
    """Read a whole OpenStax repository; see `data.documents.Reader`."""

    name = "cnxml"

    def claims(self, path: Path) -> bool:
        if not path.is_dir():
            return False
        if (path / "META-INF" / "books.xml").is_file():
            return True
        collections = (path / "collections").glob("*.collection.xml")
        return (path / "modules").is_dir() and any(collections)

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        """Yield a document for each module in reading order, after one for each broken book."""
        books: list[_Book] = []
        books_file = path / "META-INF" / "books.xml"
        entries: list[etree._Element] = []
        try:
            if books_file.is_file():
                entries = list(parse_xml(read_xml_bytes(books_file), str(books_file)))
        except BadInput as error:
            yield _broken_file(books_file, root, error)
        for collection, style in _collections(path, entries):
            try:
                books.append(_read_book(collection, style, path))
            except BadInput as error:
                yield _broken_file(collection, root, error)
        yield from _Repository(path, root, books).documents()


class _Repository:
    """The modules of a repository: surveyed when it is opened, read one by one later.

    `_problems` holds the reason for each module that has no readable file.
    """

    def __init__(self, path: Path, root: Path, books: list[_Book]) -> None:
        self._path = path
        self._surveys: dict[str, ModuleSurvey] = {}
        self._problems: dict[str, str] = {}
        self._labels = LinkLabels()
        self._sources: dict[str, str] = {}
        for place in (place for book in books for place in book.places):
            if place.document not in self._sources:
                self._sources[place.document] = _source(path, root, place.document)
                self._survey(place.document)
        self._books = [(book, _numbered_places(book, self._surveys)) for book in books]
        for book, places in self._books:
            self._labels.add_book(places, self._surveys, book.style)

    def documents(self) -> Iterator[Document]:
        """Yield one document for each module, in reading order."""
        seen: set[str] = set()
        for book, places in self._books:
            for place in places:
                if place.document not in seen:
                    seen.add(place.document)
                    yield self._document(place, book)

    def _folder(self, document: str) -> Path:
        return self._path / "modules" / document

    def _survey(self, document: str) -> None:
        """Survey one module, or note why it has no readable file."""
        file = self._folder(document) / "index.cnxml"
        if not _MODULE_NAME.fullmatch(document):
            self._problems[document] = (
                f"'{document[:80]}' is not a module name; expected one like m12345"
            )
            return
        if not file.resolve().is_relative_to(self._path.resolve()):
            self._problems[document] = (
                "the module is a link that points outside the repository; copy the file into it"
            )
            return
        if not file.is_file():
            self._problems[document] = (
                f"the collection names {document}, but modules/{document}/index.cnxml is missing; "
                "add it or remove it from the collection"
            )
            return
        try:
            data = read_xml_bytes(file)
            self._surveys[document] = survey_module(parse_xml(data, str(file)), data)
        except BadInput:
            pass  # reading the document raises the same error

    def _document(self, place: ModulePlace, book: _Book) -> Document:
        problem = self._problems.get(place.document, "")
        return Document(
            source=self._sources[place.document],
            path=self._folder(place.document) / "index.cnxml",
            fingerprint=self._fingerprint(place, book, problem),
            title=place.headings[-1],
            read=partial(_raise, problem) if problem else partial(self._read, place),
            licence=book.licence,
            attribution=book.attribution,
            language=book.language,
        )

    def _fingerprint(self, place: ModulePlace, book: _Book, problem: str) -> str:
        """Hash all that the items depend on: module, pictures, place in the book, link texts."""
        document, folder = place.document, self._folder(place.document)
        survey, labels = self._surveys.get(document), self._labels
        digest = hashlib.sha256()
        facts: list[object] = [_VERSION, document, place.headings, place.number, problem]
        facts += [book.licence, book.attribution, book.language]
        if survey is not None:
            facts.append(survey.digest)
            facts += [labels.number(document, element.anchor) for element in survey.numbered]
            targets = [(module or document, anchor) for module, anchor in survey.links]
            facts += [(labels.link_text(*t), labels.linked_figure(*t)) for t in targets]
        elif not problem:
            try:
                facts.append(hashlib.sha256(read_xml_bytes(folder / "index.cnxml")).hexdigest())
            except BadInput as error:
                facts.append(str(error))
        digest.update(json.dumps(facts).encode())
        for name in survey.pictures if survey is not None else ():
            picture = locate_picture(name, folder, self._path)
            digest.update(f"\n{name}\n".encode())
            if isinstance(picture, Path):
                with picture.open("rb") as handle:
                    digest.update(hashlib.file_digest(handle, "sha256").digest())
        return digest.hexdigest()

    def _read(self, place: ModulePlace) -> Iterator[Content]:
        folder = self._folder(place.document)
        file = folder / "index.cnxml"
        root = parse_xml(read_xml_bytes(file), str(file))
        yield from read_module(
            root,
            place.document,
            place.headings,
            folder,
            self._path,
            self._labels,
            self._sources,
        )


# -- books -----------------------------------------------------------------------------------------


def _collections(path: Path, entries: list[etree._Element]) -> Iterator[tuple[Path, str]]:
    """Yield the collection files that `books.xml` lists, each with its numbering style.

    If it lists none, yield all files of `collections/` in the order of their names.
    """
    listed: list[tuple[Path, str]] = []
    for entry in entries:
        if isinstance(entry.tag, str) and local_name(entry) == "book":
            collection = (path / "META-INF" / entry.get("href", "")).resolve()
            if collection.is_relative_to(path.resolve()) and collection.is_file():
                listed.append((collection, entry.get("style", "")))
    if not listed:
        listed = [(file, "") for file in sorted((path / "collections").glob("*.collection.xml"))]
    yield from listed


def _read_book(collection: Path, style: str, path: Path) -> _Book:
    root = parse_xml(read_xml_bytes(collection), str(collection))
    metadata = _child(root, "metadata")
    title = _text(_child(metadata, "title")) or collection.name.partition(".")[0]
    content = _child(root, "content")
    if content is None:
        raise BadInput(f"{collection}: no content element; expected an OpenStax collection")
    authors = _authors(root, metadata)
    return _Book(
        title=title,
        licence=_licence(_child(metadata, "license"), path),
        attribution=f"{title}{', by ' + authors if authors else ''}. OpenStax. "
        "Access for free at openstax.org.",
        language=_text(_child(metadata, "language")) or "en",
        style=NUMBERING_STYLES.get(style, NumberingStyle()),
        places=tuple(_module_places(content, (title,))),
    )


def _authors(root: etree._Element, metadata: etree._Element | None) -> str:
    if metadata is None:
        return ""
    names = root.get("authors", "") or ",".join(
        _text(e) for e in metadata if local_name(e) in ("authors", "author") if _text(e)
    )
    return ", ".join(name.strip() for name in names.split(",") if name.strip())


def _child(element: etree._Element | None, name: str) -> etree._Element | None:
    children = () if element is None else element
    return next((e for e in children if local_name(e) == name), None)


def _text(element: etree._Element | None) -> str:
    return " ".join("".join(map(str, element.itertext())).split()) if element is not None else ""


def _licence(element: etree._Element | None, path: Path) -> str:
    """Return name and address, "CC BY 4.0, https://…", of the book or else of LICENSE."""
    url = element.get("url", "").strip() if element is not None else ""
    cc_url = _CC_URL.search(url)
    if cc_url:
        name = "CC0" if cc_url[1] == "publicdomain" else f"CC {cc_url[2].upper()}"
        return f"{name} {cc_url[3]}, {url}"
    if element is not None and (url or _text(element)):
        return ", ".join(text for text in (_text(element), url) if text)
    try:
        with (path / "LICENSE").open(encoding="utf-8", errors="replace") as handle:
            head = handle.read(2_000)
    except OSError:
        return ""
    name_match = _LICENCE_NAME.search(head)
    if name_match is None:
        return ""
    conditions = [condition for condition in ("nc", "nd", "sa") if name_match[condition]]
    code, version = "-".join(["by", *conditions]), name_match["v"]
    return f"CC {code.upper()} {version}, https://creativecommons.org/licenses/{code}/{version}/"


def _module_places(content: etree._Element, book_path: tuple[str, ...]) -> Iterator[ModulePlace]:
    """Yield the place of every module of a book, without the module's own heading and number."""
    chapter_count = 0
    # a stack, so that chapters are counted across units
    pending: list[tuple[etree._Element, tuple[str, ...], str]] = [
        (child, book_path, "") for child in reversed(content)
    ]
    while pending:
        element, headings, chapter = pending.pop()
        if local_name(element) == "module":
            yield ModulePlace(element.get("document", ""), headings, chapter)
        elif local_name(element) == "subcollection":
            title = _text(_child(element, "title"))
            body = _child(element, "content")
            children = list(body) if body is not None else []
            if not chapter and not any(local_name(e) == "subcollection" for e in children):
                chapter_count += 1
                chapter, title = str(chapter_count), f"{chapter_count} {title}".strip()
            path = (*headings, title) if title else headings
            pending += [(child, path, chapter) for child in reversed(children)]


def _numbered_places(book: _Book, surveys: dict[str, ModuleSurvey]) -> list[ModulePlace]:
    """Return the places of a book with each module's own heading and number."""
    places: list[ModulePlace] = []
    section_counts: dict[str, int] = {}
    appendix_count = 0
    for place in book.places:
        survey = surveys.get(place.document)
        number = ""
        if survey is None or not survey.is_introduction:
            if place.chapter:
                section_counts[place.chapter] = section_counts.get(place.chapter, 0) + 1
                number = f"{place.chapter}.{section_counts[place.chapter]}"
            elif survey is not None and "appendix" in survey.classes:
                letter = chr(ord("A") + appendix_count)
                number = letter if appendix_count < 26 else f"A{appendix_count}"
                appendix_count += 1
        title = (survey.title if survey is not None else "") or place.document
        heading = f"{number} {title}".strip()
        places.append(
            ModulePlace(place.document, (*place.headings, heading), place.chapter, number)
        )
    return places


# -- documents -------------------------------------------------------------------------------------


def _source(path: Path, root: Path, document: str) -> str:
    return _relative(path / "modules" / quote(document, safe="") / "index.cnxml", root)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _raise(message: str) -> Iterator[Content]:
    """Raise `BadInput`, so that indexing keeps the items of the module's earlier version."""
    raise BadInput(message)


def _broken_file(file: Path, root: Path, error: BadInput) -> Document:
    """Return a document that raises `error` when read, for a broken collection or book list."""

    def read() -> Iterator[Content]:
        raise error

    try:
        state = hashlib.sha256(read_xml_bytes(file)).hexdigest()
    except BadInput as read_error:
        state = hashlib.sha256(str(read_error).encode()).hexdigest()
    return Document(
        source=_relative(file.resolve(), root.resolve()),
        path=file,
        fingerprint=state,
        title=file.name,
        read=read,
    )
