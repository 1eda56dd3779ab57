"""Walk through the elements of a page in reading order and yield its blocks and figures."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from lxml.html import HtmlElement

from data.documents import Block, Figure
from data.readers.page_formulas import is_formula
from data.readers.page_lists import definition_entries, item_lines, leading_term, list_items
from data.readers.page_pictures import FindPicture, pictures_of, read_picture
from data.readers.page_tables import captions_below, is_layout, table_of
from data.readers.page_text import (
    BLOCKS,
    DROPPED,
    HEADINGS,
    code_of,
    is_hidden,
    raw_text,
    squeeze,
    text_of,
)
from data.readers.structure import Content, is_caption, role_of
from data.records import Role
from data.tables import markdown_table

__all__ = ["PageWalker"]

_FORMULA_ONLY = re.compile(r"\\\[[^\n]*\\\]")
_LISTS = ("ul", "ol", "menu")
_PARTS_OF_ITEMS = ("figure", "table", "pre", "dl", *HEADINGS)


@dataclass
class _Caption:
    """The caption of a `figure` element. `is_used` is set with its first picture or table."""

    text: str
    anchor: str = ""
    is_used: bool = False


@dataclass
class PageWalker:
    """Reads one page. `find` returns the picture that a link names."""

    root: HtmlElement
    title: str
    find: FindPicture
    contents: list[Content] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)  # levels and texts
    pending_figures: list[Content] = field(default_factory=list)  # added after the current text
    refs: list[str] = field(default_factory=list)  # anchors that the current text links
    aside_depth: int = 0  # how many boxes beside the running text are open
    caption: _Caption | None = None  # of the figure element around the current one
    prefix: str = ""  # the number of a list item, for its first text
    open_heading: str = ""  # the last heading, as long as nothing stands below it

    @property
    def section(self) -> tuple[str, ...]:
        """The headings above the current text, the page's title first."""
        return (self.title, *(text for _, text in self.headings))

    @property
    def role(self) -> Role:
        """The role of the current text."""
        role = role_of(text for _, text in self.headings)
        return "note" if self.aside_depth and role == "text" else role

    def contents_of_page(self) -> list[Content]:
        """Return the blocks, figures and problems of the page."""
        mains = list(self.root.iter("main"))
        self._walk_container(mains[0] if len(mains) == 1 else self.root)
        self._keep_open_heading()
        return self.contents

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
        elif tag in _LISTS:
            self._add_list(element)
        elif tag == "dl":
            self._add_definitions(element)
        elif tag == "table":
            self._add_table(element)
        elif tag == "figure":
            self._add_figure(element)
        elif tag == "pre":
            self._collect_links_and_pictures(element)
            self._add_text(code_of(element))
            self._add_pending_figures()
        elif tag == "aside" or "admonition" in (element.get("class") or "").split():
            self.aside_depth += 1
            self._walk_container(element)
            self.aside_depth -= 1
        elif tag == "figcaption" and self.caption is not None:
            self._collect_links_and_pictures(element)
        elif not self._is_caption_below(element):
            self._walk_container(element)

    def _is_caption_below(self, element: HtmlElement) -> bool:
        """Make an element that is marked as a caption that of the figure before it."""
        figure = self.contents[-1] if self.contents else None
        is_marked = "caption" in (element.get("class") or "").lower()
        if not is_marked or not isinstance(figure, Figure) or figure.caption:
            return False
        text = " ".join(text_of(element).split())
        if text:
            self.contents[-1] = replace(figure, caption=text)
        return bool(text)

    def _read_inline(self, element: HtmlElement) -> str:
        """Return the text of an inline element; its figures follow the complete text."""
        self._collect_links_and_pictures(element)
        return raw_text(element)

    def _collect_links_and_pictures(self, element: HtmlElement) -> None:
        self.refs += [
            h[1:] for a in element.iter("a") if (h := a.get("href") or "").startswith("#")
        ]
        for image in pictures_of(element):
            self._add_picture(image)

    def _flush(self, run: list[str], element: HtmlElement) -> None:
        """Turn the inline texts gathered in `run` into a block, and empty `run`."""
        text = squeeze("".join(run))
        run.clear()
        self._add_text(text, anchor=element.get("id") or "" if element.tag == "p" else "")
        self._add_pending_figures()

    def _add_pending_figures(self) -> None:
        if self.pending_figures:
            self.open_heading = ""
        self.contents += self.pending_figures
        self.pending_figures.clear()

    def _add_text(
        self, text: str, role: Role | None = None, title: str = "", anchor: str = ""
    ) -> None:
        text, refs = text.strip("\n"), tuple(self.refs)
        self.refs.clear()
        if not text.strip():
            return
        text, self.prefix, self.open_heading = self.prefix + text, "", ""
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

    # -- headings ----------------------------------------------------------------------------------

    def _add_heading(self, element: HtmlElement, level: int) -> None:
        text = " ".join(text_of(element).split())
        self._collect_links_and_pictures(element)
        self.refs.clear()
        if text:
            if not (self.headings and self.headings[-1][0] < level):
                self._keep_open_heading()
            while self.headings and self.headings[-1][0] >= level:
                self.headings.pop()
            if self.headings or text.casefold() != self.title.casefold():
                self.headings.append((level, text))
                self.open_heading = text
        self._add_pending_figures()

    def _keep_open_heading(self) -> None:
        """Keep a heading with nothing below it as text: else its words would be lost."""
        if self.open_heading and self.headings:
            text = self.open_heading
            self.headings.pop()
            self._add_text(text)
        self.open_heading = ""

    # -- lists -------------------------------------------------------------------------------------

    def _add_list(self, element: HtmlElement) -> None:
        role = self.role
        lines: list[str] = []
        for prefix, item in list_items(element):
            term = leading_term(item) if role == "term" else ""
            if next(item.iter(*_PARTS_OF_ITEMS), None) is not None:
                self._add_text("\n".join(lines))
                lines.clear()
                self.prefix = prefix
                self._walk_container(item)
                self.prefix = ""
            elif term or role in ("exercise", "solution"):
                self._collect_links_and_pictures(item)
                self._add_text(text_of(item), role, title=term)
                self._add_pending_figures()
            else:
                self._collect_links_and_pictures(item)
                lines += item_lines(element, prefix, item, 0)
        self._add_text("\n".join(lines))
        self._add_pending_figures()

    def _add_definitions(self, element: HtmlElement) -> None:
        for terms, descriptions in definition_entries(element):
            for part in (*terms, *descriptions):
                if next(part.iter(*_PARTS_OF_ITEMS), None) is None:
                    self._collect_links_and_pictures(part)
            term = ", ".join(filter(None, (" ".join(text_of(t).split()) for t in terms)))
            plain = [d for d in descriptions if next(d.iter(*_PARTS_OF_ITEMS), None) is None]
            lead = descriptions[: len(plain)] == plain or not descriptions
            meanings = [" ".join(text_of(d).split()) for d in (plain if lead else [])]
            text = "\n".join(filter(None, meanings))
            if text and term:
                self._add_text(f"{term}: {text}", "term", title=term)
            else:
                self._add_text(text or (f"{term}:" if descriptions else term))
            for description in descriptions[len(plain) :] if lead else descriptions:
                self._walk_container(description)
            self._add_pending_figures()

    # -- tables and figures ------------------------------------------------------------------------

    def _add_table(self, element: HtmlElement) -> None:
        if is_layout(element):
            self._add_layout(element)
            return
        caption = self._take_caption() if element.find("caption") is None else ""
        table = table_of(element, caption)
        self._collect_links_and_pictures(element)
        if table.rows:
            self._add_text(markdown_table(table), "table", title=table.caption)
        else:
            self._add_text(table.caption)
        self._add_pending_figures()

    def _add_layout(self, element: HtmlElement) -> None:
        """Read a table that only arranges the page: cell by cell, pictures with words below."""
        pairs = captions_below(element)
        if not pairs:
            self._walk_container(element)
            return
        paired = {cell for pair in pairs for cell in pair}
        words = dict(pairs)
        for cell in element.iter("td", "th"):
            if cell in words:
                self.caption = _Caption(" ".join(text_of(words[cell]).split()))
                self._collect_links_and_pictures(cell)
                self._add_pending_figures()
                self.caption = None
            elif cell not in paired and not any(outer in paired for outer in cell.iterancestors()):
                self._walk_container(cell)

    def _take_caption(self) -> str:
        if self.caption is None:
            return ""
        self.caption.is_used = True
        return self.caption.text

    def _add_figure(self, element: HtmlElement) -> None:
        outer = self.caption
        own = [c for c in element.iter("figcaption") if next(c.iterancestors("figure")) is element]
        text = " ".join(" ".join(text_of(caption).split()) for caption in own)
        whole = " ".join(filter(None, [outer.text if outer else "", text]))
        outer_anchor = outer.anchor if outer and not outer.is_used else ""
        self.caption = _Caption(whole, element.get("id") or outer_anchor)
        self._walk_container(element)
        is_used, self.caption = self.caption.is_used, outer
        if outer is not None:
            outer.is_used = outer.is_used or is_used
        if not is_used:
            self._add_text(text)

    def _add_picture(self, image: HtmlElement) -> None:
        caption = self.caption.text if self.caption else ""
        caption = caption or " ".join((image.get("title") or "").split())
        picture = read_picture(image, caption, self.find)
        if picture is None:
            return
        anchor = image.get("id") or ""
        if self.caption is not None:
            is_first = not self.caption.is_used
            anchor = (self.caption.anchor if is_first else "") or anchor
            self.caption.is_used = True
        if caption or picture.alt or picture.picture is not None:
            figure = Figure(
                anchor=anchor.replace("#", ""),
                picture=picture.picture,
                caption=caption,
                alt=picture.alt,
                section=self.section,
            )
            self.pending_figures.append(figure)
        self.pending_figures += picture.problems


def _is_block(element: HtmlElement) -> bool:
    """Return whether an element is, or contains, a block-level element."""
    if element.tag in DROPPED or is_formula(element):
        return False
    return next(element.iter(*BLOCKS), None) is not None
