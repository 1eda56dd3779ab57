"""Turn the element tree of a page (HTML, or Markdown rendered as HTML) into blocks and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lxml.html import HtmlElement

from data.documents import Document, Problem
from data.errors import BadInput
from data.readers.files import fingerprint, source_of
from data.readers.links import find_picture
from data.readers.page_formulas import unread_formulas
from data.readers.page_pictures import FindPicture, links_of, pictures_of, unread_media
from data.readers.page_walk import PageWalker
from data.readers.structure import Content, assemble, humanise

__all__ = ["HtmlPage", "IllustratedDocument", "document_of", "page_contents", "picture_finder"]


@dataclass(frozen=True)
class HtmlPage:
    """A parsed page and its metadata. `files` are the files that it includes."""

    root: HtmlElement
    title: str = ""
    licence: str = ""
    attribution: str = ""
    language: str = "en"
    problems: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class IllustratedDocument(Document):
    """A document and the picture files that it links, which are not indexed a second time."""

    pictures: frozenset[Path] = frozenset()


def document_of(
    path: Path, root: Path, parse: Callable[[Path, str], HtmlPage]
) -> IllustratedDocument:
    """Return the document of one page. A broken page raises its error when it is read."""
    source = source_of(path, root)
    try:
        page = parse(path, source)
    except BadInput:
        page = None
    find = picture_finder(path.parent, root)
    pictures = _linked_files(page, find) if page else {}
    included = ((source_of(file, root.resolve()), file) for file in page.files) if page else ()
    title = (page.title if page else "") or humanise(path.stem)
    return IllustratedDocument(
        source=source,
        path=path,
        fingerprint=fingerprint(path, [*pictures.items(), *included]),
        title=title,
        read=partial(_read, path, source, title, parse, find),
        licence=page.licence if page else "",
        attribution=page.attribution if page else "",
        language=page.language if page else "en",
        pictures=frozenset(picture for picture in pictures.values() if picture),
    )


def picture_finder(folder: Path, root: Path) -> FindPicture:
    """Return the function that finds the pictures that a page in `folder` links."""
    return partial(_find_picture, folder=folder, root=root)


def _find_picture(href: str, by_name: bool, folder: Path, root: Path) -> Path | bytes:
    return find_picture(href, folder, root, by_name)


def _linked_files(page: HtmlPage, find: FindPicture) -> dict[str, Path | None]:
    """Return the files of a page's pictures by their links; None for a link without a file."""
    files: dict[str, Path | None] = {}
    for image in pictures_of(page.root):
        by_name = image.get("data-by-name") is not None
        for href in links_of(image) if image.tag != "svg" else ():
            if href.startswith("data:"):
                continue  # an inline picture is part of the page itself
            try:
                picture = find(href, by_name)
                files[href] = picture if isinstance(picture, Path) else None
            except BadInput:
                files[href] = None
    return files


def _read(
    path: Path,
    source: str,
    title: str,
    parse: Callable[[Path, str], HtmlPage],
    find: FindPicture,
) -> Iterator[Content]:
    page = parse(path, source)
    contents = list(page_contents(page, title, find))
    if not contents:
        raise BadInput(f"{source}: no text and no figures in this page; nothing to index")
    yield from page.problems
    yield from assemble(contents)


def page_contents(page: HtmlPage, title: str, find: FindPicture) -> Iterator[Content]:
    """Yield the contents of a page as they come, and what cannot be read of it."""
    yield from PageWalker(page.root, title, find).contents_of_page()
    yield from unread_media(page.root)
    if count := unread_formulas(page.root):
        message = f"{count} typeset formulas without their source; save the page before scripts run"
        yield Problem("formulas", message, "formula")
