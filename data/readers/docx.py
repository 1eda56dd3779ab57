"""Word files: headings by style, paragraphs, lists, tables, pictures with caption and alt text."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import docx
from docx.document import Document as WordDocument
from docx.opc.exceptions import OpcError
from docx.oxml.exceptions import InvalidXmlError
from docx.table import Table
from docx.text.paragraph import Paragraph
from lxml import etree

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.files import fingerprint, format_of, source_of
from data.readers.formulas import normalise_formulas, subscript, superscript
from data.readers.office import check_office, local_name, picture_or_problem, properties
from data.readers.omml import latex_of
from data.readers.structure import Content, assemble, humanise, is_caption, role_of

__all__ = ["DocxReader"]

_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_UNSEEN_WORDS = "del moveFrom instrText delText Fallback pPr rPr drawing pict object txbxContent"
_UNSEEN = frozenset(_UNSEEN_WORDS.split())
_BROKEN = (OpcError, InvalidXmlError, KeyError, ValueError, AttributeError, zipfile.BadZipFile)
_BROKEN_XML = (etree.LxmlError, OSError)


class DocxReader:
    """`.docx` files."""

    name = "docx"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "docx"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        title, author = properties(path)
        title = title or humanise(path.stem)
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read, attribution=author)


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    check_office(path, source, "Word", "word/document.xml")
    walker = _Walker(title)
    try:
        with path.open("rb") as handle:
            word = docx.Document(handle)
            walker.walk(word)
    except (*_BROKEN, *_BROKEN_XML) as error:
        raise BadInput(
            f"{source}: a damaged Word file ({type(error).__name__}: {error}); "
            "open it in Word and save it again"
        ) from None
    if not walker.parts:
        raise BadInput(f"{source}: no text and no pictures in this file; nothing to index")
    yield from assemble(walker.parts)


@dataclass
class _Walker:
    title: str
    parts: list[Content] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)
    items: list[str] = field(default_factory=list)  # of a list that may go on
    caption: str = ""  # that stood before what it describes, as over a table
    pictured: bool = False  # whether the last part came from a picture that awaits its caption

    @property
    def section(self) -> tuple[str, ...]:
        return (self.title, *(text for _, text in self.headings))

    def walk(self, word: WordDocument) -> None:
        for content in word.iter_inner_content():
            if isinstance(content, Table):
                self._close_list()
                self._table(content)
            else:
                self._paragraph(content)
        self._close_list()
        self._say(self._take_caption())

    def _paragraph(self, paragraph: Paragraph) -> None:
        style = (paragraph.style.name if paragraph.style is not None else "") or ""
        text = _tidy(_text(paragraph._p))
        heading = _HEADING.match(style)
        listed = style.startswith("List") or _numbered(paragraph)
        if not (listed and text and not heading):
            self._close_list()
        if heading and text:
            self._heading(int(heading[1]), text)
        elif style == "Title":
            if text.casefold() != self.title.casefold():
                self._heading(0, text)
        elif style == "Caption" or (self.pictured and is_caption(text)):
            self._caption(text)
        elif listed:
            self._item(text)
        else:
            self._say(text)
        self._pictures(paragraph)
        for box in paragraph._p.iterdescendants("{*}txbxContent"):
            if next(box.iterancestors("{*}Fallback"), None) is None:
                self._say(_tidy("\v".join(_text(p) for p in box.iter("{*}p"))))

    def _heading(self, level: int, text: str) -> None:
        self.headings = [h for h in self.headings if h[0] < level]
        if text:
            self.headings.append((level, text))
        self.pictured = False

    def _caption(self, text: str) -> None:
        before = self.parts[-1] if self.parts else None
        if self.pictured and isinstance(before, Figure) and not before.caption:
            self.parts[-1] = replace(before, caption=text)
            self.pictured = False
        elif text:
            self._say(self._take_caption())
            self.caption = text

    def _take_caption(self) -> str:
        caption, self.caption = self.caption, ""
        return caption

    def _item(self, text: str) -> None:
        role = role_of(text for _, text in self.headings)
        if role in ("exercise", "solution"):
            self._say(text)
            return
        name, colon, _ = text.partition(":")
        if role == "term" and colon and len(name) <= 80:
            self._say(text, title=name.strip())
        elif text:
            self.items.append(f"- {text}")

    def _close_list(self) -> None:
        text = "\n".join(self.items)
        self.items.clear()
        self._say(text)

    def _say(self, text: str, title: str = "") -> None:
        if text:
            role = role_of(words for _, words in self.headings)
            self.parts.append(Block(text, self.section, role, title))
            self.pictured = False

    def _table(self, table: Table) -> None:
        rows: list[str] = []
        for row in table.rows:
            seen: list[str] = []
            cells: list[etree._Element] = []
            for cell in row.cells:
                if cell._tc in cells:
                    continue  # python-docx gives a merged cell once for each column
                cells.append(cell._tc)
                seen.append(
                    " ".join(_tidy("\v".join(_text(p) for p in cell._tc.iter("{*}p"))).split())
                )
            if any(seen):
                rows.append(" | ".join(seen))
        caption = self._take_caption()
        if rows:
            text = "\n".join([caption, *rows]).strip("\n")
            self.parts.append(Block(text, self.section, "table", caption))
        for paragraph in (p for row in table.rows for cell in row.cells for p in cell.paragraphs):
            self._pictures(paragraph)

    def _pictures(self, paragraph: Paragraph) -> None:
        for drawing in paragraph._p.iterdescendants("{*}drawing"):
            words = next(drawing.iter("{*}docPr"), None)
            alt = (words.get("descr") or words.get("title") or "") if words is not None else ""
            for blip in drawing.iter("{*}blip"):
                self._picture(paragraph, blip, " ".join(alt.split()))

    def _picture(self, paragraph: Paragraph, blip: etree._Element, alt: str) -> None:
        links = {etree.QName(k).localname: str(v) for k, v in blip.attrib.items()}
        part = paragraph.part.related_parts.get(links.get("embed", ""))
        picture: bytes | None = None
        problem = "a picture that is linked, not kept in the file; paste the picture itself"
        if part is not None:
            picture, problem = picture_or_problem(part.blob, part.partname.rsplit("/", 1)[-1])
        caption = self._take_caption()
        self.parts.append(
            Figure("", picture, caption, normalise_formulas(alt), section=self.section)
        )
        self.pictured = not caption
        if problem:
            self.parts.append(Problem("", problem))


def _numbered(paragraph: Paragraph) -> bool:
    properties_of = paragraph._p.pPr
    return properties_of is not None and properties_of.numPr is not None


def _tidy(text: str) -> str:
    lines = (" ".join(line.split()) for line in normalise_formulas(text).split("\v"))
    return "\n".join(line for line in lines if line)


def _text(element: etree._Element) -> str:
    """The text that Word shows: no deleted words or field codes, formulas between brackets."""
    name = local_name(element)
    if name in _UNSEEN:
        return ""
    if name == "t":
        return element.text or ""
    if name in ("br", "cr"):
        return "\v"
    if name == "tab":
        return "\t"
    if name == "noBreakHyphen":
        return "-"
    if name == "oMathPara":
        latex = " ".join(latex_of(f) for f in element if local_name(f) == "oMath")
        return f" \\[{latex}\\] " if latex.strip() else ""
    if name == "oMath":
        return f" \\({latex}\\) " if (latex := latex_of(element)) else ""
    text = "".join(_text(child) for child in element)
    if name == "r":
        raised = element.find("./{*}rPr/{*}vertAlign")
        kind = next(iter(raised.attrib.values()), "") if raised is not None else ""
        if kind == "superscript":
            return superscript(text)
        if kind == "subscript":
            return subscript(text)
    return text
