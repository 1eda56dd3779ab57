"""Turn the element tree of a page (HTML, or Markdown rendered as HTML) into blocks and figures."""

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
from data.readers.structure import Content, assemble, humanise, is_caption, role_of
from data.records import Role

__all__ = ["HtmlPage", "IllustratedDocument", "document_of"]

_FORMULA_ONLY = re.compile(r"\\\[[^\n]*\\\]")


@dataclass(frozen=True)
class HtmlPage:
    """A parsed page and its metadata.

    `clean_text` is applied to every text read from the page. Set `empty_alt_is_decorative` for
    HTML, where `alt=""` marks an ornament. In Markdown, an empty alt text means nothing.
    """

    root: HtmlElement
    title: str = ""
    licence: str = ""
    attribution: str = ""
    language: str = "en"
    problems: tuple[Problem, ...] = ()
    empty_alt_is_decorative: bool = True
    clean_text: Callable[[str], str] = str


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
    pictures: dict[str, Path | None] = {}
    for image in page.root.iter("img") if page else ():
        href = (image.get("src") or "").strip()
        if href.startswith("data:"):
            continue  # an inline picture is part of the page itself
        try:
            picture = find_picture(href, path.parent, root)
            pictures[href] = picture if isinstance(picture, Path) else None
        except BadInput:
            pictures[href] = None
    title = (page.title if page else "") or humanise(path.stem)
    return IllustratedDocument(
        source=source,
        path=path,
        fingerprint=fingerprint(path, pictures.items()),
        title=title,
        read=partial(_read, path, root, source, title, parse),
        licence=page.licence if page else "",
        attribution=page.attribution if page else "",
        language=page.language if page else "en",
        pictures=frozenset(picture for picture in pictures.values() if picture),
    )


def _read(
    path: Path, root: Path, source: str, title: str, parse: Callable[[Path, str], HtmlPage]
) -> Iterator[Content]:
    page = parse(path, source)
    walker = _PageWalker(page, title, partial(find_picture, folder=path.parent, root=root))
    walker.walk()
    if not walker.contents:
        raise BadInput(f"{source}: no text and no figures in this page; nothing to index")
    yield from page.problems
    yield from assemble(walker.contents)


