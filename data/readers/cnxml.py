"""OpenStax repositories: books as collections of CNXML modules with MathML.

    META-INF/books.xml                  which books, in which order and style
    collections/*.collection.xml        chapters and sections of a book
    modules/m12345/index.cnxml          one section: a `Document`
    media/*                             the pictures

A module that several books share is read once, under the first of them. Only one module is parsed
at a time; what stays is its survey (ids, titles, links), since links need the numbers of the rest.
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

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.cnxml_blocks import module_blocks
from data.readers.cnxml_figures import locate
from data.readers.cnxml_numbers import STYLES, Labels, Place, Style, Survey, local_name, survey
from data.readers.xml import parse_xml, read_xml_bytes

__all__ = ["CnxmlReader"]

_VERSION = "1"  # in every fingerprint: raise it where the same bytes give other blocks
_MODULE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_CC = re.compile(r"creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/(\d\.\d)")
_LICENCE_TEXT = re.compile(
    r"Attribution(?P<nc>-NonCommercial)?(?P<sa>-ShareAlike)?(?P<nd>-NoDerivatives)? (?P<v>\d\.\d)"
)


@dataclass(frozen=True)
class _Book:
    title: str
    licence: str
    attribution: str
    language: str
    style: Style
    places: tuple[Place, ...]


class CnxmlReader:
    """Reads a whole OpenStax repository; see `data.documents.Reader`."""

    name = "cnxml"

    def claims(self, path: Path) -> bool:
        if not path.is_dir():
            return False
        if (path / "META-INF" / "books.xml").is_file():
            return True
        collections = (path / "collections").glob("*.collection.xml")
        return (path / "modules").is_dir() and any(collections)

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        """One document for each module, in reading order, and one for each broken file of books."""
        books: list[_Book] = []
        index = path / "META-INF" / "books.xml"
        try:
            entries = list(parse_xml(read_xml_bytes(index), str(index))) if index.is_file() else []
        except BadInput as error:
            entries = []
            yield _broken(index, root, error)
        for collection, style in _collections(path, entries):
            try:
                books.append(_book(collection, style, path))
            except BadInput as error:
                yield _broken(collection, root, error)
        surveys: dict[str, Survey] = {}
        unread: dict[str, str] = {}
        labels = Labels()
        sources: dict[str, str] = {}
        for book in books:
            for place in book.places:
                document = place.document
                if document in sources:
                    continue
                sources[document] = _source(path, root, document)
                _look(path, document, surveys, unread)
        numbered = [(book, _titled(book, surveys)) for book in books]
        for book, places in numbered:
            labels.add_book(places, surveys, book.style)
        done: set[str] = set()
        for book, places in numbered:
            for place in places:
                if place.document in done:
                    continue
                done.add(place.document)
                yield _document(
                    path,
                    place,
                    book,
                    surveys.get(place.document),
                    unread.get(place.document, ""),
                    labels,
                    sources,
                )


# -- books -----------------------------------------------------------------------------------------


def _collections(path: Path, entries: list[etree._Element]) -> Iterator[tuple[Path, str]]:
    """The collection files in the order of the entries of `books.xml`, each with its style.

    All of `collections/` in order of name where it is missing, broken or names none.
    """
    found: list[tuple[Path, str]] = []
    for entry in entries:
        if isinstance(entry.tag, str) and local_name(entry) == "book":
            collection = (path / "META-INF" / entry.get("href", "")).resolve()
            if collection.is_relative_to(path.resolve()) and collection.is_file():
                found.append((collection, entry.get("style", "")))
    if not found:
        found = [(each, "") for each in sorted((path / "collections").glob("*.collection.xml"))]
    yield from found


def _book(collection: Path, style: str, path: Path) -> _Book:
    root = parse_xml(read_xml_bytes(collection), str(collection))
    metadata = _child(root, "metadata")
    title = _text(_child(metadata, "title")) or collection.name.partition(".")[0]
    content = _child(root, "content")
    if content is None:
        raise BadInput(f"{collection}: no content element; expected an OpenStax collection")
    listed = (
        root.get("authors", "")
        or ",".join(
            _text(e) for e in metadata if local_name(e) in ("authors", "author") if _text(e)
        )
        if metadata is not None
        else ""
    )
    authors = ", ".join(author.strip() for author in listed.split(",") if author.strip())
    return _Book(
        title=title,
        licence=_licence(_child(metadata, "license"), path),
        attribution=f"{title}{', by ' + authors if authors else ''}. OpenStax. "
        "Access for free at openstax.org.",
        language=_text(_child(metadata, "language")) or "en",
        style=STYLES.get(style, Style()),
        places=tuple(_places(content, (title,))),
    )


def _child(element: etree._Element | None, name: str) -> etree._Element | None:
    children = () if element is None else element
    return next((e for e in children if local_name(e) == name), None)


def _text(element: etree._Element | None) -> str:
    return " ".join("".join(map(str, element.itertext())).split()) if element is not None else ""


def _licence(element: etree._Element | None, path: Path) -> str:
    """Name and address: "CC BY 4.0, https://…"; from LICENSE where the collection has none."""
    url = element.get("url", "").strip() if element is not None else ""
    known = _CC.search(url)
    if known:
        kind = "CC0" if known[1] == "publicdomain" else f"CC {known[2].upper()}"
        return f"{kind} {known[3]}, {url}"
    if element is not None and (url or _text(element)):
        return ", ".join(part for part in (_text(element), url) if part)
    try:
        with (path / "LICENSE").open(encoding="utf-8", errors="replace") as handle:
            head = handle.read(2_000)
    except OSError:
        return ""
    stated = _LICENCE_TEXT.search(head)
    if stated is None:
        return ""
    parts = [name for name in ("nc", "nd", "sa") if stated[name]]
    code = "-".join(["by", *parts])
    return f"CC {code.upper()} {stated['v']}, https://creativecommons.org/licenses/{code}/{stated['v']}/"


def _places(content: etree._Element, above: tuple[str, ...]) -> Iterator[Place]:
    """Every module of a book; sections and appendices get their numbers in `_titled`."""
    chapter = 0
    # a stack, so that the chapters are counted through the units
    pending: list[tuple[etree._Element, tuple[str, ...], str]] = [
        (child, above, "") for child in reversed(content)
    ]
    while pending:
        element, headings, inside = pending.pop()
        if local_name(element) == "module":
            yield Place(element.get("document", ""), headings, inside)
        elif local_name(element) == "subcollection":
            title = _text(_child(element, "title"))
            body = _child(element, "content")
            children = list(body) if body is not None else []
            if not inside and not any(local_name(e) == "subcollection" for e in children):
                chapter += 1
                inside, title = str(chapter), f"{chapter} {title}".strip()
            path = (*headings, title) if title else headings
            pending += [(child, path, inside) for child in reversed(children)]


def _titled(book: _Book, surveys: dict[str, Survey]) -> list[Place]:
    """The places with each module's own heading and number, which the modules decide."""
    places: list[Place] = []
    sections: dict[str, int] = {}
    appendices = 0
    for place in book.places:
        found = surveys.get(place.document)
        number = ""
        if found is None or not found.is_introduction:
            if place.chapter:
                sections[place.chapter] = sections.get(place.chapter, 0) + 1
                number = f"{place.chapter}.{sections[place.chapter]}"
            elif found is not None and "appendix" in found.classes:
                number = chr(ord("A") + appendices) if appendices < 26 else f"A{appendices}"
                appendices += 1
        title = (found.title if found is not None else "") or place.document
        heading = f"{number} {title}".strip()
        places.append(Place(place.document, (*place.headings, heading), place.chapter, number))
    return places


