"""Read one slide: its texts, tables, charts, diagrams, pictures, notes and comments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lxml import etree
from pptx.exc import PythonPptxError
from pptx.shapes.base import BaseShape
from pptx.shapes.group import GroupShape
from pptx.slide import Slide

from data.documents import Block, Figure, Problem, ProblemKind
from data.errors import BadInput
from data.readers.formulas import normalise_formulas
from data.readers.office import picture_or_problem
from data.readers.office_charts import read_chart
from data.readers.office_diagrams import read_diagram
from data.readers.office_markup import related_id, simplify
from data.readers.pptx_captions import Box, captions_of_figures
from data.readers.pptx_comments import CommentAuthors, comments_of
from data.readers.pptx_tables import table_of
from data.readers.pptx_text import body_text, plain_text
from data.readers.structure import Content, is_caption, role_of
from data.readers.xml import local_name, parse_xml
from data.records import Audience
from data.tables import markdown_table

__all__ = ["SlideReader"]

_REPEATED_PLACEHOLDERS = frozenset({"dt", "ftr", "sldNum", "hdr"})
_MEDIA = ("{*}videoFile", "{*}audioFile", "{*}media")
_WHOLE_SLIDE = (0.0, 0.0, 1.0, 1.0)
_SHAPE_ERRORS = (
    BadInput,
    PythonPptxError,
    IndexError,
    KeyError,
    ValueError,
    AttributeError,
    TypeError,
)
_FEWEST_SHAPES = 2  # without words; a single line is an ornament


@dataclass(frozen=True, slots=True)
class _Frame:
    """How the inside of a group lies on the slide: scale, then shift, in EMU."""

    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass
class SlideReader:
    """Read one slide. The contents of a hidden slide are for teachers."""

    presentation_title: str
    number: int
    size: tuple[int, int]  # width and height of a slide, in EMU
    authors: CommentAuthors
    section: tuple[str, ...] = ()
    audience: Audience = "student"
    blocks: list[Block] = field(default_factory=list)
    boxes: list[Box | None] = field(default_factory=list)  # of the blocks
    figures: list[Figure] = field(default_factory=list)
    problems: dict[int, list[Problem]] = field(default_factory=dict)  # by number of figures before
    shape_count: int = 0  # shapes without words

    def read(self, slide: Slide) -> list[Content]:
        """Return the blocks of a slide, then its figures, then notes and comments."""
        simplify(slide._element)
        heading = slide.shapes.title
        title = normalise_formulas(plain_text(_body(heading))) if heading is not None else ""
        is_title_slide = title.casefold() == self.presentation_title.casefold()
        headings = () if is_title_slide else (title or f"Slide {self.number}",)
        self.section = (self.presentation_title, *headings)
        self.audience = "teacher" if slide._element.get("show") in ("0", "false") else "student"
        self._add_background(slide)
        for shape in slide.shapes:
            if heading is None or shape._element is not heading._element:
                self._add_safely(shape, _Frame())
        self._report_unread(slide)
        self._assign_captions()
        contents: list[Content] = [*self.blocks]
        for count in range(len(self.figures) + 1):
            contents += [*self.figures[count - 1 : count]] if count else []
            contents += self.problems.get(count, [])
        if title and not (self.blocks or self.figures):  # words that stand nowhere else
            section = self.section[:1]
            contents.insert(0, self._block(title, section))
        return [*contents, *self._remarks(slide)]

    def _remarks(self, slide: Slide) -> list[Content]:
        """Return the speaker's notes and the comments, which are for teachers."""
        texts: list[str] = []
        if slide.has_notes_slide:
            simplify(slide.notes_slide._element)
            frame = slide.notes_slide.notes_text_frame
            texts.append(body_text(frame._txBody) if frame is not None else "")
        texts += comments_of(slide.part, self.authors)
        return [
            Block(text, self.section, "note", audience="teacher", page=self.number)
            for text in texts
            if text
        ]

    def _add_safely(self, shape: BaseShape, frame: _Frame) -> None:
        """Add a shape; one that cannot be read is a problem, and the slide goes on."""
        try:
            self._add_shape(shape, frame)
        except _SHAPE_ERRORS as error:
            self._add_problem(f"{_name(shape)} cannot be read ({error}); make it anew", "part")

    def _add_shape(self, shape: BaseShape, frame: _Frame) -> None:
        if isinstance(shape, GroupShape):
            inner = _frame_of_group(shape, frame)
            for member in shape.shapes:
                self._add_safely(member, inner)
            return
        element = shape._element
        placeholder = element.find(".//{*}nvPr/{*}ph")
        if placeholder is not None and placeholder.get("type") in _REPEATED_PLACEHOLDERS:
            return
        tag = local_name(element)
        if tag == "pic":
            self._add_picture(shape, element.find("{*}blipFill/{*}blip"), frame)
            if next(element.iter(*_MEDIA), None) is not None:
                self._add_problem(f"a film or sound ({_name(shape)}) is not read", "attachment")
        elif tag == "graphicFrame":
            self._add_graphic(shape, frame)
        else:
            fill = element.find("{*}spPr/{*}blipFill/{*}blip")
            if fill is not None:
                self._add_picture(shape, fill, frame)
            text = body_text(_body(shape))
            self._add_text(text, self._box(shape, frame))
            self.shape_count += fill is None and placeholder is None and not text

    def _add_graphic(self, shape: BaseShape, frame: _Frame) -> None:
        """Add a table, a chart, a SmartArt diagram or an embedded object."""
        data = shape._element.find("{*}graphic/{*}graphicData")
        inside = {local_name(child): child for child in data} if data is not None else {}
        if "tbl" in inside:
            table = table_of(inside["tbl"])
            if table is not None:
                block = Block(markdown_table(table), self.section, "table")
                self._append(block, self._box(shape, frame))
            for blip in inside["tbl"].iterfind(".//{*}tcPr/{*}blipFill/{*}blip"):
                self._add_picture(shape, blip, frame)
        elif "chart" in inside:
            self._add_chart(shape, inside["chart"], frame)
        elif "relIds" in inside:
            root = self._related(shape, related_id(inside["relIds"], "dm"))
            text = read_diagram(root) if root is not None else ""
            self._add_text(text, self._box(shape, frame))
            message = (
                f"the drawing of a diagram ({_name(shape)}) is not kept; paste it as a picture"
            )
            self._add_problem(message, "diagram")
        else:
            self._add_object(shape, inside.get("oleObj"), frame)

    def _add_chart(self, shape: BaseShape, reference: etree._Element, frame: _Frame) -> None:
        root = self._related(shape, related_id(reference, "id"))
        chart = read_chart(root) if root is not None else None
        if chart is None:
            message = f"a chart ({_name(shape)}) without stored values is not read; paste a picture"
            self._add_problem(message, "chart")
            return
        figure = self._figure(shape, None, frame)
        self.figures.append(replace(figure, alt=figure.alt or chart.label))
        table = replace(chart.table, caption=chart.label)
        block = Block(markdown_table(table), self.section, "table", chart.label)
        self._append(block, self._box(shape, frame))

    def _add_object(self, shape: BaseShape, ole: etree._Element | None, frame: _Frame) -> None:
        program = (ole.get("progId") or "" if ole is not None else "") or "unknown program"
        if program.startswith("Equation"):
            message = f"an equation of {program} is not read; convert it to an Office equation"
            self._add_problem(message, "formula")
            return
        blip = next(ole.iter("{*}blip"), None) if ole is not None else None
        if blip is not None:
            self._add_picture(shape, blip, frame)
        state = "is kept as a picture only" if blip is not None else "is not read"
        message = f"an embedded object ({_name(shape)}, {program}) {state}; paste its contents"
        self._add_problem(message, "attachment")

    def _add_picture(self, shape: BaseShape, blip: etree._Element | None, frame: _Frame) -> None:
        relation = related_id(blip, "embed")
        picture: bytes | None = None
        problem = f"{_name(shape)}: a picture is missing from the file; paste it again"
        if related_id(blip, "link") and not relation:
            problem = f"{_name(shape)}: a picture is linked, not stored in the file; paste it"
        elif relation in shape.part.rels:
            picture, problem = picture_or_problem(
                shape.part.related_part(relation).blob, _name(shape)
            )
        self.figures.append(self._figure(shape, picture, frame))
        if problem:
            self._add_problem(problem, "picture")

    def _add_background(self, slide: Slide) -> None:
        """Add the picture behind a slide; those of layouts and masters are ornaments."""
        blip = slide._element.find("{*}cSld/{*}bg//{*}blip")
        relation = related_id(blip, "embed")
        if relation not in slide.part.rels:
            return
        blob = slide.part.related_part(relation).blob
        picture, problem = picture_or_problem(blob, "the background")
        figure = Figure("", picture, section=self.section, audience=self.audience)
        self.figures.append(replace(figure, page=self.number, bbox=_WHOLE_SLIDE))
        if problem:
            self._add_problem(problem, "picture")

    def _report_unread(self, slide: Slide) -> None:
        tree = slide.shapes._spTree
        ink = sum(local_name(child) == "contentPart" for child in tree)
        if ink:
            self._add_problem(f"drawings by hand ({ink}) are not read; paste a picture", "picture")
        if self.shape_count >= _FEWEST_SHAPES:
            message = f"shapes without words such as arrows ({self.shape_count}) are not kept"
            self._add_problem(f"{message}; paste a picture of the drawing", "diagram")

    def _add_problem(self, message: str, kind: ProblemKind) -> None:
        problem = Problem("", f"slide {self.number}: {message}", kind, self.number)
        self.problems.setdefault(len(self.figures), []).append(problem)

    def _add_text(self, text: str, box: Box | None) -> None:
        if text:
            self._append(self._block(text, self.section), box)

    def _block(self, text: str, section: tuple[str, ...]) -> Block:
        return Block(text, section, role_of(self.section[1:]))

    def _append(self, block: Block, box: Box | None) -> None:
        self.blocks.append(replace(block, audience=self.audience, page=self.number))
        self.boxes.append(box)

    def _related(self, shape: BaseShape, relation: str) -> etree._Element | None:
        if relation not in shape.part.rels:
            return None
        part = shape.part.related_part(relation)
        return parse_xml(part.blob, part.partname)

    def _figure(self, shape: BaseShape, picture: bytes | None, frame: _Frame) -> Figure:
        properties = next(shape._element.iter("{*}cNvPr"), None)
        alt = (properties.get("descr") or "") if properties is not None else ""
        return Figure(
            anchor="",
            picture=picture,
            alt=normalise_formulas(" ".join(alt.split())),
            section=self.section,
            audience=self.audience,
            page=self.number,
            bbox=self._box(shape, frame),
        )

    def _box(self, shape: BaseShape, frame: _Frame) -> Box | None:
        """Return left, top, right and bottom as fractions of the slide."""
        width, height = self.size
        try:
            place = (shape.left, shape.top, shape.width, shape.height)
        except _SHAPE_ERRORS:
            return None
        if not (width and height) or any(length is None for length in place):
            return None
        (scale_x, scale_y), (shift_x, shift_y) = frame.scale, frame.shift
        left, top = place[0] * scale_x + shift_x, place[1] * scale_y + shift_y
        right, bottom = left + place[2] * scale_x, top + place[3] * scale_y
        edges = (left / width, top / height, right / width, bottom / height)
        left, top, right, bottom = (round(min(1.0, max(0.0, edge)), 4) for edge in edges)
        return left, top, right, bottom

    def _assign_captions(self) -> None:
        """Move the texts that are captions to the pictures that they stand at."""
        positions = [n for n, block in enumerate(self.blocks) if is_caption(block.text)]
        captions = [(self.blocks[n].text, self.boxes[n]) for n in positions]
        owners = captions_of_figures(captions, [figure.bbox for figure in self.figures])
        for number, caption in owners.items():
            text = " ".join(captions[caption][0].split())
            self.figures[number] = replace(self.figures[number], caption=text)
        used = {positions[caption] for caption in owners.values()}
        self.blocks = [block for n, block in enumerate(self.blocks) if n not in used]


