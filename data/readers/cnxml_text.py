"""Render CNXML text as plain text: words, formulas, lists, tables and links.

Formulas become LaTeX in `\\(…\\)`, displayed ones in `\\[…\\]`. Subscripts and superscripts are
written as people type them in a search, so that BM25 finds them. A subscript of digits joins its
word (`H2O`, `v0`); any other subscript follows `_` (`K_eq`). A superscript follows `^` (`m^2`),
except before a word (`14C`) and in an ordinal (`1st`). Only list items, table rows and displayed
steps start on a new line. Footnotes follow their paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lxml import etree

from data.readers.cnxml_numbers import LinkLabels
from data.readers.cnxml_tables import cnxml_table
from data.readers.mathml import to_latex
from data.readers.xml import local_name
from data.tables import Table, markdown_table

__all__ = ["PICTURES", "TextRenderer", "as_sentence"]

PICTURES = frozenset({"figure", "media"})
_SET_ASIDE = PICTURES | {"exercise", "example", "note"}
_INVISIBLE = frozenset({"label", "colspec", "spanspec", "metadata", "iframe", "param"})
_INVISIBLE_CHARACTERS = re.compile("[\u00ad\u200b\u2060\ufeff]")
_ORDINALS = frozenset({"st", "nd", "rd", "th", "®", "™", "©"})


def as_sentence(title: str) -> str:
    """End a title with a full stop, so that text can follow it on the same line."""
    return title if not title or title[-1] in ".:?!" else f"{title}."


class TextRenderer:
    """Render the text of one module, and set aside the elements that are not text.

    `set_aside` collects the pictures, exercises, examples and notes inside the rendered text.
    `refs` collects the anchors of linked figures (`source#anchor` in another module). The caller
    takes their contents and empties them.
    """

    def __init__(self, document: str, labels: LinkLabels, sources: dict[str, str]) -> None:
        self.set_aside: list[etree._Element] = []
        self.refs: list[str] = []
        self._footnotes: list[str] = []
        self._document = document
        self._labels = labels
        self._sources = sources

    def text(self, element: etree._Element) -> str:
        """Return the text inside an element, with normalised white space; '' if it has none."""
        return self._text(element, self._render_children)

    def block_text(self, element: etree._Element) -> str:
        """Return the text of a whole element; a list, table or equation keeps its lines."""
        return self._text(element, self._render)

    def _text(
        self,
        element: etree._Element,
        render: Callable[[etree._Element, list[str]], None],
    ) -> str:
        """Return the rendered text, with its footnotes in parentheses on lines of their own.

        In their place they would split the sentence that they belong to.
        """
        pieces: list[str] = []
        outer, self._footnotes = self._footnotes, []
        render(element, pieces)
        pieces += [f"\n({note})" for note in self._footnotes]
        self._footnotes = outer
        return self.clean("".join(pieces))

    @staticmethod
    def clean(text: str) -> str:
        """Normalise white space within lines, and remove empty lines and invisible characters."""
        lines = (" ".join(line.split()) for line in _INVISIBLE_CHARACTERS.sub("", text).split("\n"))
        return re.sub(r" +(?=[,;.?!](?:\s|$))", "", "\n".join(line for line in lines if line))

    def items(self, element: etree._Element) -> list[str]:
        """Return the items of a list, each on one line unless it contains a list."""
        texts = (self.text(child) for child in element if local_name(child) == "item")
        return [" ".join(text.split("\n")) if "\n- " not in text else text for text in texts]

    def table(self, element: etree._Element, caption: str = "") -> Table:
        """Return the table of a `table` element."""
        return cnxml_table(element, self.text, caption)

    # -- elements ----------------------------------------------------------------------------------

    def _render_children(self, element: etree._Element, pieces: list[str]) -> None:
        pieces.append((element.text or "").replace("\n", " "))
        for child in element:
            if isinstance(child.tag, str):
                self._render(child, pieces)
            pieces.append((child.tail or "").replace("\n", " "))

    def _render(self, element: etree._Element, pieces: list[str]) -> None:
        name = local_name(element)
        if name in _SET_ASIDE:
            self.set_aside.append(element)
        elif name == "math":
            self._render_math(element, pieces, display=element.get("display") == "block")
        elif name == "equation":
            self._render_equation(element, pieces)
        elif name in ("sub", "sup"):
            pieces.append(self._script_text(name, self.text(element), "".join(pieces[-2:])))
        elif name == "link":
            pieces.append(self._link_text(element))
        elif name == "list":
            pieces.append(self._list_text(element))
        elif name == "table":
            pieces.append(self._table_text(element))
        elif name == "title":
            title = self.text(element)
            pieces.append(f"{as_sentence(title)} " if title else "")
        elif name == "footnote":
            if note := self.text(element):
                self._footnotes.append(note)
        elif name == "newline":
            pieces.append("\n")
        elif name == "space":
            pieces.append(" ")
        elif name not in _INVISIBLE:
            self._render_children(element, pieces)
            if name in ("para", "item", "caption", "quote", "meaning"):
                pieces.append("\n")

    @staticmethod
    def _render_math(element: etree._Element, pieces: list[str], *, display: bool) -> None:
        latex = to_latex(element)
        if latex:
            pieces.append(f" \\[{latex}\\] " if display else f"\\({latex}\\)")

    def _render_equation(self, element: etree._Element, pieces: list[str]) -> None:
        pieces.append(" ")
        for child in element:
            if local_name(child) == "math":
                self._render_math(child, pieces, display=True)
            elif isinstance(child.tag, str):
                self._render(child, pieces)
            pieces.append((child.tail or "").replace("\n", " "))
        pieces.append(" ")

    @staticmethod
    def _script_text(name: str, text: str, preceding: str) -> str:
        if not text or text in _ORDINALS:
            return text
        ascii_text = text.replace("−", "-").replace("–", "-")
        if name == "sub":
            if ascii_text.isdigit() and len(ascii_text) < 4:
                return ascii_text
            return f"_{text}" if " " not in text else f"_({text})"
        if ascii_text.isdigit() and (not preceding or preceding[-1].isspace()):
            return ascii_text
        return f"^{ascii_text}" if " " not in ascii_text else f"^({ascii_text})"

    def _link_text(self, element: etree._Element) -> str:
        document = element.get("document") or self._document
        target = element.get("target-id", "")
        figure = self._labels.linked_figure(document, target)
        if figure:
            is_same_module = document == self._document
            source = "" if is_same_module else self._sources.get(document, "")
            if is_same_module or source:
                self.refs.append(figure if is_same_module else f"{source}#{figure}")
        text = self.text(element)
        if text or element.get("url"):
            return text
        return self._labels.link_text(document, target)

    def _list_text(self, element: etree._Element) -> str:
        items = self.items(element)
        title = next((self.text(c) for c in element if local_name(c) == "title"), "")
        title_line = f"\n{as_sentence(title)}" if title else ""
        if element.get("display") == "inline":
            return f"{title_line} {'; '.join(items)} "
        markers = (self._list_marker(element, count) for count in range(1, len(items) + 1))
        lines = [f"{marker} {item}" for marker, item in zip(markers, items, strict=True) if item]
        return title_line + "\n" + "\n".join(lines) + "\n"

    @staticmethod
    def _list_marker(element: etree._Element, count: int) -> str:
        if element.get("list-type") != "enumerated":
            return "-"
        style = element.get("number-style", "arabic")
        if style.endswith("alpha") and count <= 26:
            letter = chr(ord("a") + count - 1)
            return f"({letter.upper() if style.startswith('upper') else letter})"
        start = element.get("start-value", "1")
        return f"{count - 1 + (int(start) if start.isdecimal() else 1)}."

    def _table_text(self, element: etree._Element) -> str:
        captions = (
            " ".join(self.text(child).split())
            for child in element
            if local_name(child) in ("title", "caption")
        )
        caption = "\n".join(as_sentence(text) for text in captions if text)
        return f"\n{markdown_table(self.table(element, caption))}\n"
