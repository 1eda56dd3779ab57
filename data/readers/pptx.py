"""PowerPoint files: each slide a section, with its texts, tables, pictures and speaker's notes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pptx
from lxml import etree
from pptx.exc import PythonPptxError
from pptx.shapes.base import BaseShape
from pptx.shapes.group import GroupShape
from pptx.slide import Slide

from data.documents import Block, Document, Figure, Problem
from data.errors import BadInput
from data.readers.files import fingerprint, format_of, source_of
from data.readers.formulas import normalise_formulas, subscript, superscript
from data.readers.office import check_office, local_name, picture_or_problem, properties
from data.readers.omml import latex_of
from data.readers.structure import Content, assemble, humanise, is_caption, role_of
from data.records import Audience

__all__ = ["PptxReader"]

_DEFAULT_TITLE = "PowerPoint Presentation"  # what python-pptx and PowerPoint write unasked
_BROKEN = (PythonPptxError, KeyError, ValueError, AttributeError, zipfile.BadZipFile)
_BROKEN_XML = (etree.LxmlError, OSError)
_FURNITURE = frozenset({"DATE", "FOOTER", "SLIDE_NUMBER", "HEADER"})


class PptxReader:
    """`.pptx` files."""

    name = "pptx"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "pptx"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        title, author = properties(path)
        title = humanise(path.stem) if title in ("", _DEFAULT_TITLE) else title
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read, attribution=author)


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    check_office(path, source, "PowerPoint", "ppt/presentation.xml")
    parts: list[Content] = []
    try:
        with path.open("rb") as handle:
            deck = pptx.Presentation(handle)
            size = (deck.slide_width or 0, deck.slide_height or 0)
            for number, slide in enumerate(deck.slides, start=1):
                parts += _SlideReader(title, number, size).read(slide)
    except (*_BROKEN, *_BROKEN_XML) as error:
        raise BadInput(
            f"{source}: a damaged PowerPoint file ({type(error).__name__}: {error}); "
            "open it in PowerPoint and save it again"
        ) from None
    if not parts:
        raise BadInput(f"{source}: no text and no pictures on the slides; nothing to index")
    yield from assemble(parts)


@dataclass
class _SlideReader:
    """Reads one slide. A hidden slide is the teacher's own."""

    deck: str
    number: int
    size: tuple[int, int]  # width and height of a slide, in EMU
    section: tuple[str, ...] = ()
    audience: Audience = "student"
    blocks: list[Block] = field(default_factory=list)
    figures: list[Content] = field(default_factory=list)

    def read(self, slide: Slide) -> list[Content]:
        heading = slide.shapes.title
        title = " ".join(_text(heading._element.txBody).split()) if heading is not None else ""
        title = normalise_formulas(title) or f"Slide {self.number}"
        self.section = (
            (self.deck,) if title.casefold() == self.deck.casefold() else (self.deck, title)
        )
        self.audience = "teacher" if slide._element.get("show") in ("0", "false") else "student"
        for shape in slide.shapes:
            if heading is None or shape.shape_id != heading.shape_id:
                self._shape(shape, placed=True)
        self._give_caption()
        parts: list[Content] = [*self.blocks, *self.figures]
        frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        if frame is not None and (notes := _tidy(_text(frame._txBody))):
            note = Block(notes, self.section, "note", audience="teacher", page=self.number)
            parts.append(note)
        return parts

    def _shape(self, shape: BaseShape, placed: bool) -> None:
        """`placed`: whether the shape's place is that on the slide, as it is not inside a group."""
        if isinstance(shape, GroupShape):
            for inner in shape.shapes:
                self._shape(inner, placed=False)
            return
        if shape.is_placeholder and shape.placeholder_format.type.name in _FURNITURE:
            return
        if shape._element.tag.endswith("}pic"):
            self._picture(shape, placed)
        elif getattr(shape, "has_table", False):
            rows = [
                " | ".join(" ".join(_tidy(_text(cell._tc)).split()) for cell in row.cells)
                for row in shape.table.rows  # type: ignore[attr-defined]
            ]
            self._say("\n".join(row for row in rows if row.strip(" |")), table=True)
        elif getattr(shape, "has_chart", False):
            self._leave_out(shape, "a chart")
        elif shape.has_text_frame:
            self._say(_tidy(_text(shape._element.txBody)))
        elif shape._element.tag.endswith("}graphicFrame"):
            self._leave_out(shape, "a diagram or an embedded object")

    def _say(self, text: str, table: bool = False) -> None:
        if text:
            role = "table" if table else role_of(self.section[1:])
            block = Block(text, self.section, role, audience=self.audience, page=self.number)
            self.blocks.append(block)

    def _leave_out(self, shape: BaseShape, what: str) -> None:
        """Office alone can draw these: the words about them are kept, and the loss is said."""
        self.figures.append(self._figure(shape, None, placed=True))
        message = f"slide {self.number}: {what} ({shape.name}) is not read; paste it as a picture"
        self.figures.append(Problem("", message))

    def _picture(self, shape: BaseShape, placed: bool) -> None:
        what = f"slide {self.number}: {shape.name}"
        blip = next(shape._element.iter("{*}blip"), None)
        links = {
            etree.QName(k).localname: str(v)
            for k, v in (blip.attrib if blip is not None else {}).items()
        }
        picture: bytes | None = None
        problem = (
            f"{what}: a picture that is linked, not kept in the file; paste the picture itself"
        )
        if "embed" in links:
            picture, problem = picture_or_problem(
                shape.part.related_part(links["embed"]).blob, what
            )
        self.figures.append(self._figure(shape, picture, placed))
        if problem:
            self.figures.append(Problem("", problem))

    def _figure(self, shape: BaseShape, picture: bytes | None, placed: bool) -> Figure:
        words = next(shape._element.iter("{*}cNvPr"), None)
        alt = (words.get("descr") or "") if words is not None else ""
        return Figure(
            anchor="",
            picture=picture,
            alt=normalise_formulas(" ".join(alt.split())),
            section=self.section,
            audience=self.audience,
            page=self.number,
            bbox=self._box(shape) if placed else None,
        )

    def _box(self, shape: BaseShape) -> tuple[float, float, float, float] | None:
        width, height = self.size
        if not (width and height) or shape.left is None or shape.width is None:
            return None
        edges = (
            shape.left / width,
            shape.top / height,
            (shape.left + shape.width) / width,
            (shape.top + shape.height) / height,
        )
        left, top, right, bottom = (round(min(1.0, max(0.0, edge)), 4) for edge in edges)
        return left, top, right, bottom

    def _give_caption(self) -> None:
        """A text that reads "Figure 2. …" on a slide with one picture is that picture's caption."""
        figures = [i for i, part in enumerate(self.figures) if isinstance(part, Figure)]
        captions = [block for block in self.blocks if is_caption(block.text)]
        if len(figures) == 1 and len(captions) == 1:
            figure = self.figures[figures[0]]
            if isinstance(figure, Figure):
                self.figures[figures[0]] = replace(
                    figure, caption=" ".join(captions[0].text.split())
                )
                self.blocks.remove(captions[0])


def _tidy(text: str) -> str:
    lines = (" ".join(line.split()) for line in normalise_formulas(text).split("\v"))
    return "\n".join(line for line in lines if line)


def _text(element: etree._Element | None) -> str:
    """The text of a shape, a line for each paragraph, formulas between brackets."""
    if element is None:
        return ""
    name = local_name(element)
    if name == "t":
        return element.text or ""
    if name == "br":
        return "\v"
    if name == "Fallback":
        return ""  # the picture of a formula, for versions that cannot show it
    if name == "oMath":
        return f" \\({latex}\\) " if (latex := latex_of(element)) else ""
    text = "".join(_text(child) for child in element)
    if name == "p":
        return f"{text}\v"
    if name == "r":
        raised = element.find("./{*}rPr")
        baseline = (raised.get("baseline") or "0") if raised is not None else "0"
        if baseline.startswith("-"):
            return subscript(text)
        if baseline.rstrip("%").isdecimal() and int(baseline.rstrip("%")):
            return superscript(text)
    return text