def _name(shape: BaseShape) -> str:
    """Return a shape's name, which tells people where to look."""
    properties = next(shape._element.iter("{*}cNvPr"), None)
    return (properties.get("name") if properties is not None else None) or "a shape"


def _body(shape: BaseShape) -> etree._Element | None:
    return shape._element.find("{*}txBody")


def _frame_of_group(group: GroupShape, outer: _Frame) -> _Frame:
    """Return how the inside of a group lies on the slide."""
    transform = group._element.find("{*}grpSpPr/{*}xfrm")
    names = ("off", "ext", "chOff", "chExt")
    parts = [transform.find(f"{{*}}{name}") if transform is not None else None for name in names]
    if any(part is None for part in parts):
        return outer
    off, ext, inner_off, inner_ext = (
        [int(v) for v in p.attrib.values()] for p in parts if p is not None
    )
    scale = [e / i if i else 1.0 for e, i in zip(ext, inner_ext, strict=True)]
    shift = [o - i * s for o, i, s in zip(off, inner_off, scale, strict=True)]
    return _Frame(
        (outer.scale[0] * scale[0], outer.scale[1] * scale[1]),
        (
            outer.scale[0] * shift[0] + outer.shift[0],
            outer.scale[1] * shift[1] + outer.shift[1],
        ),
    )
