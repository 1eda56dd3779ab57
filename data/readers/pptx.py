"""Read PowerPoint files: each slide is a section with texts, tables, pictures and notes."""

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
from data.readers.office import (
    check_office_file,
    clean_text,
    picture_or_problem,
    read_properties,
)
from data.readers.omml import latex_of
from data.readers.structure import Content, assemble, humanise, is_caption, role_of
from data.readers.xml import local_name
from data.records import Audience

__all__ = ["PptxReader"]

_DEFAULT_TITLE = "PowerPoint Presentation"  # the title that PowerPoint and python-pptx write
_PPTX_ERRORS = (PythonPptxError, KeyError, ValueError, AttributeError, zipfile.BadZipFile)
_XML_ERRORS = (etree.LxmlError, OSError)
_REPEATED_PLACEHOLDERS = frozenset({"DATE", "FOOTER", "SLIDE_NUMBER", "HEADER"})


class PptxReader:
    """Read `.pptx` files."""

    name = "pptx"

    def claims(self, path: Path) -> bool:
        return path.is_file() and format_of(path) == "pptx"

    def documents(self, path: Path, root: Path) -> Iterable[Document]:
        source = source_of(path, root)
        title, author = read_properties(path)
        title = humanise(path.stem) if title in ("", _DEFAULT_TITLE) else title
        read = partial(_read, path, source, title)
        yield Document(source, path, fingerprint(path), title, read, attribution=author)


def _read(path: Path, source: str, title: str) -> Iterator[Content]:
    check_office_file(path, source, "PowerPoint", "ppt/presentation.xml")
    contents: list[Content] = []
    try:
        with path.open("rb") as handle:
            presentation = pptx.Presentation(handle)
            size = (presentation.slide_width or 0, presentation.slide_height or 0)
            for number, slide in enumerate(presentation.slides, start=1):
                contents += _SlideReader(title, number, size).read(slide)
    except (*_PPTX_ERRORS, *_XML_ERRORS) as error:
        raise BadInput(
            f"{source}: a damaged PowerPoint file ({type(error).__name__}: {error}); "
            "open it in PowerPoint and save it again"
        ) from None
    if not contents:
        raise BadInput(f"{source}: no text and no pictures on the slides; nothing to index")
    yield from assemble(contents)