@dataclass
class _PageWalker:
    page: HtmlPage
    title: str
    find_picture: Callable[[str], Path | bytes]
    contents: list[Content] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)  # levels and texts
    pending_figures: list[Content] = field(default_factory=list)  # added after the current text
    refs: list[str] = field(default_factory=list)  # anchors that the current text links
    aside_depth: int = 0  # how many boxes beside the running text are open

    @property
    def section(self) -> tuple[str, ...]:
        return (self.title, *(text for _, text in self.headings))

    @property
    def role(self) -> Role:
        role = role_of(text for _, text in self.headings)
        return "note" if self.aside_depth and role == "text" else role

    def walk(self) -> None:
        mains = list(self.page.root.iter("main"))
        self._walk_container(mains[0] if len(mains) == 1 else self.page.root)

    def _walk_container(self, element: HtmlElement) -> None:
        run = [element.text or ""]
        for child in element:
            if _is_block(child):
                self._flush(run, element)
                self._walk_block(child)
            else:
                run.append(self._read_inline(child))
            run.append(child.tail or "")
        self._flush(run, element)

    def _walk_block(self, element: HtmlElement) -> None:
        tag = element.tag
        if tag in DROPPED or is_hidden(element):
            return
        if tag in HEADINGS:
            self._add_heading(element, int(tag[1]))
        elif tag in ("ul", "ol"):
            self._add_list(element)
        elif tag == "dl":
            self._add_definitions(element)
        elif tag == "table":
            self._add_table(element)
        elif tag == "figure":
            self._add_figure(element)
        elif tag == "pre":
            self._add_text("\n".join(line.rstrip() for line in element.text_content().splitlines()))
        elif tag == "aside":
            self.aside_depth += 1
            self._walk_container(element)
            self.aside_depth -= 1
        else:
            self._walk_container(element)

    def _read_inline(self, element: HtmlElement) -> str:
        """Return the text of an inline element; its figures follow the complete text."""
        self._collect_links_and_pictures(element)
        return raw_text(element)

    def _collect_links_and_pictures(self, element: HtmlElement) -> None:
        self.refs += [
            h[1:] for a in element.iter("a") if (h := a.get("href") or "").startswith("#")
        ]
        for image in element.iter("img"):
            self._add_picture(image)

    def _flush(self, run: list[str], element: HtmlElement) -> None:
        """Turn the inline texts gathered in `run` into a block, and empty `run`."""
        text = squeeze("".join(run))
        run.clear()
        self._add_text(text, anchor=element.get("id") or "" if element.tag == "p" else "")
        self._add_pending_figures()

    def _add_pending_figures(self) -> None:
        self.contents += self.pending_figures
        self.pending_figures.clear()

    def _add_text(
        self, text: str, role: Role | None = None, title: str = "", anchor: str = ""
    ) -> None:
        text, refs = self.page.clean_text(text).strip("\n"), tuple(self.refs)
        self.refs.clear()
        if not text.strip():
            return
        role = role or self.role
        previous = self.contents[-1] if self.contents else None
        if isinstance(previous, Figure) and not previous.caption and is_caption(text):
            self.contents[-1] = replace(previous, caption=text)  # this paragraph is the caption
        elif (
            isinstance(previous, Block)
            and (previous.section, previous.role) == (self.section, role)
            and _FORMULA_ONLY.fullmatch(text)
        ):
            # a displayed formula belongs to the sentence before it
            self.contents[-1] = replace(previous, text=f"{previous.text} {text}")
        else:
            anchor = anchor.replace("#", "")
            self.contents.append(Block(text, self.section, role, title, anchor, refs))

    def _add_heading(self, element: HtmlElement, level: int) -> None:
        text = self.page.clean_text(text_of(element))
        self._collect_links_and_pictures(element)
        self.refs.clear()
        if text:
            while self.headings and self.headings[-1][0] >= level:
                self.headings.pop()
            if self.headings or text.casefold() != self.title.casefold():
                self.headings.append((level, text))
        self._add_pending_figures()

    def _add_list(self, element: HtmlElement) -> None:
        role = self.role
        lines: list[str] = []
        for prefix, item in _items(element):
            term = _leading_term(item) if role == "term" else ""
            if next(item.iter("figure", "table", "pre", *HEADINGS), None) is not None:
                self._add_text("\n".join(lines))
                lines.clear()
                self._walk_container(item)
            elif term or role in ("exercise", "solution"):
                self._collect_links_and_pictures(item)
                self._add_text(text_of(item), role, title=self.page.clean_text(term))
                self._add_pending_figures()
            else:
                self._collect_links_and_pictures(item)
                lines += _item_lines(element, prefix, item, 0)
        self._add_text("\n".join(lines))
        self._add_pending_figures()

    def _add_definitions(self, element: HtmlElement) -> None:
        terms: list[str] = []
        starts_entry = True  # whether the next <dt> begins a new entry
        for child in element.iter("dt", "dd"):
            text = " ".join(text_of(child).split("\n"))
            self._collect_links_and_pictures(child)
            if child.tag == "dt":
                terms = [text] if starts_entry else [*terms, text]
                starts_entry = False
            elif text:
                starts_entry = True
                term = self.page.clean_text(", ".join(terms))
                self._add_text(f"{term}: {text}" if term else text, "term", title=term)
            self._add_pending_figures()

    def _add_table(self, element: HtmlElement) -> None:
        rows = [
            [" ".join(text_of(cell).split("\n")) for cell in row if cell.tag in ("td", "th")]
            for row in element.iter("tr")
        ]
        nested = next(
            (e for e in element.iter("table", "figure", *HEADINGS) if e is not element), None
        )
        if nested is not None or max(map(len, rows), default=0) < 2:
            self._walk_container(element)  # a table used for layout
            return
        caption = next((text_of(c) for c in element.iter("caption")), "")
        self._collect_links_and_pictures(element)
        lines = [" | ".join(row) for row in rows if any(row)]
        text = "\n".join([caption, *lines]).strip("\n")
        self._add_text(text, "table", title=self.page.clean_text(caption))
        self._add_pending_figures()

    def _add_figure(self, element: HtmlElement) -> None:
        images = list(element.iter("img"))
        if not images:
            self._walk_container(element)
            return
        caption = " ".join(text_of(c) for c in element.iter("figcaption"))
        for count, image in enumerate(images):
            self._add_picture(image, caption, (element.get("id") or "") if count == 0 else "")
        other_text = squeeze(raw_text(element, frozenset({"figcaption"})))
        self._add_pending_figures()
        self._add_text(other_text)

    def _add_picture(self, image: HtmlElement, caption: str = "", anchor: str = "") -> None:
        alt, href = image.get("alt"), (image.get("src") or "").strip()
        caption = caption or (image.get("title") or "").strip()
        is_ornament = alt == "" and self.page.empty_alt_is_decorative and not caption
        if is_ornament or image.get("role") == "presentation" or image.get("width") in ("0", "1"):
            return
        picture: Path | bytes | None = None
        problems: list[Content] = []
        try:
            picture = self.find_picture(href)
        except BadInput as error:
            problems = [Problem("", str(error))]
        figure = Figure(
            anchor=(anchor or image.get("id") or "").replace("#", ""),
            picture=picture,
            caption=self.page.clean_text(" ".join(caption.split())),
            alt=self.page.clean_text(" ".join((alt or "").split())),
            section=self.section,
        )
        self.pending_figures += [figure, *problems]


def _is_block(element: HtmlElement) -> bool:
    """Return whether an element is, or contains, a block-level element."""
    if element.tag in DROPPED or element.tag == "math":
        return False
    return next(element.iter(*BLOCKS), None) is not None


def _items(element: HtmlElement) -> Iterator[tuple[str, HtmlElement]]:
    """Yield the items of a list, each with its bullet or number."""
    start = element.get("start") or "1"
    first_number = int(start) if start.isdecimal() else 1
    for count, item in enumerate(element.iterchildren("li")):
        yield ("- " if element.tag == "ul" else f"{first_number + count}. "), item


def _item_lines(parent: HtmlElement, prefix: str, item: HtmlElement, depth: int) -> list[str]:
    """Return an item and the items of its nested lists, one per line, indented by depth."""
    text = " ".join(squeeze(raw_text(item, frozenset({"ul", "ol"}))).split("\n"))
    lines = [f"{'  ' * depth}{prefix}{text}"] if text else []
    for nested_list in item.iter("ul", "ol"):
        if next(nested_list.iterancestors("ul", "ol"), None) is parent:
            for nested_prefix, nested_item in _items(nested_list):
                lines += _item_lines(nested_list, nested_prefix, nested_item, depth + 1)
    return lines


def _leading_term(item: HtmlElement) -> str:
    """Return the bold words at the start of an item, which are the term that it explains."""
    bold = next(item.iter("strong", "b", "dfn"), None)
    if bold is None:
        return ""
    term = text_of(bold)
    return term.strip(" :.–—-") if term and text_of(item).startswith(term) else ""
