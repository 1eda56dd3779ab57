"""Walks the element tree of a page (HTML, or Markdown turned into HTML) into blocks and figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from lxml.html import HtmlElement

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.files import find_picture, fingerprint, source_of
from data.readers.page_text import (
    BLOCKS,
    DROPPED,
    HEADINGS,
    is_hidden,
    raw_text,
    squeeze,
    text_of,
)
from data.readers.structure import Part, finish, humanise, is_label, role_of
from data.records import Role

__all__ = ["Page", "PicturedDocument", "document_of"]

_LONELY_FORMULA = re.compile(r"\\\[[^\n]*\\\]")


@dataclass(frozen=True)
class Page:
    """A parsed page; `words` is applied to each text that is read out of it."""

    root: HtmlElement
    title: str = ""
    licence: str = ""
    attribution: str = ""
    language: str = "en"
    problems: tuple[Problem, ...] = ()
    decorative_alts: bool = True  # alt="" marks an ornament (HTML); in Markdown it says nothing
    words: Callable[[str], str] = str


@dataclass(frozen=True)
class PicturedDocument(Document):
    """A document with the picture files that it names: they are not indexed again as bare ones."""

    pictures: frozenset[Path] = frozenset()


def document_of(path: Path, root: Path, parse: Callable[[Path, str], Page]) -> PicturedDocument:
    """The document of one page. What is wrong with the page is raised when it is read."""
    source = source_of(path, root)
    try:
        page = parse(path, source)
    except BadInput:
        page = None
    links: dict[str, Path | None] = {}
    for image in page.root.iter("img") if page else ():
        href = (image.get("src") or "").strip()
        if href.startswith("data:"):
            continue  # its bytes are the page's own
        try:
            found = find_picture(href, path.parent, root)
            links[href] = found if isinstance(found, Path) else None
        except BadInput:
            links[href] = None
    title = (page.title if page else "") or humanise(path.stem)
    return PicturedDocument(
        source=source,
        path=path,
        fingerprint=fingerprint(path, links.items()),
        title=title,
        read=partial(_read, path, root, source, title, parse),
        licence=page.licence if page else "",
        attribution=page.attribution if page else "",
        language=page.language if page else "en",
        pictures=frozenset(p for p in links.values() if p),
    )


def _read(
    path: Path, root: Path, source: str, title: str, parse: Callable[[Path, str], Page]
) -> Iterator[Part]:
    page = parse(path, source)
    walker = _Walker(page, title, partial(find_picture, folder=path.parent, root=root))
    walker.walk()
    if not walker.parts:
        raise BadInput(f"{source}: no text and no figures in this page; nothing to index")
    yield from page.problems
    yield from finish(walker.parts)


@dataclass
class _Walker:
    page: Page
    title: str
    find: Callable[[str], Path | bytes]
    parts: list[Part] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)
    held: list[Part] = field(default_factory=list)  # figures inside a text that is not yet complete
    refs: list[str] = field(default_factory=list)
    boxes: int = 0  # boxes beside the running text that are open

    @property
    def section(self) -> tuple[str, ...]:
        return (self.title, *(text for _, text in self.headings))

    @property
    def role(self) -> Role:
        role = role_of(text for _, text in self.headings)
        return "note" if self.boxes and role == "text" else role

    def walk(self) -> None:
        mains = list(self.page.root.iter("main"))
        self._container(mains[0] if len(mains) == 1 else self.page.root)

    def _container(self, element: HtmlElement) -> None:
        run = [element.text or ""]
        for child in element:
            if _is_block(child):
                self._flush(run, element)
                self._block(child)
            else:
                run.append(self._inline(child))
            run.append(child.tail or "")
        self._flush(run, element)

    def _block(self, element: HtmlElement) -> None:
        tag = element.tag
        if tag in DROPPED or is_hidden(element):
            return
        if tag in HEADINGS:
            self._heading(element, int(tag[1]))
        elif tag in ("ul", "ol"):
            self._list(element)
        elif tag == "dl":
            self._definitions(element)
        elif tag == "table":
            self._table(element)
        elif tag == "figure":
            self._figure(element)
        elif tag == "pre":
            self._say("\n".join(line.rstrip() for line in element.text_content().splitlines()))
        elif tag == "aside":
            self.boxes += 1
            self._container(element)
            self.boxes -= 1
        else:
            self._container(element)

    def _inline(self, element: HtmlElement) -> str:
        """The text of an element in a line; its figures follow when the text is complete."""
        self._gather(element)
        return raw_text(element)

    def _gather(self, element: HtmlElement) -> None:
        self.refs += [
            h[1:] for a in element.iter("a") if (h := a.get("href") or "").startswith("#")
        ]
        for image in element.iter("img"):
            self._image(image)

    def _flush(self, run: list[str], element: HtmlElement) -> None:
        text = squeeze("".join(run))
        run.clear()
        self._say(text, anchor=element.get("id") or "" if element.tag == "p" else "")
        self._release()

    def _release(self) -> None:
        self.parts += self.held
        self.held.clear()

    def _say(self, text: str, role: Role | None = None, title: str = "", anchor: str = "") -> None:
        text, refs = self.page.words(text).strip("\n"), tuple(self.refs)
        self.refs.clear()
        if not text.strip():
            return
        role = role or self.role
        before = self.parts[-1] if self.parts else None
        if isinstance(before, Figure) and not before.caption and is_label(text):
            self.parts[-1] = replace(before, caption=text)  # a caption set as a paragraph
        elif (
            isinstance(before, Block)
            and (before.section, before.role) == (self.section, role)
            and _LONELY_FORMULA.fullmatch(text)
        ):
            # a displayed formula ends the sentence before it, and means nothing without it
            self.parts[-1] = replace(before, text=f"{before.text} {text}")
        else:
            anchor = anchor.replace("#", "")
            self.parts.append(Block(text, self.section, role, title, anchor, refs))

    def _heading(self, element: HtmlElement, level: int) -> None:
        text = self.page.words(text_of(element))
        self._gather(element)
        self.refs.clear()
        if text:
            while self.headings and self.headings[-1][0] >= level:
                self.headings.pop()
            if self.headings or text.casefold() != self.title.casefold():
                self.headings.append((level, text))
        self._release()

    def _list(self, element: HtmlElement) -> None:
        role = self.role
        lines: list[str] = []
        for prefix, item in _items(element):
            lead = _lead(item) if role == "term" else ""
            if next(item.iter("figure", "table", "pre", *HEADINGS), None) is not None:
                self._say("\n".join(lines))
                lines.clear()
                self._container(item)
            elif lead or role in ("exercise", "solution"):
                self._gather(item)
                self._say(text_of(item), role, title=self.page.words(lead))
                self._release()
            else:
                self._gather(item)
                lines += _item_lines(element, prefix, item, 0)
        self._say("\n".join(lines))
        self._release()

    def _definitions(self, element: HtmlElement) -> None:
        names: list[str] = []
        fresh = True
        for part in element.iter("dt", "dd"):
            text = " ".join(text_of(part).split("\n"))
            self._gather(part)
            if part.tag == "dt":
                names = [text] if fresh else [*names, text]
                fresh = False
            elif text:
                fresh = True
                name = self.page.words(", ".join(names))
                self._say(f"{name}: {text}" if name else text, "term", title=name)
            self._release()

    def _table(self, element: HtmlElement) -> None:
        rows = [
            [" ".join(text_of(cell).split("\n")) for cell in row if cell.tag in ("td", "th")]
            for row in element.iter("tr")
        ]
        nested = next(
            (e for e in element.iter("table", "figure", *HEADINGS) if e is not element), None
        )
        if nested is not None or max(map(len, rows), default=0) < 2:
            self._container(element)  # set as a table for its looks only
            return
        caption = next((text_of(c) for c in element.iter("caption")), "")
        self._gather(element)
        lines = [" | ".join(row) for row in rows if any(row)]
        self._say("\n".join([caption, *lines]).strip("\n"), "table", title=self.page.words(caption))
        self._release()

    def _figure(self, element: HtmlElement) -> None:
        images = list(element.iter("img"))
        if not images:
            self._container(element)
            return
        caption = " ".join(text_of(c) for c in element.iter("figcaption"))
        for count, image in enumerate(images):
            self._image(image, caption, (element.get("id") or "") if count == 0 else "")
        rest = squeeze(raw_text(element, frozenset({"figcaption"})))
        self._release()
        self._say(rest)

    def _image(self, image: HtmlElement, caption: str = "", anchor: str = "") -> None:
        alt, href = image.get("alt"), (image.get("src") or "").strip()
        caption = caption or (image.get("title") or "").strip()
        ornament = alt == "" and self.page.decorative_alts and not caption
        if ornament or image.get("role") == "presentation" or image.get("width") in ("0", "1"):
            return
        picture: Path | bytes | None = None
        problems: list[Part] = []
        try:
            picture = self.find(href)
        except BadInput as error:
            problems = [Problem("", str(error))]
        figure = Figure(
            anchor=(anchor or image.get("id") or "").replace("#", ""),
            picture=picture,
            caption=self.page.words(" ".join(caption.split())),
            alt=self.page.words(" ".join((alt or "").split())),
            section=self.section,
        )
        self.held += [figure, *problems]


def _is_block(element: HtmlElement) -> bool:
    if element.tag in DROPPED or element.tag == "math":
        return False
    return next(element.iter(*BLOCKS), None) is not None


def _items(element: HtmlElement) -> Iterator[tuple[str, HtmlElement]]:
    start = element.get("start") or "1"
    number = int(start) if start.isdecimal() else 1
    for count, item in enumerate(element.iterchildren("li")):
        yield ("- " if element.tag == "ul" else f"{number + count}. "), item


def _item_lines(parent: HtmlElement, prefix: str, item: HtmlElement, depth: int) -> list[str]:
    text = " ".join(squeeze(raw_text(item, frozenset({"ul", "ol"}))).split("\n"))
    lines = [f"{'  ' * depth}{prefix}{text}"] if text else []
    for inner in item.iter("ul", "ol"):
        if next(inner.iterancestors("ul", "ol"), None) is parent:
            for inner_prefix, inner_item in _items(inner):
                lines += _item_lines(inner, inner_prefix, inner_item, depth + 1)
    return lines


def _lead(item: HtmlElement) -> str:
    """The bold words that an item starts with: the term that the rest explains."""
    first = next(item.iter("strong", "b", "dfn"), None)
    if first is None:
        return ""
    lead = text_of(first)
    return lead.strip(" :.–—-") if lead and text_of(item).startswith(lead) else ""