# -- modules ---------------------------------------------------------------------------------------


def _folder(path: Path, document: str) -> Path:
    return path / "modules" / document


def _source(path: Path, root: Path, document: str) -> str:
    return _below(root, _folder(path, quote(document, safe="")) / "index.cnxml")


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _look(path: Path, document: str, surveys: dict[str, Survey], unread: dict[str, str]) -> None:
    """Survey one module, or note why it cannot be: absent, or with a name that is refused."""
    file = _folder(path, document) / "index.cnxml"
    if not _MODULE.fullmatch(document):
        unread[document] = f"'{document[:80]}' is no name of a module; expected one like m12345"
        return
    if not file.resolve().is_relative_to(path.resolve()):
        unread[document] = "the module leads out of the repository and is refused"
        return
    if not file.is_file():
        unread[document] = (
            f"the collection names {document}, but modules/{document}/index.cnxml is missing; "
            "add it or take it out of the collection"
        )
        return
    try:
        data = read_xml_bytes(file)
        surveys[document] = survey(parse_xml(data, str(file)), data)
    except BadInput:
        pass  # `read` raises it again, as the error of this document


def _document(
    path: Path,
    place: Place,
    book: _Book,
    found: Survey | None,
    missing: str,
    labels: Labels,
    sources: dict[str, str],
) -> Document:
    folder = _folder(path, place.document)
    read = (
        partial(_absent, missing)
        if missing
        else partial(_read, path, folder, place, labels, sources)
    )
    return Document(
        source=sources[place.document],
        path=folder / "index.cnxml",
        fingerprint=_fingerprint(path, folder, place, book, found, missing, labels),
        title=place.headings[-1],
        read=read,
        licence=book.licence,
        attribution=book.attribution,
        language=book.language,
    )


