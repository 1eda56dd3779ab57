"""Read Word files: headings (by style), paragraphs, lists, tables and pictures with captions."""

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
from data.readers.office import (
    check_office_file,
    clean_text,
    picture_or_problem,
    read_properties,
)
from data.readers.omml import latex_of
from data.readers.structure import Content, assemble, humanise, is_caption, role_of
from data.readers.xml import local_name

__all__ = ["DocxReader"]

_HEADING_STYLE = re.compile(r"heading (\d)", re.IGNORECASE)
_INVISIBLE_NAMES = "del moveFrom instrText delText Fallback pPr rPr drawing pict object txbxContent"
_INVISIBLE_ELEMENTS = frozenset(_INVISIBLE_NAMES.split())
_DOCX_ERRORS = (OpcError, InvalidXmlError, KeyError, ValueError, AttributeError, zipfile.BadZipFile)
_XML_ERRORS = (etree.LxmlError, OSError)


class DocxReader:
    """Read `.docx` files."""

    name = "docx"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "docx"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        title, author = read_properties(path)
        title = title or humanise(path.stem)
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read, attribution=author)


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    check_office_file(path, source, "Word", "word/document.xml")
    walker = _WordWalker(title)
    try:
        with path.open("rb") as handle:
            word = docx.Document(handle)
            walker.walk(word)
    except (*_DOCX_ERRORS, *_XML_ERRORS) as error:
        raise BadInput(
            f"{source}: a damaged Word file ({type(error).__name__}: {error}); "
            "open it in Word and save it again"
        ) from None
    if not walker.contents:
        raise BadInput(f"{source}: no text and no pictures in this file; nothing to index")
    yield from assemble(walker.contents)


@dataclass
class _WordWalker:
    """Collect the contents of a Word document from its paragraphs and tables in order."""

    title: str
    contents: list[Content] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)  # levels and texts
    open_list: list[str] = field(default_factory=list)  # the items so far of the current list
    pending_caption: str = ""  # a caption whose table or picture follows
    awaits_caption: bool = False  # whether the last content is a picture without a caption

    @property
    def section(self) -> tuple[str, ...]:
        return (self.title, *(text for _, text in self.headings))

    def walk(self, word: WordDocument) -> None:
        for child in word.iter_inner_content():
            if isinstance(child, Table):
                self._close_list()
                self._add_table(child)
            else:
                self._add_paragraph(child)
        self._close_list()
        self._add_text(self._take_caption())

    def _add_paragraph(self, paragraph: Paragraph) -> None:
        style = (paragraph.style.name if paragraph.style is not None else "") or ""
        text = clean_text(_text(paragraph._p))
        heading = _HEADING_STYLE.match(style)
        is_list_item = style.startswith("List") or _is_numbered(paragraph)
        if not (is_list_item and text and not heading):
            self._close_list()
        if heading and text:
            self._add_heading(int(heading[1]), text)
        elif style == "Title":
            if text.casefold() != self.title.casefold():
                self._add_heading(0, text)
        elif style == "Caption" or (self.awaits_caption and is_caption(text)):
            self._add_caption(text)
        elif is_list_item:
            self._add_list_item(text)
        else:
            self._add_text(text)
        self._add_pictures(paragraph)
        for text_box in paragraph._p.iterdescendants("{*}txbxContent"):
            if next(text_box.iterancestors("{*}Fallback"), None) is None:
                self._add_text(_paragraphs_text(text_box))

    def _add_heading(self, level: int, text: str) -> None:
        self.headings = [h for h in self.headings if h[0] < level]
        if text:
            self.headings.append((level, text))
        self.awaits_caption = False

    def _add_caption(self, text: str) -> None:
        previous = self.contents[-1] if self.contents else None
        if self.awaits_caption and isinstance(previous, Figure) and not previous.caption:
            self.contents[-1] = replace(previous, caption=text)
            self.awaits_caption = False
        elif text:
            self._add_text(self._take_caption())
            self.pending_caption = text

    def _take_caption(self) -> str:
        caption, self.pending_caption = self.pending_caption, ""
        return caption

    def _add_list_item(self, text: str) -> None:
        role = role_of(heading for _, heading in self.headings)
        if role in ("exercise", "solution"):
            self._add_text(text)
            return
        term, colon, _ = text.partition(":")
        if role == "term" and colon and len(term) <= 80:
            self._add_text(text, title=term.strip())
        elif text:
            self.open_list.append(f"- {text}")

    def _close_list(self) -> None:
        text = "\n".join(self.open_list)
        self.open_list.clear()
        self._add_text(text)

    def _add_text(self, text: str, title: str = "") -> None:
        if text:
            role = role_of(heading for _, heading in self.headings)
            self.contents.append(Block(text, self.section, role, title))
            self.awaits_caption = False

    def _add_table(self, table: Table) -> None:
        rows: list[str] = []
        for row in table.rows:
            cells: list[etree._Element] = []
            texts: list[str] = []
            for cell in row.cells:
                if cell._tc in cells:
                    continue  # python-docx repeats a merged cell for each of its columns
                cells.append(cell._tc)
                texts.append(" ".join(_paragraphs_text(cell._tc).split()))
            if any(texts):
                rows.append(" | ".join(texts))
        caption = self._take_caption()
        if rows:
            text = "\n".join([caption, *rows]).strip("\n")
            self.contents.append(Block(text, self.section, "table", caption))
        for paragraph in (p for row in table.rows for cell in row.cells for p in cell.paragraphs):
            self._add_pictures(paragraph)

    def _add_pictures(self, paragraph: Paragraph) -> None:
        for drawing in paragraph._p.iterdescendants("{*}drawing"):
            properties = next(drawing.iter("{*}docPr"), None)
            alt = ""
            if properties is not None:
                alt = properties.get("descr") or properties.get("title") or ""
            for blip in drawing.iter("{*}blip"):
                self._add_picture(paragraph, blip, " ".join(alt.split()))

    def _add_picture(self, paragraph: Paragraph, blip: etree._Element, alt: str) -> None:
        links = {etree.QName(k).localname: str(v) for k, v in blip.attrib.items()}
        part = paragraph.part.related_parts.get(links.get("embed", ""))
        picture: bytes | None = None
        problem = "a picture is linked, not stored in the file; paste the picture itself"
        if part is not None:
            picture, problem = picture_or_problem(part.blob, part.partname.rsplit("/", 1)[-1])
        caption, alt = self._take_caption(), normalise_formulas(alt)
        self.contents.append(Figure("", picture, caption, alt, section=self.section))
        self.awaits_caption = not caption
        if problem:
            self.contents.append(Problem("", problem))


def _is_numbered(paragraph: Paragraph) -> bool:
    properties = paragraph._p.pPr
    return properties is not None and properties.numPr is not None


def _paragraphs_text(element: etree._Element) -> str:
    """Return the text of all paragraphs inside an element, one line each."""
    return clean_text("\v".join(_text(paragraph) for paragraph in element.iter("{*}p")))


def _text(element: etree._Element) -> str:
    """Return the text that Word shows, without deleted words and field codes.

    Formulas stand in `\\(…\\)` or `\\[…\\]`; `\\v` marks a line break.
    """
    name = local_name(element)
    if name in _INVISIBLE_ELEMENTS:
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
        alignment = element.find("./{*}rPr/{*}vertAlign")
        position = next(iter(alignment.attrib.values()), "") if alignment is not None else ""
        if position == "superscript":
            return superscript(text)
        if position == "subscript":
            return subscript(text)
    return text