@dataclass
class _SlideReader:
    """Read one slide. The contents of a hidden slide are for teachers."""

    presentation_title: str
    number: int
    size: tuple[int, int]  # width and height of a slide, in EMU
    section: tuple[str, ...] = ()
    audience: Audience = "student"
    blocks: list[Block] = field(default_factory=list)
    figures: list[Content] = field(default_factory=list)

    def read(self, slide: Slide) -> list[Content]:
        """Return the blocks of a slide, then its figures, then the speaker's notes."""
        heading = slide.shapes.title
        title = " ".join(_text(heading._element.txBody).split()) if heading is not None else ""
        title = normalise_formulas(title) or f"Slide {self.number}"
        is_title_slide = title.casefold() == self.presentation_title.casefold()
        headings = () if is_title_slide else (title,)
        self.section = (self.presentation_title, *headings)
        self.audience = "teacher" if slide._element.get("show") in ("0", "false") else "student"
        for shape in slide.shapes:
            if heading is None or shape.shape_id != heading.shape_id:
                self._add_shape(shape, has_slide_position=True)
        self._assign_caption()
        contents: list[Content] = [*self.blocks, *self.figures]
        frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        if frame is not None and (notes := clean_text(_text(frame._txBody))):
            note = Block(notes, self.section, "note", audience="teacher", page=self.number)
            contents.append(note)
        return contents

    def _add_shape(self, shape: BaseShape, has_slide_position: bool) -> None:
        """Add a shape; inside a group, its position is relative to the group, not to the slide."""
        if isinstance(shape, GroupShape):
            for member in shape.shapes:
                self._add_shape(member, has_slide_position=False)
            return
        if shape.is_placeholder and shape.placeholder_format.type.name in _REPEATED_PLACEHOLDERS:
            return
        if shape._element.tag.endswith("}pic"):
            self._add_picture(shape, has_slide_position)
        elif getattr(shape, "has_table", False):
            rows = [
                " | ".join(" ".join(clean_text(_text(cell._tc)).split()) for cell in row.cells)
                for row in shape.table.rows  # type: ignore[attr-defined]
            ]
            self._add_text("\n".join(row for row in rows if row.strip(" |")), is_table=True)
        elif getattr(shape, "has_chart", False):
            self._add_unreadable(shape, "a chart")
        elif shape.has_text_frame:
            self._add_text(clean_text(_text(shape._element.txBody)))
        elif shape._element.tag.endswith("}graphicFrame"):
            self._add_unreadable(shape, "a diagram or an embedded object")

    def _add_text(self, text: str, is_table: bool = False) -> None:
        if text:
            role = "table" if is_table else role_of(self.section[1:])
            block = Block(text, self.section, role, audience=self.audience, page=self.number)
            self.blocks.append(block)

    def _add_unreadable(self, shape: BaseShape, description: str) -> None:
        """Keep the alt text of a shape that only Office can draw, and report the problem."""
        self.figures.append(self._figure(shape, None, has_slide_position=True))
        self.figures.append(
            Problem(
                "",
                f"slide {self.number}: {description} ({shape.name}) is not read; "
                "paste it as a picture",
            )
        )

    def _add_picture(self, shape: BaseShape, has_slide_position: bool) -> None:
        label = f"slide {self.number}: {shape.name}"
        blip = next(shape._element.iter("{*}blip"), None)
        links = {
            etree.QName(k).localname: str(v)
            for k, v in (blip.attrib if blip is not None else {}).items()
        }
        picture: bytes | None = None
        problem = f"{label}: a picture is linked, not stored in the file; paste the picture itself"
        if "embed" in links:
            picture, problem = picture_or_problem(
                shape.part.related_part(links["embed"]).blob, label
            )
        self.figures.append(self._figure(shape, picture, has_slide_position))
        if problem:
            self.figures.append(Problem("", problem))

    def _figure(self, shape: BaseShape, picture: bytes | None, has_slide_position: bool) -> Figure:
        properties = next(shape._element.iter("{*}cNvPr"), None)
        alt = (properties.get("descr") or "") if properties is not None else ""
        return Figure(
            anchor="",
            picture=picture,
            alt=normalise_formulas(" ".join(alt.split())),
            section=self.section,
            audience=self.audience,
            page=self.number,
            bbox=self._bounding_box(shape) if has_slide_position else None,
        )

    def _bounding_box(self, shape: BaseShape) -> tuple[float, float, float, float] | None:
        """Return left, top, right and bottom as fractions of the slide."""
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

    def _assign_caption(self) -> None:
        """Make the only "Figure 2. …" text of a slide the caption of its only picture."""
        indices = [i for i, content in enumerate(self.figures) if isinstance(content, Figure)]
        captions = [block for block in self.blocks if is_caption(block.text)]
        if len(indices) == 1 and len(captions) == 1:
            figure = self.figures[indices[0]]
            if isinstance(figure, Figure):
                caption = " ".join(captions[0].text.split())
                self.figures[indices[0]] = replace(figure, caption=caption)
                self.blocks.remove(captions[0])


def _text(element: etree._Element | None) -> str:
    """Return the text of a shape, with formulas in `\\(…\\)` and `\\v` after each paragraph."""
    if element is None:
        return ""
    name = local_name(element)
    if name == "t":
        return element.text or ""
    if name == "br":
        return "\v"
    if name == "Fallback":
        return ""  # a picture that replaces a formula in old versions
    if name == "oMath":
        return f" \\({latex}\\) " if (latex := latex_of(element)) else ""
    text = "".join(_text(child) for child in element)
    if name == "p":
        return f"{text}\v"
    if name == "r":
        properties = element.find("./{*}rPr")
        baseline = (properties.get("baseline") or "0") if properties is not None else "0"
        if baseline.startswith("-"):
            return subscript(text)
        if baseline.rstrip("%").isdecimal() and int(baseline.rstrip("%")):
            return superscript(text)
    return text
