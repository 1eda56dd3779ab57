"""CNXML's running text as plain text: words, formulas, lists, tables, links.

Formulas are LaTeX between `\\(` and `\\)`, displayed ones between `\\[` and `\\]`. A subscript of
digits joins its word (`H2O`, `v0`), any other is written `K_eq`; a superscript is `m^2`, but `14C`
where it leads a word and `1st` for an ordinal: so a person can read it, and BM25 finds it as typed.
Lines are kept for list items, table rows and displayed steps only.
"""

from __future__ import annotations

import re

from lxml import etree

from data.readers.cnxml_numbers import Labels, local_name
from data.readers.mathml import to_latex

__all__ = ["PICTURES", "Inline", "sentence"]

PICTURES = frozenset({"figure", "media"})
_APART = PICTURES | {"exercise", "example", "note"}
_SILENT = frozenset({"label", "colspec", "spanspec", "metadata", "iframe", "param"})
_NOT_TYPED = re.compile("[\u00ad\u200b\u2060\ufeff]")
_ORDINALS = frozenset({"st", "nd", "rd", "th", "®", "™", "©"})


def sentence(title: str) -> str:
    """A heading that runs into the text after it, closed like a sentence."""
    return title if not title or title[-1] in ".:?!" else f"{title}."


class Inline:
    """Renders one module's text; what is not text is set aside for the caller.

    `apart` gathers the pictures and exercises met inside text, `refs` the figures that its links
    lead to (`source#anchor` in another module). The caller takes and empties both.
    """

    def __init__(self, document: str, labels: Labels, sources: dict[str, str]) -> None:
        self.apart: list[etree._Element] = []
        self.refs: list[str] = []
        self._document = document
        self._labels = labels
        self._sources = sources

    def text(self, element: etree._Element) -> str:
        """The text inside `element`, white space normalised; '' where there is none."""
        out: list[str] = []
        self._walk(element, out)
        return self.clean("".join(out))

    def whole(self, element: etree._Element) -> str:
        """The text of `element` itself: a list, a table or an equation keeps its form."""
        out: list[str] = []
        self._element(element, out)
        return self.clean("".join(out))

    @staticmethod
    def clean(text: str) -> str:
        lines = (" ".join(line.split()) for line in _NOT_TYPED.sub("", text).split("\n"))
        return re.sub(r" +(?=[,;.?!](?:\s|$))", "", "\n".join(line for line in lines if line))

    def items(self, element: etree._Element) -> list[str]:
        """The items of a list, each on one line."""
        found = (self.text(child) for child in element if local_name(child) == "item")
        return [" ".join(item.split("\n")) if "\n- " not in item else item for item in found]

    def rows(self, element: etree._Element) -> list[list[str]]:
        """The cells of a table, row by row, without rows that are empty."""
        rows = (
            [" ".join(self.text(cell).split()) for cell in row if local_name(cell) == "entry"]
            for row in element.iter(etree.Element)
            if local_name(row) == "row" and self._table_of(row) is element
        )
        return [row for row in rows if any(row)]

    @staticmethod
    def _table_of(row: etree._Element) -> etree._Element | None:
        return next((e for e in row.iterancestors() if local_name(e) == "table"), None)

    # -- elements ----------------------------------------------------------------------------------

    def _walk(self, element: etree._Element, out: list[str]) -> None:
        out.append((element.text or "").replace("\n", " "))
        for child in element:
            if isinstance(child.tag, str):
                self._element(child, out)
            out.append((child.tail or "").replace("\n", " "))

    def _element(self, element: etree._Element, out: list[str]) -> None:
        name = local_name(element)
        if name in _APART:
            self.apart.append(element)
        elif name == "math":
            self._math(element, out, display=element.get("display") == "block")
        elif name == "equation":
            self._equation(element, out)
        elif name in ("sub", "sup"):
            out.append(self._script(name, self.text(element), "".join(out[-2:])))
        elif name == "link":
            out.append(self._link(element))
        elif name == "list":
            out.append(self._list(element))
        elif name == "table":
            out.append(self._table(element))
        elif name == "title":
            title = self.text(element)
            out.append(f"{sentence(title)} " if title else "")
        elif name == "footnote":
            note = self.text(element)
            out.append(f" ({note})" if note else "")
        elif name == "newline":
            out.append("\n")
        elif name == "space":
            out.append(" ")
        elif name not in _SILENT:
            self._walk(element, out)
            if name in ("para", "item", "caption", "quote", "meaning"):
                out.append("\n")

    @staticmethod
    def _math(element: etree._Element, out: list[str], *, display: bool) -> None:
        latex = to_latex(element)
        if latex:
            out.append(f" \\[{latex}\\] " if display else f"\\({latex}\\)")

    def _equation(self, element: etree._Element, out: list[str]) -> None:
        out.append(" ")
        for child in element:
            if local_name(child) == "math":
                self._math(child, out, display=True)
            elif isinstance(child.tag, str):
                self._element(child, out)
            out.append((child.tail or "").replace("\n", " "))
        out.append(" ")

    @staticmethod
    def _script(name: str, text: str, before: str) -> str:
        if not text or text in _ORDINALS:
            return text
        plain = text.replace("−", "-").replace("–", "-")
        if name == "sub":
            if plain.isdigit() and len(plain) < 4:
                return plain
            return f"_{text}" if " " not in text else f"_({text})"
        if plain.isdigit() and (not before or before[-1].isspace()):
            return plain
        return f"^{plain}" if " " not in plain else f"^({plain})"

    def _link(self, element: etree._Element) -> str:
        document = element.get("document") or self._document
        target = element.get("target-id", "")
        figure = self._labels.figure(document, target)
        if figure:
            here = document == self._document
            source = "" if here else self._sources.get(document, "")
            if here or source:
                self.refs.append(figure if here else f"{source}#{figure}")
        words = self.text(element)
        if words or element.get("url"):
            return words
        return self._labels.text(document, target)

    def _list(self, element: etree._Element) -> str:
        items = self.items(element)
        title = next((self.text(c) for c in element if local_name(c) == "title"), "")
        lead = f"\n{sentence(title)}" if title else ""
        if element.get("display") == "inline":
            return f"{lead} {'; '.join(items)} "
        marks = (self._mark(element, count) for count in range(1, len(items) + 1))
        lines = [f"{mark} {item}" for mark, item in zip(marks, items, strict=True) if item]
        return lead + "\n" + "\n".join(lines) + "\n"

    @staticmethod
    def _mark(element: etree._Element, count: int) -> str:
        if element.get("list-type") != "enumerated":
            return "-"
        style = element.get("number-style", "arabic")
        if style.endswith("alpha") and count <= 26:
            letter = chr(ord("a") + count - 1)
            return f"({letter.upper() if style.startswith('upper') else letter})"
        start = element.get("start-value", "1")
        return f"{count - 1 + (int(start) if start.isdecimal() else 1)}."

    def _table(self, element: etree._Element) -> str:
        lines = [" | ".join(row) for row in self.rows(element)]
        for child in element:
            if local_name(child) in ("title", "caption"):
                text = " ".join(self.text(child).split())
                lines[:0] = [sentence(text)] if text else []
        return "\n" + "\n".join(lines) + "\n"