def _fingerprint(
    path: Path,
    folder: Path,
    place: Place,
    book: _Book,
    found: Survey | None,
    missing: str,
    labels: Labels,
) -> str:
    """Over all that the items depend on: module, pictures, place in the book, words of links."""
    document = place.document
    digest = hashlib.sha256()
    facts: list[object] = [_VERSION, document, place.headings, place.number, missing]
    facts += [book.licence, book.attribution, book.language]
    if found is not None:
        facts.append(found.digest)
        facts += [labels.number(document, mark.anchor) for mark in found.marks]
        facts += [
            (labels.text(other or document, anchor), labels.figure(other or document, anchor))
            for other, anchor in found.links
        ]
    elif not missing:
        try:
            facts.append(hashlib.sha256(read_xml_bytes(folder / "index.cnxml")).hexdigest())
        except BadInput as error:
            facts.append(str(error))
    digest.update(json.dumps(facts).encode())
    for name in found.pictures if found is not None else ():
        file = locate(name, folder, path)
        digest.update(f"\n{name}\n".encode())
        if isinstance(file, Path):
            with file.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def _read(
    path: Path, folder: Path, place: Place, labels: Labels, sources: dict[str, str]
) -> Iterator[Block | Figure | Problem]:
    file = folder / "index.cnxml"
    root = parse_xml(read_xml_bytes(file), str(file))
    yield from module_blocks(root, place.document, place.headings, folder, path, labels, sources)


def _absent(message: str) -> Iterator[Block | Figure | Problem]:
    """An error, not an empty module: what an earlier run stored of it must stay."""
    raise BadInput(message)


def _broken(collection: Path, root: Path, error: BadInput) -> Document:
    """A collection or list of books that cannot be read, as a document whose reading says so."""

    def read() -> Iterator[Block | Figure | Problem]:
        raise error

    try:
        state = hashlib.sha256(read_xml_bytes(collection)).hexdigest()
    except BadInput as unreadable:
        state = hashlib.sha256(str(unreadable).encode()).hexdigest()
    return Document(
        source=_below(root.resolve(), collection.resolve()),
        path=collection,
        fingerprint=state,
        title=collection.name,
        read=read,
    )
